DROP FUNCTION bridge_team_of_scan(uuid, uuid);
ALTER TABLE tables DROP COLUMN search;
DROP FUNCTION bridge_words(text);
