-- What a lease in a row means, once for every table that has some: attempts, turns, idempotency keys, results of
-- tools, reservations, messages that a drainer looks after. Statements ask these functions and compare no time
-- themselves. The time is the directory's own, so workers whose clocks differ agree on who holds what.
-- Plain SQL in one expression: Postgres puts it into the statement that asks, indexes included.
CREATE FUNCTION bridge_lease_now() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT now() $$;

-- When a lease ends that is taken or renewed now.
CREATE FUNCTION bridge_lease_end(seconds float8) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT bridge_lease_now() + make_interval(secs => seconds) $$;

-- Whether it has ended, and nobody began it anew, for at least so many seconds.
CREATE FUNCTION bridge_lease_over(ends timestamptz, ago float8 DEFAULT 0) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT ends <= bridge_lease_now() - make_interval(secs => ago) $$;

-- Seconds until it ends; nought for one that has ended.
CREATE FUNCTION bridge_lease_left(ends timestamptz) RETURNS float8
LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT greatest(extract(epoch FROM ends - bridge_lease_now()), 0)::float8
$$;

-- The fencing token of a lease that is taken: greater than all before it, of this row and of every other, also where
-- the row was deleted and made anew meanwhile.
CREATE SEQUENCE lease_fences;
GRANT USAGE ON SEQUENCE lease_fences TO bridge_app;
CREATE FUNCTION bridge_lease_fence() RETURNS bigint
LANGUAGE sql VOLATILE AS $$ SELECT nextval('lease_fences') $$;

-- Jobs of any team that say they run while nothing works for them (as before; leases are asked about above).
CREATE OR REPLACE FUNCTION bridge_stalled_jobs(idle interval, most integer)
RETURNS TABLE (team_id uuid, job_id uuid, kind text) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
  SELECT j.team_id, j.id, j.kind FROM jobs j
   WHERE j.state IN ('queued', 'running') AND j.updated_at < now() - idle
     AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.settled_at IS NULL AND o.job_id = j.id)
     AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.job_id = j.id AND a.state IN ('running', 'released')
                        AND NOT bridge_lease_over(a.lease_until, extract(epoch FROM idle)::float8))
   ORDER BY j.updated_at LIMIT most
$$;
