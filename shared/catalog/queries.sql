-- lock_connection_scans --
-- One scan is opened at a time for a connection. Not the connection's row: the steps of a running scan
-- lock a dataset first and that row last.
SELECT pg_advisory_xact_lock(hashtextextended(:connection, 7216));

-- running_scan --
-- A scan that has not ended after an hour has lost a step for good; it doesn't hold up the next one, nor
-- does one whose job was cancelled or failed.
SELECT s.id FROM scans s JOIN jobs j ON j.id = s.id AND j.team_id = :team
 WHERE s.connection_id = :connection AND s.team_id = :team AND s.closed_at IS NULL
   AND j.state IN ('queued', 'running') AND s.created_at > now() - interval '1 hour'
 ORDER BY s.created_at DESC LIMIT 1;

-- open_scan --
INSERT INTO scans (id, team_id, connection_id, datasets)
VALUES (:id, :team, :connection, :datasets::text[]) ON CONFLICT (id) DO NOTHING;

-- find_scan --
SELECT id, team_id, connection_id, datasets, created_at FROM scans
 WHERE id = :id AND team_id = :team AND connection_id = :connection;

-- team_of_scan --
SELECT bridge_team_of_scan(:id, :connection) AS team_id;

-- close_scan --
UPDATE scans SET closed_at = now(), updated_at = now()
 WHERE id = :id AND team_id = :team AND closed_at IS NULL;

-- upsert_datasets --
-- In name order, so that two listings at once lock rows in the same order. What a location that did not
-- answer could not tell keeps its last known value.
INSERT INTO datasets AS d (id, team_id, connection_id, name, fully_qualified_name, description, location, last_modified)
SELECT r.id, :team, :connection, r.name, r.fully_qualified_name, r.description, r.location, r.last_modified
  FROM jsonb_to_recordset(:rows::jsonb) AS r(id uuid, name text, fully_qualified_name text, description text,
                                      location text, last_modified timestamptz)
 ORDER BY r.name
ON CONFLICT (connection_id, name) DO UPDATE
   SET description = excluded.description,
       location = excluded.location, last_modified = excluded.last_modified, removed_at = NULL, updated_at = now()
 WHERE d.removed_at IS NOT NULL
    OR (d.description, d.location, d.last_modified)
       IS DISTINCT FROM (excluded.description, excluded.location, excluded.last_modified)
RETURNING d.id;

-- keep_known_details --
-- For datasets whose location did not answer: they exist, nothing else is known.
INSERT INTO datasets AS d (id, team_id, connection_id, name, fully_qualified_name, location)
SELECT r.id, :team, :connection, r.name, r.fully_qualified_name, r.location
  FROM jsonb_to_recordset(:rows::jsonb) AS r(id uuid, name text, fully_qualified_name text, location text)
 ORDER BY r.name
ON CONFLICT (connection_id, name) DO UPDATE SET removed_at = NULL, updated_at = now()
 WHERE d.removed_at IS NOT NULL
RETURNING d.id;

-- mark_datasets_removed --
UPDATE datasets SET removed_at = now(), updated_at = now()
 WHERE connection_id = :connection AND team_id = :team AND removed_at IS NULL
   AND name <> ALL(:names::text[])
RETURNING id;

-- bump_catalog_version --
UPDATE connections SET catalog_version = catalog_version + 1, updated_at = now()
 WHERE id = :connection AND team_id = :team;

-- catalog_version --
SELECT catalog_version FROM connections WHERE id = :connection AND team_id = :team;

-- lock_dataset --
-- Snapshots of one dataset are applied one after the other.
SELECT id, name, content_sha256, last_scanned_at, removed_at FROM datasets
 WHERE connection_id = :connection AND team_id = :team AND name = :name FOR UPDATE;

-- touch_dataset --
UPDATE datasets SET last_scanned_at = :at WHERE id = :id AND team_id = :team;

-- record_content --
UPDATE datasets SET last_scanned_at = :at, content_sha256 = :sha, updated_at = now()
 WHERE id = :id AND team_id = :team;

-- upsert_tables --
INSERT INTO tables AS t (id, team_id, dataset_id, name, fully_qualified_name, table_type, row_count, size_bytes,
                         partitioning, clustering, description, last_modified)
