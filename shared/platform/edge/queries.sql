-- principal --
SELECT user_id, email, name, credential_id, scopes, only_team, teams FROM bridge_principal(:kind, :sha);

-- open_auth_session --
INSERT INTO auth_sessions (id, user_id, token_sha256, expires_at)
VALUES (:id, :user, :sha, now() + make_interval(hours => :hours));

-- end_auth_session --
UPDATE auth_sessions SET revoked_at = now() WHERE id = :id AND user_id = :user AND revoked_at IS NULL;

-- add_access_token --
INSERT INTO access_tokens (id, user_id, name, token_sha256, scopes, expires_at, lifetime_days, only_team)
VALUES (:id, :user, :name, :sha, :scopes::text[], :expires_at, :lifetime, :only_team)
-- The id may be derived from an idempotency key whose first request died: its text was never shown.
-- Only the same token gets another text: whoever asks for one that may less never gets the text of one that may more.
ON CONFLICT (id) DO UPDATE SET token_sha256 = excluded.token_sha256
 WHERE access_tokens.user_id = excluded.user_id AND access_tokens.revoked_at IS NULL
   AND access_tokens.scopes = excluded.scopes
   AND access_tokens.only_team IS NOT DISTINCT FROM excluded.only_team;

-- rotate_access_token --
-- The hash is replaced, not added: there is no moment with two texts, and none in which a revoked or
-- expired token comes back.
UPDATE access_tokens
   SET token_sha256 = :sha, rotated_at = now(), updated_at = now(), last_used_at = NULL,
       expires_at = CASE WHEN lifetime_days IS NULL THEN expires_at ELSE now() + make_interval(days => lifetime_days) END
 WHERE id = :id AND user_id = :user AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
RETURNING id, name, scopes, only_team, expires_at;

-- claim_idempotency_key --
-- A key whose holder died is taken over by the next request with the same key. created_at stays, so ids
-- derived from the key stay too. The holder itself finds what it claimed and was not told of.
INSERT INTO idempotency_keys AS k (user_id, route, key, body_sha256, owner, lease_until)
VALUES (:user, :route, :key, :body_sha, :owner, bridge_lease_end(:lease))
ON CONFLICT (user_id, route, key) DO UPDATE
   SET owner = excluded.owner, lease_until = excluded.lease_until
 WHERE k.status IS NULL AND k.body_sha256 = excluded.body_sha256
   AND (bridge_lease_over(k.lease_until) OR k.owner = excluded.owner)
RETURNING bridge_lease_fence() AS fence, (extract(epoch FROM k.created_at) * 1000)::int8 AS created_ms;

-- read_idempotency_key --
SELECT body_sha256, status, headers, body, (extract(epoch FROM created_at) * 1000)::int8 AS created_ms,
       bridge_lease_left(lease_until) AS left
  FROM idempotency_keys WHERE user_id = :user AND route = :route AND key = :key;

-- renew_idempotency_key --
UPDATE idempotency_keys SET lease_until = bridge_lease_end(:lease)
 WHERE user_id = :user AND route = :route AND key = :key AND owner = :owner AND status IS NULL;

-- keep_answer --
UPDATE idempotency_keys SET status = :status, headers = :headers, body = :body
 WHERE user_id = :user AND route = :route AND key = :key AND owner = :owner;

-- release_idempotency_key --
-- Without its owner: a renewal that is still on its way must find nothing to renew.
UPDATE idempotency_keys SET lease_until = bridge_lease_now(), owner = gen_random_uuid()
 WHERE user_id = :user AND route = :route AND key = :key AND owner = :owner AND status IS NULL;

-- newest_migration --
SELECT id FROM bridge_schema_version();

-- purge_idempotency_keys --
-- A request that still runs keeps its key, however old.
WITH old AS (
  SELECT user_id, route, key FROM idempotency_keys
   WHERE created_at < now() - make_interval(days => :days) AND (status IS NOT NULL OR bridge_lease_over(lease_until))
   ORDER BY created_at LIMIT :batch FOR UPDATE SKIP LOCKED
), gone AS (DELETE FROM idempotency_keys k USING old
             WHERE k.user_id = old.user_id AND k.route = old.route AND k.key = old.key RETURNING 1)
SELECT count(*) AS removed FROM gone;
