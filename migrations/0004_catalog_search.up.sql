-- Words to search the catalog by, kept with each table, and whose scan a snapshot belongs to.

-- A name as words: flightDelays_2013 is "flight Delays 2013".
CREATE FUNCTION bridge_words(name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT regexp_replace(regexp_replace(coalesce(name, ''), '([a-z0-9])([A-Z])', '\1 \2', 'g'), '[^[:alnum:]]+', ' ', 'g') $$;

-- Written by the step that indexes a snapshot: the table's name weighs most (A), then the names of its
-- columns (B), then what is written about them (C). No index: row-level security keeps the planner from
-- evaluating @@ before the tenant's predicate (the operator is not leak-proof), so a search reads the
-- team's tables, and one ready-made document a table makes that fast enough.
ALTER TABLE tables ADD COLUMN search tsvector NOT NULL DEFAULT '';

UPDATE tables t
   SET search = setweight(to_tsvector('english', bridge_words(t.name)), 'A')
             || setweight(to_tsvector('english', bridge_words(c.names)), 'B')
             || setweight(to_tsvector('english', coalesce(t.description, '') || ' ' || coalesce(c.descriptions, '')), 'C')
  FROM (SELECT t2.id, string_agg(c2.path, ' ') AS names, string_agg(c2.description, ' ') AS descriptions
          FROM tables t2 LEFT JOIN columns c2 ON c2.table_id = t2.id AND c2.removed_at IS NULL
         GROUP BY t2.id) c
 WHERE c.id = t.id;

-- A finalize event names a connection and a scan, and no team: the directory knows whose they are.
CREATE FUNCTION bridge_team_of_scan(scan uuid, connection uuid) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS
$$ SELECT team_id FROM scans WHERE id = scan AND connection_id = connection $$;
REVOKE ALL ON FUNCTION bridge_team_of_scan(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bridge_team_of_scan(uuid, uuid) TO bridge_app;
