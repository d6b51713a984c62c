DROP FUNCTION bridge_schema_version();
DROP FUNCTION bridge_principal(text, text);
DROP TABLE audit_log, idempotency_keys, dead_letters, outbox, attempts, job_children, jobs, scans, columns, tables,
  datasets, connections, team_members, teams, access_tokens, auth_sessions, users;
DROP FUNCTION bridge_user();
DROP FUNCTION bridge_teams();
