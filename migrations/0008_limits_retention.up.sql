-- The night's retention removes what limits have left behind, of every team, in batches.

-- A reservation that has ended answers a repeated attempt for as long as a queue may deliver one.
CREATE FUNCTION bridge_purge_reservations(older interval, most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public AS $$
  WITH gone AS (
    DELETE FROM reservations r WHERE (r.team_id, r.resource, r.key) IN (
      SELECT o.team_id, o.resource, o.key FROM reservations o
       WHERE o.state <> 'held' AND o.ended_at < now() - older
       ORDER BY o.ended_at LIMIT most FOR UPDATE SKIP LOCKED)
    RETURNING 1)
  SELECT count(*) FROM gone
$$;

-- A counter of a day, month, turn or conversation that nothing has moved for long. One that still promises
-- something stays, and so does what counts the present.
CREATE FUNCTION bridge_purge_spend_counters(older interval, most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public AS $$
  WITH gone AS (
    DELETE FROM spend_counters c WHERE (c.team_id, c.name, c.window_key) IN (
      SELECT o.team_id, o.name, o.window_key FROM spend_counters o
       WHERE o.updated_at < now() - older AND o.reserved = 0 AND o.window_key <> 'now'
       ORDER BY o.updated_at LIMIT most FOR UPDATE SKIP LOCKED)
    RETURNING 1)
  SELECT count(*) FROM gone
$$;

REVOKE ALL ON FUNCTION bridge_purge_reservations(interval, integer), bridge_purge_spend_counters(interval, integer)
  FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bridge_purge_reservations(interval, integer), bridge_purge_spend_counters(interval, integer)
  TO bridge_app;
