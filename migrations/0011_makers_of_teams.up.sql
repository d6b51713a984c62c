-- Who made a team: a person makes only so many, and leaving one does not make room for another.
ALTER TABLE teams ADD COLUMN created_by uuid REFERENCES users ON DELETE SET NULL;
UPDATE teams t SET created_by = u.id
  FROM audit_log a JOIN users u ON u.id::text = a.actor
 WHERE a.team_id = t.id AND a.action = 'team.created';
CREATE INDEX teams_by_maker ON teams (created_by) WHERE created_by IS NOT NULL;

-- A slug is unique among the teams that a person sees, which the service looks after. Unique over all teams, it would
-- tell everybody which names strangers have chosen.
ALTER TABLE teams DROP CONSTRAINT teams_slug_key;

-- How many teams there are that somebody made, also those that they have left. It names none.
CREATE FUNCTION bridge_teams_made(maker uuid) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS
$$ SELECT count(*) FROM teams t WHERE t.created_by = maker $$;
REVOKE ALL ON FUNCTION bridge_teams_made(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bridge_teams_made(uuid) TO bridge_app;
