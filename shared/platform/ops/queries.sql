-- list_letters --
SELECT id, step, key, kind, queue, payload, error_code, trace_id, job_id, created_at, replayed_at, replayed_by,
       replay_id
  FROM dead_letters
 WHERE (:step::text IS NULL OR step = :step) AND (:code::text IS NULL OR error_code = :code)
   AND (:replayed::boolean IS NULL OR (replayed_at IS NOT NULL) = :replayed)
   AND (:after_at::timestamptz IS NULL OR (created_at, id) < (:after_at::timestamptz, :after_id::uuid))
 ORDER BY created_at DESC, id DESC LIMIT :limit OFFSET :offset;

-- find_letter --
SELECT id, job_team FROM dead_letters WHERE id = :id;

-- lock_letter --
-- Of two replays at once the second waits here, and finds what the first one did.
SELECT id, step, key, kind, queue, payload, error_code, trace_id, job_team, job_id, job_child, created_at,
       replayed_at, replayed_by, replay_id
  FROM dead_letters WHERE id = :id FOR UPDATE;

-- mark_replayed --
UPDATE dead_letters SET replayed_at = now(), replayed_by = :by, replay_id = :replay
 WHERE id = :id AND replayed_at IS NULL
RETURNING id, step, key, kind, queue, payload, error_code, trace_id, job_id, created_at, replayed_at,
          replayed_by, replay_id;

-- revive_attempt --
-- A dead step gets a fresh set of attempts. One in any other state is left alone.
UPDATE attempts SET state = 'released', lease_until = bridge_lease_now(), tries = 0, finished_at = NULL
 WHERE step = :step AND key = :key AND state = 'dead';

-- attempt_of --
SELECT state FROM attempts WHERE step = :step AND key = :key;

-- settle_ended --
-- Messages whose step has ended need no more looking after.
WITH ended AS (
  SELECT o.id FROM outbox o JOIN attempts a ON a.step = o.step AND a.key = o.key
   WHERE o.settled_at IS NULL AND o.sent_at IS NOT NULL AND a.state IN ('done', 'dead')
   ORDER BY o.created_at LIMIT :batch FOR UPDATE OF o SKIP LOCKED
)
UPDATE outbox o SET settled_at = now() FROM ended WHERE o.id = ended.id;

-- claim_stalled --
-- Handed over, due, and silent for longer than a queue may take between two attempts; the time doubles
-- with each resend. A step with a living lease, or one that was given back a short while ago, is left to its
-- queue. Taking a row pushes the next look at it away, so two ticks do not look at the same ones.
UPDATE outbox SET claimed_until = bridge_lease_end(:look)
 WHERE id IN (
   SELECT o.id FROM outbox o LEFT JOIN attempts a ON a.step = o.step AND a.key = o.key
    WHERE o.settled_at IS NULL
      AND greatest(o.sent_at, o.not_before) < now() - make_interval(secs => :silence * 2 ^ least(o.resends, 3))
      AND (o.claimed_until IS NULL OR bridge_lease_over(o.claimed_until))
      AND (a.key IS NULL OR (a.state IN ('released', 'running') AND bridge_lease_over(a.lease_until, :silence)))
    ORDER BY o.created_at LIMIT :batch FOR UPDATE OF o SKIP LOCKED)
RETURNING id, step, queue, kind, key, payload, traceparent, not_before, job_team, job_id, resends;

-- send_again --
-- Once more, unless its step has come back to life or has ended meanwhile. Unsent, the row is the drainer's
-- as well, should this process die before it hands the message over.
UPDATE outbox o SET resends = o.resends + 1, sent_at = NULL, claimed_until = bridge_lease_end(:lease)
 WHERE o.id = :id AND o.settled_at IS NULL AND o.resends = :resends
   AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.step = o.step AND a.key = o.key
                      AND (a.state IN ('done', 'dead') OR NOT bridge_lease_over(a.lease_until)))
