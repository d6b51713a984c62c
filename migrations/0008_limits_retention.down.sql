DROP FUNCTION bridge_purge_spend_counters(interval, integer);
DROP FUNCTION bridge_purge_reservations(interval, integer);
