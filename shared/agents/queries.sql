-- add_session --
-- The id may be derived from an idempotency key: a repeated request finds the first session.
INSERT INTO sessions (id, team_id, user_id, connection_id, provider, model, tools, gcs_messages_uri)
VALUES (:id, :team, :user, :connection, :provider, :model, :tools::text[], :uri)
ON CONFLICT (id) DO NOTHING;

-- find_session --
SELECT id, team_id, user_id, connection_id, dashboard_id, status, provider, model, tools, summary,
       gcs_messages_uri, log_chunk, user_messages, assistant_messages, tool_messages,
       total_tokens, total_cost_usd, created_at, updated_at, last_message_at
  FROM sessions WHERE id = :id AND user_id = :user AND team_id = ANY(bridge_teams());

-- list_sessions --
-- The cursor is the last row's sort key, so a page costs the same wherever it stands.
SELECT id, team_id, user_id, connection_id, dashboard_id, status, provider, model, tools, summary,
       gcs_messages_uri, total_tokens, total_cost_usd, created_at, updated_at, last_message_at
  FROM sessions
 WHERE user_id = :user AND team_id = ANY(bridge_teams())
   AND (:status::text IS NULL OR status = :status)
   AND (:after_at::timestamptz IS NULL OR (last_message_at, id) < (:after_at::timestamptz, :after_id::uuid))
 ORDER BY last_message_at DESC, id DESC LIMIT :most OFFSET :offset;

-- archive_session --
UPDATE sessions SET status = 'archived', updated_at = now()
 WHERE id = :id AND user_id = :user AND team_id = ANY(bridge_teams());

-- remove_session --
DELETE FROM sessions WHERE id = :id AND user_id = :user AND team_id = ANY(bridge_teams()) RETURNING team_id;

-- link_dashboard --
UPDATE sessions SET dashboard_id = :dashboard, updated_at = now() WHERE id = :id AND team_id = :team;

-- use_connection --
UPDATE sessions SET connection_id = :connection, updated_at = now() WHERE id = :id AND team_id = :team;

-- begin_turn --
-- turns_one_running refuses a second running turn of the session; the same turn id again adds nothing.
INSERT INTO turns (id, team_id, session_id, user_id, credential_id, ask, ask_sha256, owner, lease_until)
VALUES (:id, :team, :session, :user, :credential, :ask, :sha, :owner, bridge_lease_end(:lease))
ON CONFLICT (id) DO NOTHING
RETURNING id;

-- close_abandoned_turn --
-- A turn whose lease ended long ago and that nothing took over (the queue lost its message) must not
-- block the conversation for ever.
UPDATE turns SET state = 'failed', finished_at = now(), updated_at = now(),
       closing = '{"error": {"code": "TURN_ABANDONED", "message": "The turn was interrupted and could not be continued.", "retryable": true}}'
 WHERE session_id = :session AND team_id = :team AND state = 'running'
   AND bridge_lease_over(lease_until, :grace);

-- find_turn --
SELECT id, team_id, session_id, user_id, state, ask, ask_sha256, owner, epoch, total_tokens, total_cost_usd,
       message_id, closing, created_at, extract(epoch FROM now() - finished_at)::float8 AS finished_ago,
       bridge_lease_left(lease_until) AS lease_left
  FROM turns WHERE id = :id AND team_id = ANY(bridge_teams());

-- find_turn_before --
-- A conversation has one turn at a time, so the newest of the others came before this one.
SELECT id FROM turns
 WHERE session_id = :session AND team_id = :team AND id <> :turn
 ORDER BY created_at DESC, id DESC LIMIT 1;

-- find_turn_of_user --
SELECT id, team_id, session_id, user_id, state, ask, ask_sha256, epoch, total_tokens, total_cost_usd,
       message_id, closing, created_at, extract(epoch FROM now() - finished_at)::float8 AS finished_ago,
       bridge_lease_left(lease_until) AS lease_left
  FROM turns WHERE id = :id AND session_id = :session AND user_id = :user AND team_id = ANY(bridge_teams());

-- take_turn_over --
-- Only where the lease has ended. The new owner shuts the old one out: each of its writes names its own.
UPDATE turns SET owner = :owner, epoch = epoch + 1, updated_at = now(),
       lease_until = bridge_lease_end(:lease)
 WHERE id = :id AND team_id = :team AND state = 'running' AND bridge_lease_over(lease_until)
