-- Access tokens that may do less: scopes that are enforced, one team instead of all, a text that can be
-- exchanged. Tokens made before have the scope `full`, the only one there was.

ALTER TABLE access_tokens
  -- The one team that the token reaches; NULL reaches all of its owner's.
  ADD COLUMN only_team uuid REFERENCES teams ON DELETE CASCADE,
  -- How long a new text lives: a rotation begins it anew.
  ADD COLUMN lifetime_days integer CHECK (lifetime_days BETWEEN 1 AND 365),
  ADD COLUMN rotated_at timestamptz;
UPDATE access_tokens
   SET lifetime_days = least(365, greatest(1, round(extract(epoch FROM expires_at - created_at) / 86400)))
 WHERE expires_at IS NOT NULL;
UPDATE access_tokens SET scopes = '{full}' WHERE scopes = '{}';
ALTER TABLE access_tokens
  ADD CONSTRAINT access_tokens_scopes CHECK (cardinality(scopes) > 0 AND scopes <@ '{read,write,admin,full}');
CREATE INDEX access_tokens_by_team ON access_tokens (only_team) WHERE only_team IS NOT NULL;

-- The same as before, but for the tokens' own team: it stands here, under every statement, since what is
-- not among the principal's teams does not exist for the request.
DROP FUNCTION bridge_principal(text, text);
CREATE FUNCTION bridge_principal(kind text, sha text)
RETURNS TABLE (user_id uuid, email text, name text, credential_id uuid, scopes text[], only_team uuid, teams jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
  IF kind = 'token' THEN
    UPDATE access_tokens SET last_used_at = now()
     WHERE token_sha256 = sha AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute');
  END IF;
  RETURN QUERY
  SELECT u.id, u.email, u.name, c.id, c.scopes, c.only_team,
         coalesce((SELECT jsonb_object_agg(m.team_id, m.role) FROM team_members m
                    WHERE m.user_id = u.id AND (c.only_team IS NULL OR m.team_id = c.only_team)), '{}')
    FROM (SELECT s.id, s.user_id, '{full}'::text[] AS scopes, NULL::uuid AS only_team, s.expires_at, s.revoked_at
            FROM auth_sessions s WHERE kind = 'session' AND s.token_sha256 = sha
          UNION ALL
          SELECT t.id, t.user_id, t.scopes, t.only_team, t.expires_at, t.revoked_at
            FROM access_tokens t WHERE kind = 'token' AND t.token_sha256 = sha) c
    JOIN users u ON u.id = c.user_id
   WHERE c.revoked_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > now());
END $$;
REVOKE ALL ON FUNCTION bridge_principal(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bridge_principal(text, text) TO bridge_app;
