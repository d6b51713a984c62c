-- upsert_user --
-- The e-mail is the person. A name that is not given keeps the known one.
INSERT INTO users AS u (id, email, name) VALUES (:id, :email, :name)
ON CONFLICT (email) DO UPDATE
   SET name = CASE WHEN excluded.name = '' THEN u.name ELSE excluded.name END, updated_at = now()
RETURNING id, email, name;

-- list_memberships --
SELECT t.id, t.name, t.slug, m.role, t.created_at
  FROM team_members m JOIN teams t ON t.id = m.team_id
 WHERE m.user_id = :user AND t.id = ANY(bridge_teams())
 ORDER BY t.name, t.id LIMIT 1000;

-- list_teams --
SELECT t.id, t.name, t.slug, m.role, t.created_at
  FROM team_members m JOIN teams t ON t.id = m.team_id
 WHERE m.user_id = :user AND t.id = ANY(bridge_teams())
   AND (:after_name::text IS NULL OR (t.name, t.id) > (:after_name::text, :after_id::uuid))
 ORDER BY t.name, t.id LIMIT :limit OFFSET :offset;

-- lock_maker --
-- Of two teams at once the second is counted after the first.
SELECT id FROM users WHERE id = :user FOR NO KEY UPDATE;

-- count_made --
SELECT bridge_teams_made(:user) AS made;

-- own_slugs_like --
-- Among the teams that the transaction sees: the caller's. What strangers chose has no say.
SELECT slug FROM teams WHERE id = ANY(bridge_teams()) AND (slug = :slug OR starts_with(slug, :slug || '-'));

-- add_team --
-- No row comes back for an id that an earlier attempt at this request made.
INSERT INTO teams (id, name, slug, created_by) VALUES (:id, :name, :slug, :by)
ON CONFLICT (id) DO NOTHING RETURNING id;

-- find_team --
SELECT id, name, slug, settings, created_at FROM teams WHERE id = :team;

-- add_member --
INSERT INTO team_members (team_id, user_id, role) VALUES (:team, :user, :role)
ON CONFLICT (team_id, user_id) DO NOTHING;

-- count_team --
SELECT (SELECT count(*) FROM team_members WHERE team_id = :team) AS members,
       (SELECT count(*) FROM connections WHERE team_id = :team) AS connections;

-- list_tokens --
SELECT id, name, scopes, only_team, created_at, expires_at, last_used_at FROM access_tokens
 WHERE user_id = :user AND revoked_at IS NULL
   AND (:after_at::timestamptz IS NULL OR (created_at, id) < (:after_at::timestamptz, :after_id::uuid))
 ORDER BY created_at DESC, id DESC LIMIT :limit OFFSET :offset;

-- find_token_of_team --
SELECT id FROM access_tokens WHERE id = :id AND user_id = :user AND only_team = :team;

-- revoke_token --
-- Revoking twice is as good as once; another person's token is not found.
UPDATE access_tokens SET revoked_at = coalesce(revoked_at, now()), updated_at = now()
 WHERE id = :id AND user_id = :user;

-- purge_auth_sessions --
WITH old AS (
  SELECT id FROM auth_sessions WHERE least(expires_at, revoked_at) < now() - make_interval(days => :days)
   LIMIT :batch FOR UPDATE SKIP LOCKED
), gone AS (DELETE FROM auth_sessions s USING old WHERE s.id = old.id RETURNING 1)
SELECT count(*) AS removed FROM gone;
