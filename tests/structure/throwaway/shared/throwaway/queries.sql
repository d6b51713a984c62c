-- purge_thrown_letters --
WITH old AS (
  SELECT id FROM dead_letters
   WHERE step LIKE 'throwaway-%' AND created_at < now() - make_interval(days => :days)
   ORDER BY created_at LIMIT :batch FOR UPDATE SKIP LOCKED
), gone AS (DELETE FROM dead_letters l USING old WHERE l.id = old.id RETURNING 1)
SELECT count(*) AS removed FROM gone;