RETURNING bridge_lease_fence() AS fence, epoch;

-- turn_lease --
SELECT bridge_lease_left(lease_until) AS left FROM turns WHERE id = :id AND team_id = :team;

-- beat --
-- Keeps the lease and answers whether the user asked to stop, and what of their right to go on is gone: they
-- left the team, or somebody revoked what they came with. No row: another process has the turn.
UPDATE turns t SET lease_until = bridge_lease_end(:lease)
 WHERE t.id = :id AND t.team_id = :team AND t.owner = :owner AND t.state = 'running'
RETURNING t.cancel_requested_at IS NOT NULL AS cancelled,
  CASE WHEN NOT EXISTS (SELECT 1 FROM team_members m WHERE m.team_id = t.team_id AND m.user_id = t.user_id)
         THEN 'membership'
       WHEN EXISTS (SELECT 1 FROM auth_sessions s WHERE s.id = t.credential_id AND s.revoked_at IS NOT NULL)
         OR EXISTS (SELECT 1 FROM access_tokens k WHERE k.id = t.credential_id AND k.revoked_at IS NOT NULL)
         THEN 'credential' END AS gone;

-- release_turn --
-- A process that stops in order gives the turn back at once, and its name with it: a beat that is still on its way
-- must find nothing to keep.
UPDATE turns SET lease_until = bridge_lease_now(), owner = gen_random_uuid(), updated_at = now()
 WHERE id = :id AND team_id = :team AND owner = :owner AND state = 'running';

-- request_cancel --
UPDATE turns SET cancel_requested_at = coalesce(cancel_requested_at, now()), updated_at = now()
 WHERE session_id = :session AND user_id = :user AND team_id = ANY(bridge_teams()) AND state = 'running'
RETURNING id, team_id;

-- hold_turn --
-- Locks the row for the rest of the transaction, if this owner still has it: the fence of every
-- transaction that a runner makes.
SELECT id FROM turns WHERE id = :id AND team_id = :team AND owner = :owner AND state = 'running' FOR UPDATE;

-- add_to_journal --
-- A transaction that is repeated, because nobody knows whether it was kept, meets its own entry. No row comes back
-- where another entry has this number.
INSERT INTO turn_journal AS j (turn_id, number, team_id, kind, entry, last_event)
VALUES (:turn, :number, :team, :kind, :entry, :last_event)
ON CONFLICT (turn_id, number) DO UPDATE SET last_event = greatest(j.last_event, excluded.last_event)
 WHERE j.kind = excluded.kind AND j.entry = excluded.entry
RETURNING number;

-- read_journal --
SELECT number, kind, entry, last_event FROM turn_journal
 WHERE turn_id = :turn AND team_id = :team ORDER BY number;

-- drop_journal --
DELETE FROM turn_journal WHERE turn_id = :turn AND team_id = :team;

-- add_model_call --
-- One id a call, however often its transaction is repeated: no row comes back for one that is on the bill already.
-- A conversation that was deleted meanwhile does not take the cost along.
WITH conversation AS (
  SELECT id FROM sessions WHERE id = :session AND team_id = :team FOR KEY SHARE
)
INSERT INTO model_calls (id, team_id, user_id, session_id, turn_id, provider, model, purpose, input_tokens,
       cache_write_5m_tokens, cache_write_1h_tokens, cached_input_tokens, output_tokens, cost_usd,
       first_token_ms, total_ms, stop_reason, error, trace_id)
VALUES (:id, :team, :user, (SELECT id FROM conversation), :turn, :provider, :model, :purpose, :fresh, :write_5m,
        :write_1h, :read, :output, :cost, :first_token_ms, :total_ms, :stop_reason, :error, :trace_id)
ON CONFLICT (id) DO NOTHING RETURNING id;

-- add_to_totals --
-- Increments, never values that were computed from an earlier read: two writers can't lose a call.
WITH turn AS (
  UPDATE turns SET total_tokens = total_tokens + :tokens, updated_at = now(),
         total_cost_usd = total_cost_usd + coalesce(:cost::numeric, 0)
   WHERE id = :turn AND team_id = :team RETURNING session_id, total_tokens, total_cost_usd),
conversation AS (
  UPDATE sessions s SET total_tokens = s.total_tokens + :tokens, updated_at = now(),
         total_cost_usd = s.total_cost_usd + coalesce(:cost::numeric, 0)
    FROM turn WHERE s.id = turn.session_id AND s.team_id = :team RETURNING s.id)
