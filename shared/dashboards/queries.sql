-- heads_by_slug --
-- All that a request for data needs, in one statement: the row and the state of its connection. It is
-- the one read of the connections table outside its package, because a second round trip would be paid
-- by every cached load.
SELECT d.id, d.team_id, d.slug, d.title, d.status, d.errors, d.version, d.cache_epoch, d.timezone,
       d.connection_id, d.owner_id, d.object_generation, d.refresh_ttl_seconds,
       c.credentials_generation, c.catalog_version, c.status AS connection_status
  FROM dashboards d LEFT JOIN connections c ON c.id = d.connection_id AND c.team_id = d.team_id
 WHERE d.slug = :slug AND d.team_id = ANY(bridge_teams()) AND (:team::uuid IS NULL OR d.team_id = :team)
 LIMIT 2;

-- tombstones_by_slug --
SELECT team_id FROM dashboard_tombstones
 WHERE slug = :slug AND team_id = ANY(bridge_teams()) AND (:team::uuid IS NULL OR team_id = :team) LIMIT 2;

-- find_dashboard --
SELECT d.*, u.email AS owner_email, c.name AS connection_name
  FROM dashboards d
  LEFT JOIN users u ON u.id = d.owner_id
  LEFT JOIN connections c ON c.id = d.connection_id AND c.team_id = d.team_id
 WHERE d.team_id = :team AND d.slug = :slug;

-- list_dashboards --
SELECT d.id, d.team_id, d.slug, d.title, d.description, d.view_type, d.tags, d.status, d.version, d.updated_at,
       d.created_at, d.last_viewed_at, d.access_count, u.email AS owner_email,
       jsonb_array_length(coalesce(d.page->'tiles', '[]'::jsonb)) AS tile_count
  FROM dashboards d LEFT JOIN users u ON u.id = d.owner_id
 WHERE d.team_id = :team
   AND (:view_type::text IS NULL OR d.view_type = :view_type)
   AND (:owner::text IS NULL OR u.email = lower(:owner) OR d.owner_id::text = :owner)
   AND (:tag::text IS NULL OR :tag = ANY(d.tags))
   AND (:q::text IS NULL OR strpos(lower(d.title || ' ' || d.slug || ' ' || d.description), lower(:q)) > 0)
   AND (:after_time::timestamptz IS NULL OR (d.updated_at, d.id) < (:after_time::timestamptz, :after_id::uuid))
 ORDER BY d.updated_at DESC, d.id DESC LIMIT :limit OFFSET :offset;

-- slugs_like --
SELECT slug FROM dashboards WHERE team_id = :team AND (slug = :slug OR starts_with(slug, :slug || '-'));

-- team_exists --
SELECT id FROM teams WHERE id = :team;

-- find_member_by_email --
SELECT u.id, u.email FROM users u JOIN team_members m ON m.user_id = u.id
 WHERE m.team_id = :team AND u.email = lower(:email);

-- find_member --
SELECT u.id, u.email FROM users u JOIN team_members m ON m.user_id = u.id
 WHERE m.team_id = :team AND u.id = :user;

-- find_version --
SELECT v.id, v.dashboard_id, v.version, v.object_generation, v.content_sha256, d.slug, d.title, d.object_uri
  FROM dashboard_versions v JOIN dashboards d ON d.id = v.dashboard_id
 WHERE v.team_id = :team AND v.id = :id;

-- put_dashboard --
-- The generation decides: a save and the event of its own object, or two events in any order, leave the
-- row of the newest object, and the loser touches nothing. A deleted object does not come back. An object
-- that could not be checked, or was missing, may be found good later: that is no new version.
INSERT INTO dashboards AS d (id, team_id, slug, title, description, view_type, tags, owner_id, connection_id,
                             status, errors, version, content_sha256, object_uri, object_generation, timezone,
                             page, refresh_ttl_seconds, refresh_schedule, next_warm_at, created_at)
SELECT :id, :team, :slug, :title, :description, :view_type, :tags::text[], :owner, :connection, :status, :errors,
       1, :sha, :uri, :generation, :timezone, :page, :ttl, :schedule, :next_warm_at, now()
 WHERE NOT EXISTS (SELECT 1 FROM dashboard_tombstones t
                    WHERE t.team_id = :team AND t.slug = :slug AND t.object_generation >= :generation)
