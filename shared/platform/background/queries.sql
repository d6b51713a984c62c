-- claim_attempt --
-- The conflict branch is the only way to take a step from somebody: its lease has ended, or it was
-- given back. A step that is done or dead matches nothing and returns no row. The message that was
-- delivered learns its attempt's key in the same statement, whether or not it gets the step.
WITH delivered AS (
  UPDATE outbox SET key = :key WHERE id = :message::uuid AND step = :step AND key IS DISTINCT FROM :key
)
INSERT INTO attempts AS a (step, key, owner, state, lease_until, tries)
VALUES (:step, :key, :owner, 'running', bridge_lease_end(:lease), 1)
ON CONFLICT (step, key) DO UPDATE
   SET owner = excluded.owner, state = 'running', lease_until = excluded.lease_until, tries = a.tries + 1
 WHERE a.state = 'released' OR (a.state = 'running' AND bridge_lease_over(a.lease_until))
RETURNING bridge_lease_fence() AS fence, a.tries;

-- renew_attempt --
-- Conditional on the owner like every other change: who lost the step can't take it back by a beat.
UPDATE attempts SET lease_until = bridge_lease_end(:lease)
 WHERE step = :step AND key = :key AND owner = :owner AND state = 'running';

-- join_job --
-- Says whose work the attempt is, and answers whether that work is still wanted. While its steps go on, a job
-- keeps what it holds of its team's limits, however long it takes.
WITH joined AS (
  UPDATE attempts SET job_id = :job
   WHERE step = :step AND key = :key AND owner = :owner AND job_id IS DISTINCT FROM :job::uuid
), kept AS (
  UPDATE reservations SET lease_until = bridge_lease_end(:holds::float8)
   WHERE team_id = :team AND key = :job::text AND state = 'held'
     AND bridge_lease_left(lease_until) < :holds::float8 / 2
)
SELECT state FROM jobs WHERE id = :job::uuid AND team_id = :team;

-- job_state --
SELECT state FROM jobs WHERE id = :job AND team_id = :team;

-- hold_job --
-- A cancel that has not committed waits for this transaction, and one that has is seen: effects come
-- before the cancel or not at all.
SELECT state FROM jobs WHERE id = :job AND team_id = :team FOR SHARE;

-- attempt_state --
SELECT state, bridge_lease_left(lease_until) AS left FROM attempts WHERE step = :step AND key = :key;

-- finish_attempt --
-- Conditional on the owner: a stalled attempt that wakes up late finds no row, and its whole
-- transaction rolls back.
UPDATE attempts SET state = 'done', finished_at = now()
 WHERE step = :step AND key = :key AND owner = :owner AND state = 'running';

-- release_attempt --
UPDATE attempts SET state = 'released', lease_until = bridge_lease_now()
 WHERE step = :step AND key = :key AND owner = :owner AND state = 'running';

-- bury_attempt --
UPDATE attempts SET state = 'dead', finished_at = now()
 WHERE step = :step AND key = :key AND owner = :owner AND state = 'running';

-- keep_dead_letter --
INSERT INTO dead_letters (id, step, key, kind, queue, payload, error_code, error_message, trace_id, job_team,
                          job_id, job_child)
VALUES (:id, :step, :key, :kind, :queue, :payload, :code, :message, :trace_id, :job_team, :job_id, :job_child)
ON CONFLICT (id) DO NOTHING;

-- settle_message --
-- Nothing more is to become of it: it was refused, or its step has ended.
UPDATE outbox SET settled_at = now() WHERE id = :id AND settled_at IS NULL;

-- put_in_outbox --
INSERT INTO outbox (id, step, queue, kind, key, payload, traceparent, job_team, job_id, not_before)
SELECT r.id, r.step, r.queue, r.kind, r.key, r.payload, r.traceparent, r.job_team, r.job_id, :not_before
  FROM jsonb_to_recordset(:rows) AS r(id uuid, step text, queue text, kind text, key text, payload jsonb,
                                      traceparent text, job_team uuid, job_id uuid);

-- claim_unsent --
-- Rows younger than half a minute are still in the hands of the instance that wrote them. Taking a row
-- pushes its next hand-over away, so two drainers do not send the same batch.
UPDATE outbox SET claimed_until = bridge_lease_end(:lease)
 WHERE id IN (SELECT id FROM outbox
               WHERE sent_at IS NULL AND created_at < now() - interval '30 seconds'
                 AND (claimed_until IS NULL OR bridge_lease_over(claimed_until))
               ORDER BY created_at LIMIT :batch FOR UPDATE SKIP LOCKED)
RETURNING id, step, queue, kind, payload, traceparent, not_before, resends;

-- mark_sent --
UPDATE outbox SET sent_at = now() WHERE id = ANY(:ids::uuid[]) AND sent_at IS NULL;

