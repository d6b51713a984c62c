-- take --
-- The one place where something is spent. Everything is in this statement: the reservation of the key
-- (unless one is alive already), and for each of its limits an upsert whose WHERE fails when the counter
-- would pass the limit in force. Fewer rows taken than wanted is a refusal: the caller rolls back.
-- Rows are touched in the order of their names, so two takers never wait for each other in a circle.
WITH wanted AS (
  SELECT w.name, w.window_key, coalesce(o.value, w.ceiling) AS ceiling
    FROM jsonb_to_recordset(:parts) AS w(name text, window_key text, ceiling bigint)
    LEFT JOIN limit_overrides o
           ON o.team_id = :team AND o.name = w.name AND (o.until IS NULL OR o.until > now())
),
mine AS (
  INSERT INTO reservations AS r (team_id, resource, key, state, amount, parts, lease_until)
  VALUES (:team, :resource, :key, 'held', :amount, :parts, bridge_lease_end(:lease))
  ON CONFLICT (team_id, resource, key) DO UPDATE
     SET state = 'held', amount = excluded.amount, parts = excluded.parts, actual = NULL, ended_at = NULL,
         lease_until = excluded.lease_until
   WHERE r.state IN ('refunded', 'lapsed')
  RETURNING r.amount
),
taken AS (
  INSERT INTO spend_counters AS c (team_id, name, window_key, reserved, ceiling)
  SELECT :team, w.name, w.window_key, mine.amount, w.ceiling
    FROM mine, wanted w
   WHERE mine.amount <= w.ceiling
   ORDER BY w.name, w.window_key
  ON CONFLICT (team_id, name, window_key) DO UPDATE
     SET reserved = c.reserved + excluded.reserved, ceiling = excluded.ceiling, updated_at = now()
   WHERE c.used + c.reserved + excluded.reserved <= excluded.ceiling
  RETURNING c.name
)
SELECT (SELECT count(*) FROM mine) AS made, (SELECT coalesce(array_agg(name), '{}') FROM taken) AS taken;

-- find_reservation --
SELECT state, amount, actual, bridge_lease_left(lease_until) AS lease_left
  FROM reservations WHERE team_id = :team AND resource = :resource AND key = :key;

-- end_reservation --
-- Once: a reservation that has ended is not in the WHERE any more. One whose lease ran out gave back what
-- it held, but what was really spent is still counted, so that a later reservation meets it.
WITH ending AS MATERIALIZED (
  SELECT r.state, r.amount, r.parts FROM reservations r
   WHERE r.team_id = :team AND r.resource = :resource AND r.key = :key AND r.state IN ('held', 'lapsed')
     FOR UPDATE
),
ended AS (
  UPDATE reservations r
     SET state = :state, actual = :actual, ended_at = now()
    FROM ending
   WHERE r.team_id = :team AND r.resource = :resource AND r.key = :key
  RETURNING r.key
),
locked AS MATERIALIZED (
  SELECT c.name, c.window_key, p.kind, ending.amount, ending.state
    FROM ending, jsonb_to_recordset(ending.parts) AS p(name text, window_key text, kind text), spend_counters c
   WHERE c.team_id = :team AND c.name = p.name AND c.window_key = p.window_key
   ORDER BY c.name, c.window_key FOR UPDATE OF c
),
moved AS (
  UPDATE spend_counters c
     SET used = c.used + CASE WHEN l.kind = 'slot' THEN 0 ELSE :actual::bigint END,
         reserved = c.reserved - CASE WHEN l.state = 'lapsed' THEN 0 ELSE l.amount END,
         updated_at = now()
    FROM locked l
   WHERE c.team_id = :team AND c.name = l.name AND c.window_key = l.window_key
  RETURNING c.name
)
SELECT (SELECT count(*) FROM ended) AS ended, (SELECT count(*) FROM moved) AS moved;

-- held_under --
SELECT resource, amount FROM reservations WHERE team_id = :team AND key = :key AND state = 'held' ORDER BY resource;

-- keep_reservation --
UPDATE reservations SET lease_until = bridge_lease_end(:lease)
 WHERE team_id = :team AND resource = :resource AND key = :key AND state = 'held';

-- keep_under --
-- Its holder lives. Written only when half of the time has gone, so that a beat each second costs a look.
UPDATE reservations SET lease_until = bridge_lease_end(:lease::float8)
 WHERE team_id = :team AND state = 'held' AND (key = :key OR starts_with(key, :below::text))
   AND bridge_lease_left(lease_until) < :lease::float8 / 2;