ON CONFLICT (team_id, slug) DO UPDATE
   SET title = excluded.title, description = excluded.description, view_type = excluded.view_type,
       tags = excluded.tags, owner_id = coalesce(d.owner_id, excluded.owner_id),
       connection_id = excluded.connection_id, status = excluded.status, errors = excluded.errors,
       version = d.version + (d.object_generation < excluded.object_generation)::int, content_sha256 = excluded.content_sha256,
       object_generation = excluded.object_generation, timezone = excluded.timezone, page = excluded.page,
       refresh_ttl_seconds = excluded.refresh_ttl_seconds, refresh_schedule = excluded.refresh_schedule,
       next_warm_at = excluded.next_warm_at, updated_at = now()
 WHERE d.object_generation < excluded.object_generation
    OR (d.object_generation = excluded.object_generation AND d.status = 'invalid' AND excluded.status = 'ready')
RETURNING id, version;

-- dashboards_between --
SELECT name, team_id, slug, object_generation, missing FROM bridge_dashboards_between(:after, :upto, :most);

-- tombstones_of --
SELECT slug, object_generation FROM dashboard_tombstones WHERE team_id = :team AND slug = ANY(:slugs::text[]);

-- mark_missing --
-- Only the row of the object that was looked for: who saves again meanwhile has another generation.
UPDATE dashboards SET status = 'invalid', errors = :errors::jsonb, updated_at = now()
 WHERE team_id = :team AND slug = :slug AND object_generation = :generation
   AND NOT errors @> '[{"code": "DOCUMENT_MISSING"}]'
RETURNING id;

-- add_version --
INSERT INTO dashboard_versions (id, team_id, dashboard_id, version, content_sha256, object_generation, author_id, summary)
VALUES (:id, :team, :dashboard, :version, :sha, :generation, :author, :summary)
ON CONFLICT DO NOTHING;

-- list_versions --
SELECT v.version, v.content_sha256, v.object_generation, v.summary, v.created_at, u.email AS author_email
  FROM dashboard_versions v LEFT JOIN users u ON u.id = v.author_id
 WHERE v.team_id = :team AND v.dashboard_id = :dashboard AND (:before::integer IS NULL OR v.version < :before)
 ORDER BY v.version DESC LIMIT :limit;

-- find_version_number --
SELECT version, content_sha256, object_generation, created_at FROM dashboard_versions
 WHERE team_id = :team AND dashboard_id = :dashboard AND version = :version;

-- forget_lineage --
DELETE FROM lineage_edges WHERE team_id = :team AND dashboard_id = :dashboard;

-- add_lineage --
INSERT INTO lineage_edges (team_id, dashboard_id, query_id, table_name, column_path, tiles)
SELECT :team, :dashboard, r.query_id, r.table_name, r.column_path, r.tiles
  FROM jsonb_to_recordset(:rows) AS r(query_id text, table_name text, column_path text, tiles text[])
ON CONFLICT DO NOTHING;

-- bury_dashboard --
INSERT INTO dashboard_tombstones AS t (team_id, slug, object_generation) VALUES (:team, :slug, :generation)
ON CONFLICT (team_id, slug) DO UPDATE
   SET object_generation = greatest(t.object_generation, excluded.object_generation), created_at = now();

-- remove_dashboard --
DELETE FROM dashboards WHERE team_id = :team AND slug = :slug RETURNING id, object_generation;

-- remove_generation --
DELETE FROM dashboards WHERE team_id = :team AND slug = :slug AND object_generation = :generation;

-- follow_object --
-- Only the row that pointed at the old object: its event may have been faster than the undoing.
UPDATE dashboards SET object_generation = :new WHERE team_id = :team AND id = :id AND object_generation = :old;

-- follow_version --
UPDATE dashboard_versions SET object_generation = :new
 WHERE team_id = :team AND dashboard_id = :id AND object_generation = :old;

-- next_epoch --
UPDATE dashboards SET cache_epoch = cache_epoch + 1 WHERE team_id = :team AND id = :id RETURNING cache_epoch;

-- count_views --
UPDATE dashboards SET access_count = access_count + :views, last_viewed_at = now()
 WHERE team_id = :team AND id = :id;

-- claim_due --
SELECT team_id, dashboard_id, slug, version, due_at FROM bridge_claim_due_dashboards(:most);

-- set_warmed --
UPDATE dashboards SET last_warmed_at = now(), next_warm_at = :next_warm_at WHERE team_id = :team AND id = :id;
