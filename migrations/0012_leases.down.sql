CREATE OR REPLACE FUNCTION bridge_stalled_jobs(idle interval, most integer)
RETURNS TABLE (team_id uuid, job_id uuid, kind text) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
  SELECT j.team_id, j.id, j.kind FROM jobs j
   WHERE j.state IN ('queued', 'running') AND j.updated_at < now() - idle
     AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.settled_at IS NULL AND o.job_id = j.id)
     AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.job_id = j.id
                        AND a.state IN ('running', 'released') AND a.lease_until > now() - idle)
   ORDER BY j.updated_at LIMIT most
$$;
DROP FUNCTION bridge_lease_fence();
DROP SEQUENCE lease_fences;
DROP FUNCTION bridge_lease_left(timestamptz);
DROP FUNCTION bridge_lease_over(timestamptz, float8);
DROP FUNCTION bridge_lease_end(float8);
DROP FUNCTION bridge_lease_now();