SELECT turn.total_tokens, turn.total_cost_usd FROM turn, conversation;

-- turn_totals --
SELECT total_tokens, total_cost_usd FROM turns WHERE id = :turn AND team_id = :team;

-- finish_turn --
-- Conditional on the owner and the state: a turn ends once, by the process that has it.
UPDATE turns SET state = :state, message_id = :message, closing = :closing, ask = NULL, finished_at = now(),
       updated_at = now()
 WHERE id = :id AND team_id = :team AND owner = :owner AND state = 'running'
RETURNING total_tokens, total_cost_usd;

-- find_finished_turn --
-- The same end by the same owner: an earlier try at it was kept, and its answer was lost.
SELECT total_tokens, total_cost_usd FROM turns
 WHERE id = :id AND team_id = :team AND owner = :owner AND state = :state AND message_id = :message;

-- count_messages --
UPDATE sessions SET user_messages = user_messages + :users, assistant_messages = assistant_messages + :assistants,
       tool_messages = tool_messages + :tools, log_chunk = greatest(log_chunk, :chunk), last_message_at = now(),
       summary = coalesce(summary, :summary), updated_at = now()
 WHERE id = :session AND team_id = :team;

-- record_fact --
INSERT INTO session_facts (session_id, kind, sha256, team_id, value)
VALUES (:session, :kind, :sha, :team, :value)
ON CONFLICT (session_id, kind, sha256) DO UPDATE SET value = excluded.value, created_at = now();

-- known_facts --
SELECT sha256 FROM session_facts
 WHERE session_id = :session AND team_id = :team AND kind = :kind AND sha256 = ANY(:shas::text[]);

-- find_fact --
SELECT value FROM session_facts
 WHERE session_id = :session AND team_id = :team AND kind = :kind AND sha256 = :sha;

-- hit_tool_cache --
-- One statement finds and counts: an expired entry is a miss.
UPDATE tool_cache SET hit_count = hit_count + 1, last_accessed = now()
 WHERE team_id = :team AND cache_key = :key AND payload_uri IS NOT NULL AND expires_at > now()
RETURNING payload_uri, expires_at;

-- claim_tool_result --
-- The one that gets the row makes the result. A maker that died is replaced when its time is over.
INSERT INTO tool_cache AS c (team_id, cache_key, tool, ttl_seconds, maker, making_until, miss_count)
VALUES (:team, :key, :tool, :ttl, :owner, bridge_lease_end(:lease), 1)
ON CONFLICT (team_id, cache_key) DO UPDATE
   SET maker = excluded.maker, making_until = excluded.making_until, ttl_seconds = excluded.ttl_seconds,
       miss_count = c.miss_count + 1, last_accessed = now()
 WHERE (c.payload_uri IS NULL OR c.expires_at <= now())
   AND (c.making_until IS NULL OR bridge_lease_over(c.making_until))
RETURNING bridge_lease_fence() AS fence;

-- tool_result_lease --
SELECT bridge_lease_left(making_until) AS left FROM tool_cache WHERE team_id = :team AND cache_key = :key;

-- renew_tool_result --
UPDATE tool_cache SET making_until = bridge_lease_end(:lease)
 WHERE team_id = :team AND cache_key = :key AND maker = :owner;

-- keep_tool_result --
UPDATE tool_cache SET payload_uri = :uri, size_bytes = :size, making_until = NULL, maker = NULL,
       expires_at = now() + make_interval(secs => ttl_seconds), last_accessed = now()
 WHERE team_id = :team AND cache_key = :key AND maker = :owner;

-- give_tool_result_up --
UPDATE tool_cache SET making_until = NULL, maker = NULL
 WHERE team_id = :team AND cache_key = :key AND maker = :owner;

-- expire_tool_result --
UPDATE tool_cache SET expires_at = now() WHERE team_id = :team AND cache_key = :key;

-- active_blocks --
SELECT block_name, version, block_type, content, cache_control_type FROM prompt_blocks
 WHERE is_active AND block_name = ANY(:names::text[]);

-- known_sessions --
SELECT session_id FROM bridge_known_sessions(:ids::uuid[]);

-- running_turns --
SELECT turn_id FROM bridge_running_turns(:ids::uuid[]);

-- purge_turn_journal --
SELECT bridge_purge_turn_journal(make_interval(days => :days), :batch) AS removed;
