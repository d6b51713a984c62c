-- add_connection --
-- A repeated request has the same id and finds its first row; a name that another connection of the team
-- holds is a violation of the other key, which the service answers.
INSERT INTO connections (id, team_id, name, connection_type, credentials_uri, credentials_generation, created_by)
VALUES (:id, :team, :name, :type, :uri, :generation, :user)
ON CONFLICT (id) DO NOTHING;

-- find_connection --
SELECT id, team_id, name, connection_type, status, validation_error, validated_at, credentials_generation,
       catalog_version, created_at
  FROM connections WHERE id = :id AND team_id = :team;

-- find_connection_by_name --
-- An id wins over a name that looks like one.
SELECT id, team_id, name, connection_type, status, validation_error, validated_at, credentials_generation,
       catalog_version, created_at
  FROM connections WHERE team_id = :team AND (id::text = :given OR name = :given)
 ORDER BY (id::text = :given) DESC LIMIT 1;

-- existing_connections --
SELECT id FROM connections WHERE team_id = :team AND id = ANY(:ids::uuid[]);

-- team_of_connection --
SELECT team_id FROM connections WHERE id = :id AND team_id = ANY(bridge_teams());

-- team_of_deleted_connection --
-- A delete that is repeated is answered like the first: the audit log remembers whose it was.
SELECT team_id FROM audit_log
 WHERE action = 'connection.deleted' AND target = :id AND team_id = ANY(bridge_teams()) LIMIT 1;

-- list_connections --
SELECT id, team_id, name, connection_type, status, validation_error, validated_at, created_at
  FROM connections
 WHERE team_id = :team
   AND (:after_at::timestamptz IS NULL OR (created_at, id) < (:after_at::timestamptz, :after_id::uuid))
 ORDER BY created_at DESC, id DESC LIMIT :limit OFFSET :offset;

-- count_catalog --
SELECT (SELECT count(*) FROM datasets d WHERE d.connection_id = :id AND d.team_id = :team
           AND d.removed_at IS NULL) AS datasets,
       (SELECT count(*) FROM tables t JOIN datasets d ON d.id = t.dataset_id
         WHERE d.connection_id = :id AND t.team_id = :team AND d.removed_at IS NULL
           AND t.removed_at IS NULL) AS tables;

-- record_validation --
-- Only for the credentials that were tried: a rotation in between makes the outcome meaningless.
UPDATE connections
   SET status = :status, validation_error = :error, validated_at = now(), updated_at = now()
 WHERE id = :id AND team_id = :team AND credentials_generation = :generation;

-- rotate_credentials --
-- Generations only grow, so of two rotations at once the row ends with the object that stands.
UPDATE connections
   SET credentials_uri = :uri, credentials_generation = :generation, status = 'pending_validation',
       validation_error = NULL, validated_at = NULL, updated_at = now()
 WHERE id = :id AND team_id = :team AND credentials_generation < :generation;

-- delete_connection --
DELETE FROM connections WHERE id = :id AND team_id = :team;
