DROP INDEX audit_newest_first;
CREATE INDEX audit_newest_first ON audit_log (team_id, created_at DESC);
ALTER TABLE audit_log DROP COLUMN reason;
DROP TABLE flag_overrides, limit_overrides, reservations, spend_counters;
