DROP FUNCTION bridge_purge_turn_journal(interval, integer);
DROP FUNCTION bridge_purge_job_children(interval, integer);
DROP FUNCTION bridge_running_turns(uuid[]);
DROP FUNCTION bridge_known_sessions(uuid[]);
DROP FUNCTION bridge_dashboards_between(text, text, integer);
DROP INDEX dashboards_by_object;
DROP FUNCTION bridge_stalled_jobs(interval, integer);
DROP TABLE sweeps;
DROP INDEX idempotency_keys_by_age, jobs_by_end, jobs_idle, dead_letters_newest_first,
  attempts_by_age, attempts_of_jobs, outbox_settled, outbox_unsettled;
ALTER TABLE jobs DROP COLUMN rounds;
ALTER TABLE dead_letters DROP COLUMN kind, DROP COLUMN queue, DROP COLUMN trace_id, DROP COLUMN job_team,
  DROP COLUMN job_id, DROP COLUMN job_child, DROP COLUMN replayed_by, DROP COLUMN replay_id;
ALTER TABLE attempts DROP COLUMN job_id;
-- A message without a task's body can't be understood by what knew only tasks.
DELETE FROM outbox WHERE kind = 'event';
ALTER TABLE outbox DROP COLUMN kind, DROP COLUMN key, DROP COLUMN job_team, DROP COLUMN job_id,
  DROP COLUMN resends, DROP COLUMN settled_at;