SELECT r.id, :team, :dataset, r.name, r.fully_qualified_name, r.table_type, r.row_count, r.size_bytes,
       nullif(r.partitioning, 'null'), nullif(r.clustering, 'null'), r.description, r.last_modified
  FROM jsonb_to_recordset(:rows::jsonb) AS r(id uuid, name text, fully_qualified_name text, table_type text,
                                      row_count bigint, size_bytes bigint, partitioning jsonb, clustering jsonb,
                                      description text, last_modified timestamptz)
ON CONFLICT (dataset_id, name) DO UPDATE
   SET table_type = excluded.table_type, row_count = excluded.row_count, size_bytes = excluded.size_bytes,
       partitioning = excluded.partitioning, clustering = excluded.clustering,
       description = excluded.description, last_modified = excluded.last_modified,
       removed_at = NULL, updated_at = now()
 WHERE t.removed_at IS NOT NULL
    OR (t.table_type, t.row_count, t.size_bytes, t.partitioning, t.clustering, t.description, t.last_modified)
       IS DISTINCT FROM (excluded.table_type, excluded.row_count, excluded.size_bytes, excluded.partitioning,
                         excluded.clustering, excluded.description, excluded.last_modified);

-- table_ids --
SELECT id, name FROM tables
 WHERE dataset_id = :dataset AND team_id = :team AND name = ANY(:names::text[]);

-- upsert_columns --
-- The rows carry their table's id: joined by name, the planner takes both sides, new in this transaction and
-- unknown to its statistics, for small and compares each with every other.
INSERT INTO columns AS c (id, team_id, table_id, path, data_type, mode, description, position)
SELECT r.id, :team, r.table_id, r.path, r.data_type, r.mode, r.description, r.position
  FROM jsonb_to_recordset(:rows::jsonb) AS r(id uuid, table_id uuid, path text, data_type text, mode text,
                                             description text, position integer)
ON CONFLICT (table_id, path) DO UPDATE
   SET data_type = excluded.data_type, mode = excluded.mode, description = excluded.description,
       position = excluded.position, removed_at = NULL, updated_at = now()
 WHERE c.removed_at IS NOT NULL
    OR (c.data_type, c.mode, c.description, c.position)
       IS DISTINCT FROM (excluded.data_type, excluded.mode, excluded.description, excluded.position);

-- mark_columns_removed --
-- Among the tables of one batch: a column that the snapshot does not name any more. A long list of constants
-- is probed by hash, whatever the planner believes about the tables.
UPDATE columns SET removed_at = now(), updated_at = now()
 WHERE table_id = ANY(:tables::uuid[]) AND team_id = :team AND removed_at IS NULL
   AND table_id::text || ' ' || path <> ALL(:kept::text[]);

-- mark_tables_removed --
UPDATE tables SET removed_at = now(), updated_at = now()
 WHERE dataset_id = :dataset AND team_id = :team AND removed_at IS NULL AND name <> ALL(:names::text[]);

-- count_catalog --
SELECT (SELECT count(*) FROM datasets d WHERE d.connection_id = :connection AND d.team_id = :team
           AND d.removed_at IS NULL) AS datasets,
       (SELECT count(*) FROM tables t JOIN datasets d ON d.id = t.dataset_id
         WHERE d.connection_id = :connection AND t.team_id = :team
           AND d.removed_at IS NULL AND t.removed_at IS NULL) AS tables,
       (SELECT count(*) FROM columns c JOIN tables t ON t.id = c.table_id JOIN datasets d ON d.id = t.dataset_id
         WHERE d.connection_id = :connection AND c.team_id = :team
           AND d.removed_at IS NULL AND t.removed_at IS NULL AND c.removed_at IS NULL) AS columns;

-- list_datasets --
SELECT id, name, fully_qualified_name, description, location, last_modified, last_scanned_at
  FROM datasets
 WHERE connection_id = :connection AND team_id = :team AND removed_at IS NULL
   AND (:after_name::text IS NULL OR name > :after_name::text)
 ORDER BY name LIMIT :limit OFFSET :offset;

-- datasets_by_id --
SELECT id, name, fully_qualified_name, description, location, last_modified, last_scanned_at
  FROM datasets
 WHERE connection_id = :connection AND team_id = :team AND removed_at IS NULL AND id = ANY(:ids::uuid[])
 ORDER BY name;

-- dataset_by_name --
SELECT id, name, fully_qualified_name, description, location, last_modified, last_scanned_at
  FROM datasets
 WHERE connection_id = :connection AND team_id = :team AND name = :name;

-- team_of_dataset --
SELECT team_id FROM datasets WHERE id = :id AND team_id = ANY(bridge_teams()) AND removed_at IS NULL;

