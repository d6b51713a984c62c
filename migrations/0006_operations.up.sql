-- The operation of steps: which attempt a message led to, which job it works for, how often it was sent
-- again, and what an administrator needs to replay what died.
--
-- job_team and job_id say whose work a row of the platform is. They are no tenant columns: these tables
-- are read by steps and by administrators of the platform only.

ALTER TABLE outbox
  ADD COLUMN kind text NOT NULL DEFAULT 'task' CHECK (kind IN ('task', 'event')),
  ADD COLUMN key text,
  ADD COLUMN job_team uuid,
  ADD COLUMN job_id uuid,
  ADD COLUMN resends integer NOT NULL DEFAULT 0,
  ADD COLUMN settled_at timestamptz;
-- What was sent before messages named themselves can't be matched with an attempt; the queue has it.
UPDATE outbox SET settled_at = sent_at WHERE sent_at IS NOT NULL;
-- The few rows that are on their way: what requeue, reconcilers and the search for stalled jobs read.
CREATE INDEX outbox_unsettled ON outbox (created_at) WHERE settled_at IS NULL;
CREATE INDEX outbox_settled ON outbox (settled_at) WHERE settled_at IS NOT NULL;

-- Neither column changes while an attempt works, so its beats and its end stay cheap (heap-only) updates.
ALTER TABLE attempts ADD COLUMN job_id uuid;
CREATE INDEX attempts_of_jobs ON attempts (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX attempts_by_age ON attempts (created_at);

ALTER TABLE dead_letters
  ADD COLUMN kind text NOT NULL DEFAULT 'task' CHECK (kind IN ('task', 'event', 'scheduled')),
  ADD COLUMN queue text NOT NULL DEFAULT 'default',
  ADD COLUMN trace_id text NOT NULL DEFAULT '',
  ADD COLUMN job_team uuid,
  ADD COLUMN job_id uuid,
  ADD COLUMN job_child text,
  ADD COLUMN replayed_by text,
  ADD COLUMN replay_id uuid;
UPDATE dead_letters SET kind = 'event' WHERE payload->'message' ? 'generation';
UPDATE dead_letters SET kind = 'scheduled' WHERE payload->'message' ? 'at';
CREATE INDEX dead_letters_newest_first ON dead_letters (created_at DESC, id DESC);

-- A job that ended and goes on, because an administrator replayed one of its steps, is in its next round:
-- the step that closes it has a new key.
ALTER TABLE jobs ADD COLUMN rounds integer NOT NULL DEFAULT 0;
CREATE INDEX jobs_idle ON jobs (updated_at) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_by_end ON jobs (finished_at) WHERE finished_at IS NOT NULL;

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- How far a sweep over a bucket has come.
CREATE TABLE sweeps (
  name text PRIMARY KEY,
  cursor text NOT NULL DEFAULT '',
  passes bigint NOT NULL DEFAULT 0,
  pass_began_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT, INSERT, UPDATE ON sweeps TO bridge_app;

-- Jobs of any team that say they run while nothing works for them: no message on its way, no attempt that
-- could still go on. Each can be failed by whoever gets its id.
CREATE FUNCTION bridge_stalled_jobs(idle interval, most integer)
RETURNS TABLE (team_id uuid, job_id uuid, kind text) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
  SELECT j.team_id, j.id, j.kind FROM jobs j
   WHERE j.state IN ('queued', 'running') AND j.updated_at < now() - idle
     AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.settled_at IS NULL AND o.job_id = j.id)
     AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.job_id = j.id
                        AND a.state IN ('running', 'released') AND a.lease_until > now() - idle)
   ORDER BY j.updated_at LIMIT most
$$;

-- The rows of dashboards whose objects' names lie between two names, in the order of a bucket's listing.
CREATE INDEX dashboards_by_object ON dashboards ((team_id::text || '/' || slug || '.yaml') COLLATE "C");
CREATE FUNCTION bridge_dashboards_between(after text, upto text, most integer)
RETURNS TABLE (name text, team_id uuid, slug text, object_generation bigint, missing boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
  SELECT d.team_id::text || '/' || d.slug || '.yaml', d.team_id, d.slug, d.object_generation,
         d.errors @> '[{"code": "DOCUMENT_MISSING"}]'
    FROM dashboards d
   WHERE (d.team_id::text || '/' || d.slug || '.yaml') COLLATE "C" > after
     AND (upto IS NULL OR (d.team_id::text || '/' || d.slug || '.yaml') COLLATE "C" <= upto)
   ORDER BY (d.team_id::text || '/' || d.slug || '.yaml') COLLATE "C" LIMIT most
$$;

-- Which of these conversations there are, and which of these turns still run: an object names no team.
CREATE FUNCTION bridge_known_sessions(ids uuid[]) RETURNS TABLE (session_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS
$$ SELECT id FROM sessions WHERE id = ANY(ids) $$;
CREATE FUNCTION bridge_running_turns(ids uuid[]) RETURNS TABLE (turn_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS
$$ SELECT id FROM turns WHERE id = ANY(ids) AND state = 'running' $$;

-- Retention in tenant tables: they remove what is old and tell how much, nothing else.
CREATE FUNCTION bridge_purge_job_children(older interval, most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public AS $$
  WITH old AS (
    SELECT c.job_id, c.key FROM jobs j JOIN job_children c ON c.job_id = j.id
     WHERE j.finished_at < now() - older LIMIT most FOR UPDATE OF c SKIP LOCKED
  ), gone AS (DELETE FROM job_children c USING old WHERE c.job_id = old.job_id AND c.key = old.key RETURNING 1)
  SELECT count(*) FROM gone
$$;
CREATE FUNCTION bridge_purge_turn_journal(older interval, most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public AS $$
  WITH old AS (
    SELECT e.turn_id, e.number FROM turn_journal e JOIN turns t ON t.id = e.turn_id
     WHERE t.state <> 'running' AND t.finished_at < now() - older LIMIT most FOR UPDATE OF e SKIP LOCKED
  ), gone AS (DELETE FROM turn_journal e USING old WHERE e.turn_id = old.turn_id AND e.number = old.number RETURNING 1)
  SELECT count(*) FROM gone
$$;

REVOKE ALL ON FUNCTION bridge_stalled_jobs(interval, integer), bridge_dashboards_between(text, text, integer),
  bridge_known_sessions(uuid[]), bridge_running_turns(uuid[]), bridge_purge_job_children(interval, integer),
  bridge_purge_turn_journal(interval, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bridge_stalled_jobs(interval, integer), bridge_dashboards_between(text, text, integer),
  bridge_known_sessions(uuid[]), bridge_running_turns(uuid[]), bridge_purge_job_children(interval, integer),
  bridge_purge_turn_journal(interval, integer) TO bridge_app;