-- end_leases --
-- What died between reserve and settle: its lease has run out, so it gives back what it held. Rows that
-- somebody is ending at this moment are left to them.
WITH gone AS MATERIALIZED (
  SELECT r.resource, r.key, r.amount, r.parts FROM reservations r
   WHERE r.team_id = :team AND r.state = 'held' AND bridge_lease_over(r.lease_until)
   ORDER BY r.lease_until LIMIT 500 FOR UPDATE SKIP LOCKED
),
ended AS (
  UPDATE reservations r SET state = 'lapsed', ended_at = now()
    FROM gone WHERE r.team_id = :team AND r.resource = gone.resource AND r.key = gone.key
  RETURNING r.key
),
freed AS MATERIALIZED (
  SELECT p.name, p.window_key, sum(gone.amount)::bigint AS amount
    FROM gone, jsonb_to_recordset(gone.parts) AS p(name text, window_key text)
   GROUP BY p.name, p.window_key
),
locked AS MATERIALIZED (
  SELECT c.name, c.window_key, freed.amount FROM spend_counters c JOIN freed USING (name, window_key)
   WHERE c.team_id = :team ORDER BY c.name, c.window_key FOR UPDATE OF c
),
moved AS (
  UPDATE spend_counters c SET reserved = c.reserved - l.amount, updated_at = now()
    FROM locked l WHERE c.team_id = :team AND c.name = l.name AND c.window_key = l.window_key
  RETURNING c.name
)
SELECT (SELECT count(*) FROM ended) AS ended, (SELECT count(*) FROM moved) AS moved;

-- read_counters --
SELECT c.name, c.window_key, c.used, c.reserved FROM spend_counters c
  JOIN jsonb_to_recordset(:parts) AS w(name text, window_key text) USING (name, window_key)
 WHERE c.team_id = :team;

-- read_overrides --
-- Only those in force: one whose time is over has no effect and is not shown.
SELECT o.name, o.value, o.reason, o.set_by, o.set_at, o.until FROM limit_overrides o
 WHERE o.team_id = :team AND (o.until IS NULL OR o.until > now());

-- read_rates --
SELECT o.name, o.value FROM limit_overrides o
 WHERE o.team_id = :team AND o.name = ANY(:names::text[]) AND (o.until IS NULL OR o.until > now());

-- set_override --
INSERT INTO limit_overrides (team_id, name, value, reason, set_by, until)
VALUES (:team, :name, :value, :reason, :by, :until)
ON CONFLICT (team_id, name) DO UPDATE
   SET value = excluded.value, reason = excluded.reason, set_by = excluded.set_by, set_at = now(),
       until = excluded.until;

-- remove_override --
-- `held`: whether it was still in force. One that was over had no effect, so taking it away changes nothing.
DELETE FROM limit_overrides WHERE team_id = :team AND name = :name
RETURNING value, until, (until IS NULL OR until > now()) AS held;

-- lock_override --
-- Of two administrators at once the second sees what the first one set.
SELECT value, until FROM limit_overrides
 WHERE team_id = :team AND name = :name AND (until IS NULL OR until > now()) FOR UPDATE;

-- read_flags --
SELECT f.name, f.enabled, f.reason, f.set_by, f.set_at, f.until FROM flag_overrides f
 WHERE f.team_id = :team AND (f.until IS NULL OR f.until > now());

-- find_flag --
SELECT f.enabled FROM flag_overrides f
 WHERE f.team_id = :team AND f.name = :name AND (f.until IS NULL OR f.until > now());

-- lock_flag --
SELECT enabled, until FROM flag_overrides
 WHERE team_id = :team AND name = :name AND (until IS NULL OR until > now()) FOR UPDATE;

-- remove_flag --
DELETE FROM flag_overrides WHERE team_id = :team AND name = :name
RETURNING enabled, until, (until IS NULL OR until > now()) AS held;

-- set_flag --
INSERT INTO flag_overrides (team_id, name, enabled, reason, set_by, until)
VALUES (:team, :name, :enabled, :reason, :by, :until)
ON CONFLICT (team_id, name) DO UPDATE
   SET enabled = excluded.enabled, reason = excluded.reason, set_by = excluded.set_by, set_at = now(),
       until = excluded.until;

-- team_exists --
SELECT id FROM teams WHERE id = :team;

-- purge_reservations --
SELECT bridge_purge_reservations(make_interval(days => :days), :batch) AS removed;

-- purge_spend_counters --
SELECT bridge_purge_spend_counters(make_interval(days => :days), :batch) AS removed;