-- team_of_table --
SELECT team_id FROM tables WHERE id = :id AND team_id = ANY(bridge_teams()) AND removed_at IS NULL;

-- list_tables_of_dataset --
SELECT id, name, fully_qualified_name, table_type, row_count, size_bytes, partitioning, clustering, description,
       last_modified
  FROM tables
 WHERE dataset_id = :dataset AND team_id = :team AND removed_at IS NULL
   AND (:after_name::text IS NULL OR name > :after_name::text)
 ORDER BY name LIMIT :limit OFFSET :offset;

-- list_tables_of_connection --
SELECT t.id, t.name, t.fully_qualified_name, t.table_type, t.row_count, t.size_bytes, t.partitioning, t.clustering,
       t.description, t.last_modified
  FROM tables t JOIN datasets d ON d.id = t.dataset_id
 WHERE d.connection_id = :connection AND d.team_id = :team AND t.team_id = :team
   AND d.removed_at IS NULL AND t.removed_at IS NULL
   AND (:dataset::text IS NULL OR d.name = :dataset::text OR d.fully_qualified_name = :dataset::text)
 ORDER BY t.fully_qualified_name LIMIT :limit;

-- find_tables --
-- By name (project.dataset.table or dataset.table) or by id, many at once.
SELECT t.id, t.name, t.fully_qualified_name, t.table_type, t.row_count, t.size_bytes, t.partitioning, t.clustering,
       t.description, t.last_modified
  FROM tables t JOIN datasets d ON d.id = t.dataset_id
 WHERE d.connection_id = :connection AND d.team_id = :team AND t.team_id = :team
   AND d.removed_at IS NULL AND t.removed_at IS NULL
   AND (t.fully_qualified_name = ANY(:names::text[]) OR d.name || '.' || t.name = ANY(:names::text[])
        OR t.id::text = ANY(:names::text[]))
 ORDER BY t.fully_qualified_name;

-- columns_of_tables --
SELECT table_id, path, data_type, mode, description, position
  FROM columns
 WHERE table_id = ANY(:tables::uuid[]) AND team_id = :team AND removed_at IS NULL
 ORDER BY table_id, position;

-- columns_of_table --
SELECT id, path, data_type, mode, description, position
  FROM columns
 WHERE table_id = :table AND team_id = :team AND removed_at IS NULL
   AND (:after_position::int IS NULL OR position > :after_position::int)
 ORDER BY position LIMIT :limit OFFSET :offset;

-- index_words --
-- One document a table of the batch; bridge_words splits names at underscores and camel case.
UPDATE tables t
   SET search = setweight(to_tsvector('english', bridge_words(t.name)), 'A')
             || setweight(to_tsvector('english', bridge_words(
                  (SELECT string_agg(c.path, ' ') FROM columns c
                    WHERE c.table_id = t.id AND c.team_id = :team AND c.removed_at IS NULL))), 'B')
             || setweight(to_tsvector('english', coalesce(t.description, '') || ' ' || coalesce(
                  (SELECT string_agg(c.description, ' ') FROM columns c
                    WHERE c.table_id = t.id AND c.team_id = :team AND c.removed_at IS NULL), '')), 'C')
 WHERE t.id = ANY(:tables::uuid[]) AND t.team_id = :team;

-- search --
-- ts_rank damps repetition, so a table that has all the words comes before one that has one of them often.
SELECT t.id, d.connection_id, t.fully_qualified_name, t.table_type, t.description,
       ts_rank('{0.05, 0.2, 0.5, 1.0}', t.search, wanted.query)::float8 AS score
  FROM to_tsquery('english', :words) AS wanted(query), tables t
  JOIN datasets d ON d.id = t.dataset_id AND d.team_id = :team AND d.removed_at IS NULL
 WHERE t.team_id = :team AND t.removed_at IS NULL AND t.search @@ wanted.query
   AND (:connection::uuid IS NULL OR d.connection_id = :connection::uuid)
 ORDER BY score DESC, t.fully_qualified_name, t.id LIMIT :limit;

-- matching_columns --
SELECT c.table_id, c.path
  FROM columns c
 WHERE c.table_id = ANY(:tables::uuid[]) AND c.team_id = :team AND c.removed_at IS NULL
   AND to_tsvector('english', bridge_words(c.path) || ' ' || coalesce(c.description, '')) @@ to_tsquery('english', :words)
 ORDER BY c.table_id, c.position;