-- open_job --
-- The id may be derived from an idempotency key: a repeated request finds the first job.
INSERT INTO jobs (id, team_id, kind, state, total, subject, created_by)
VALUES (:id, :team, :kind, 'queued', :total, :subject, :user)
ON CONFLICT (id) DO NOTHING;

-- find_job --
SELECT id, team_id, kind, state, total, done, failed, subject, errors, warnings, result,
       created_at, started_at, finished_at
  FROM jobs WHERE id = :id AND team_id = ANY(bridge_teams());

-- list_jobs --
SELECT id, team_id, kind, state, total, done, failed, subject, errors, warnings, result,
       created_at, started_at, finished_at
  FROM jobs
 WHERE team_id = :team AND (:state::text IS NULL OR state = :state) AND (:kind::text IS NULL OR kind = :kind)
   AND (:after_at::timestamptz IS NULL OR (created_at, id) < (:after_at::timestamptz, :after_id::uuid))
 ORDER BY created_at DESC, id DESC LIMIT :limit OFFSET :offset;

-- cancel_job --
-- Waits for the step that is just keeping its effects (it holds the row), and shuts the others out.
UPDATE jobs SET state = 'cancelled', finished_at = now(), updated_at = now()
 WHERE id = :id AND team_id = :team AND state IN ('queued', 'running')
RETURNING id;

-- reopen_job --
-- A child that failed is expected again, and what it complained about is forgotten; a cancelled job stays so.
WITH expected AS (
  DELETE FROM job_children
   WHERE job_id = :id AND team_id = :team AND key = :child::text AND error IS NOT NULL RETURNING key
), complaints AS (
  SELECT coalesce(jsonb_agg(c.error ORDER BY c.created_at), '[]') AS left_over
    FROM (SELECT error, created_at FROM job_children
           WHERE job_id = :id AND team_id = :team AND error IS NOT NULL AND key IS DISTINCT FROM :child::text
           ORDER BY created_at LIMIT 200) c
)
UPDATE jobs j
   SET state = 'running', finished_at = NULL, rounds = j.rounds + 1,
       failed = j.failed - (SELECT count(*) FROM expected), errors = complaints.left_over,
       warnings = j.warnings || :note::jsonb, updated_at = now()
  FROM complaints
 WHERE j.id = :id AND j.team_id = :team AND j.state <> 'cancelled'
RETURNING j.id;

-- job_round --
-- Locked, so that nobody lets the job go on between this look and the end that depends on it.
SELECT rounds FROM jobs WHERE id = :id AND team_id = :team FOR UPDATE;

-- find_running_job --
SELECT id FROM jobs
 WHERE team_id = :team AND kind = :kind AND subject = :subject AND state IN ('queued', 'running')
 ORDER BY created_at DESC LIMIT 1;

-- start_job --
UPDATE jobs SET state = 'running', started_at = coalesce(started_at, now()), updated_at = now()
 WHERE id = :id AND team_id = :team AND state IN ('queued', 'running');

-- expect_children --
UPDATE jobs SET total = :total, updated_at = now() WHERE id = :id AND team_id = :team;

-- land_child --
-- A child counts once however often its step repeats: only the first insert reaches the counter.
WITH landed AS (
  INSERT INTO job_children (job_id, key, team_id, error) VALUES (:job, :key, :team, :error)
  ON CONFLICT (job_id, key) DO NOTHING RETURNING error
)
UPDATE jobs j
   SET done = j.done + (landed.error IS NULL)::int,
       failed = j.failed + (landed.error IS NOT NULL)::int,
       errors = CASE WHEN landed.error IS NULL OR jsonb_array_length(j.errors) >= 200 THEN j.errors
                     ELSE j.errors || jsonb_build_array(landed.error) END,
       state = CASE WHEN j.state = 'queued' THEN 'running' ELSE j.state END,
       started_at = coalesce(j.started_at, now()), updated_at = now()
  FROM landed
 WHERE j.id = :job AND j.team_id = :team
RETURNING j.done + j.failed AS landed, j.total;

-- finish_job --
-- The WHERE makes the winner unique: a job that ended keeps its first outcome.
UPDATE jobs
   SET state = CASE WHEN :error::jsonb IS NOT NULL THEN 'failed'
                    WHEN failed > 0 AND done = 0 AND total > 0 THEN 'failed'
                    WHEN failed > 0 THEN 'completed_with_errors' ELSE 'completed' END,
       errors = CASE WHEN :error::jsonb IS NULL THEN errors ELSE errors || jsonb_build_array(:error::jsonb) END,
       warnings = warnings || coalesce(:warnings::jsonb, '[]'::jsonb),
       done = CASE WHEN total = 0 OR :error::jsonb IS NOT NULL THEN done ELSE greatest(done, total - failed) END,
       result = coalesce(:result::jsonb, result), finished_at = now(), updated_at = now()
 WHERE id = :id AND team_id = :team AND state IN ('queued', 'running')
RETURNING kind, state, (extract(epoch FROM clock_timestamp() - created_at) * 1000)::float8 AS duration_ms;
