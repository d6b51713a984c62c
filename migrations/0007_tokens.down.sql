-- A token that may do less would do everything for code that does not know of it: such tokens end here.
UPDATE access_tokens SET revoked_at = coalesce(revoked_at, now())
 WHERE only_team IS NOT NULL OR NOT ('full' = ANY(scopes));
DROP FUNCTION bridge_principal(text, text);
CREATE FUNCTION bridge_principal(kind text, sha text)
RETURNS TABLE (user_id uuid, email text, name text, credential_id uuid, scopes text[], teams jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
  IF kind = 'token' THEN
    UPDATE access_tokens SET last_used_at = now()
     WHERE token_sha256 = sha AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute');
  END IF;
  RETURN QUERY
  SELECT u.id, u.email, u.name, c.id, c.scopes,
         coalesce((SELECT jsonb_object_agg(m.team_id, m.role) FROM team_members m WHERE m.user_id = u.id), '{}')
    FROM (SELECT s.id, s.user_id, '{}'::text[] AS scopes, s.expires_at, s.revoked_at
            FROM auth_sessions s WHERE kind = 'session' AND s.token_sha256 = sha
          UNION ALL
          SELECT t.id, t.user_id, t.scopes, t.expires_at, t.revoked_at
            FROM access_tokens t WHERE kind = 'token' AND t.token_sha256 = sha) c
    JOIN users u ON u.id = c.user_id
   WHERE c.revoked_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > now());
END $$;
REVOKE ALL ON FUNCTION bridge_principal(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bridge_principal(text, text) TO bridge_app;
DROP INDEX access_tokens_by_team;
ALTER TABLE access_tokens
  DROP CONSTRAINT access_tokens_scopes,
  DROP COLUMN rotated_at, DROP COLUMN lifetime_days, DROP COLUMN only_team;