RETURNING id, step, queue, kind, payload, traceparent, not_before, resends;

-- settle_lost --
-- Nothing could be done with it: unless its step lives or has ended, it is over.
UPDATE outbox o SET settled_at = now()
 WHERE o.id = :id AND o.settled_at IS NULL
   AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.step = o.step AND a.key = o.key
                      AND (a.state IN ('done', 'dead') OR NOT bridge_lease_over(a.lease_until)))
RETURNING id;

-- bury_lost_attempt --
UPDATE attempts SET state = 'dead', finished_at = now()
 WHERE step = :step AND key = :key AND state IN ('running', 'released') AND bridge_lease_over(lease_until);

-- stalled_jobs --
SELECT team_id, job_id, kind FROM bridge_stalled_jobs(make_interval(secs => :idle), :most);

-- fail_stalled_job --
-- Whoever works on it since then has touched its row.
UPDATE jobs SET state = 'failed', errors = errors || :error::jsonb, finished_at = now(), updated_at = now()
 WHERE id = :id AND team_id = :team AND state IN ('queued', 'running')
   AND updated_at < now() - make_interval(secs => :idle)
RETURNING id;

-- attempts_of_events --
SELECT key, state, NOT bridge_lease_over(lease_until, :quiet) AS alive
  FROM attempts WHERE step = :step AND key = ANY(:keys::text[]);

-- events_on_their_way --
SELECT key FROM outbox WHERE settled_at IS NULL AND kind = 'event' AND step = :step AND key = ANY(:keys::text[]);

-- reopen_done_attempt --
-- The directory says that what the ledger holds for done is not there: it may be done again.
UPDATE attempts SET state = 'released', lease_until = bridge_lease_now(), tries = 0, finished_at = NULL
 WHERE step = :step AND key = :key AND state = 'done';

-- read_sweep --
INSERT INTO sweeps (name) VALUES (:name) ON CONFLICT (name) DO UPDATE SET name = excluded.name
RETURNING cursor, passes;

-- move_sweep --
-- From where this run began: of two runs at once the second changes nothing, and both did the same.
UPDATE sweeps
   SET cursor = :to, updated_at = now(),
       passes = passes + (:to = '')::int,
       pass_began_at = CASE WHEN :to = '' THEN now() ELSE pass_began_at END
 WHERE name = :name AND cursor = :from;

-- purge_attempts --
-- A dead step stays as long as its letter, so that a late delivery does not revive it behind a replay's back.
WITH old AS (
  SELECT a.step, a.key FROM attempts a
   WHERE a.created_at < now() - make_interval(days => :days)
     AND coalesce(a.finished_at, a.lease_until) < now() - make_interval(days => :days)
     AND (a.state <> 'dead' OR NOT EXISTS (SELECT 1 FROM dead_letters l WHERE l.step = a.step AND l.key = a.key))
   ORDER BY a.created_at LIMIT :batch FOR UPDATE SKIP LOCKED
), gone AS (DELETE FROM attempts a USING old WHERE a.step = old.step AND a.key = old.key RETURNING 1)
SELECT count(*) AS removed FROM gone;

-- purge_outbox --
WITH old AS (
  SELECT id FROM outbox WHERE settled_at < now() - make_interval(days => :days)
   ORDER BY settled_at LIMIT :batch FOR UPDATE SKIP LOCKED
), gone AS (DELETE FROM outbox o USING old WHERE o.id = old.id RETURNING 1)
SELECT count(*) AS removed FROM gone;

-- purge_dead_letters --
WITH old AS (
  SELECT id FROM dead_letters WHERE created_at < now() - make_interval(days => :days)
   ORDER BY created_at LIMIT :batch FOR UPDATE SKIP LOCKED
), gone AS (DELETE FROM dead_letters l USING old WHERE l.id = old.id RETURNING 1)
SELECT count(*) AS removed FROM gone;

-- purge_job_children --
SELECT bridge_purge_job_children(make_interval(days => :days), :batch) AS removed;
