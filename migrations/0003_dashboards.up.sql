-- Dashboards: pointers to the documents in the lake, what the page needs of them, their history.

CREATE TABLE dashboards (
  id uuid PRIMARY KEY,
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  slug text NOT NULL CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,78}[a-z0-9])?$'),
  title text NOT NULL,
  description text NOT NULL DEFAULT '',
  view_type text NOT NULL DEFAULT 'analytical' CHECK (view_type IN ('analytical', 'operational', 'strategic')),
  tags text[] NOT NULL DEFAULT '{}',
  owner_id uuid REFERENCES users ON DELETE SET NULL,
  connection_id uuid REFERENCES connections ON DELETE SET NULL,
  status text NOT NULL CHECK (status IN ('ready', 'invalid')),
  errors jsonb NOT NULL DEFAULT '[]',
  version integer NOT NULL CHECK (version >= 1),
  content_sha256 text NOT NULL,
  object_uri text NOT NULL,
  object_generation bigint NOT NULL,
  timezone text NOT NULL DEFAULT 'UTC',
  page jsonb NOT NULL DEFAULT '{}',
  refresh_ttl_seconds integer NOT NULL DEFAULT 86400,
  refresh_schedule text,
  next_warm_at timestamptz,
  last_warmed_at timestamptz,
  cache_epoch integer NOT NULL DEFAULT 0,
  last_viewed_at timestamptz,
  access_count bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (team_id, slug)
);
CREATE INDEX dashboards_latest_first ON dashboards (team_id, updated_at DESC, id DESC);
CREATE INDEX dashboards_due ON dashboards (next_warm_at) WHERE status = 'ready' AND next_warm_at IS NOT NULL;
CREATE INDEX dashboards_by_connection ON dashboards (connection_id);

-- A version's id is the id of the save that made it, so that a repeated save meets its own row.
CREATE TABLE dashboard_versions (
  id uuid PRIMARY KEY,
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  dashboard_id uuid NOT NULL REFERENCES dashboards ON DELETE CASCADE,
  version integer NOT NULL,
  content_sha256 text NOT NULL,
  object_generation bigint NOT NULL,
  author_id uuid REFERENCES users ON DELETE SET NULL,
  summary jsonb NOT NULL DEFAULT '[]',
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (dashboard_id, version),
  UNIQUE (dashboard_id, object_generation)
);

-- What was deleted, so that a late event of its object does not bring it back and a repeated DELETE is
-- answered as the first one was.
CREATE TABLE dashboard_tombstones (
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  slug text NOT NULL,
  object_generation bigint NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (team_id, slug)
);

CREATE TABLE lineage_edges (
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  dashboard_id uuid NOT NULL REFERENCES dashboards ON DELETE CASCADE,
  query_id text NOT NULL,
  table_name text NOT NULL,
  column_path text NOT NULL DEFAULT '',
  tiles text[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (dashboard_id, query_id, table_name, column_path)
);
CREATE INDEX lineage_edges_downstream ON lineage_edges (team_id, table_name, column_path);

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['dashboards', 'dashboard_versions', 'dashboard_tombstones', 'lineage_edges']
  LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY tenant ON %I TO bridge_app USING (team_id = ANY(bridge_teams()))', t);
    EXECUTE format('CREATE POLICY owner ON %I TO bridge_owner USING (true)', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO bridge_app', t);
  END LOOP;
END $$;

-- The clock warms dashboards of every team: this names the due ones and nothing else of them. Taking a
-- dashboard pushes its next time away by an hour, so two ticks do not queue it twice; the warming sets
-- the real next time. Those that nobody opened for two weeks are left alone.
CREATE FUNCTION bridge_claim_due_dashboards(most integer)
RETURNS TABLE (team_id uuid, dashboard_id uuid, slug text, version integer, due_at timestamptz)
LANGUAGE sql SECURITY DEFINER SET search_path = public AS $$
  WITH due AS (
    SELECT d.id, d.next_warm_at FROM dashboards d
     WHERE d.status = 'ready' AND d.next_warm_at <= now()
       AND (d.refresh_schedule IS NOT NULL
            OR coalesce(d.last_viewed_at, d.created_at) > now() - interval '14 days')
     ORDER BY d.next_warm_at LIMIT most FOR UPDATE SKIP LOCKED
  )
  UPDATE dashboards d SET next_warm_at = now() + interval '1 hour'
    FROM due WHERE d.id = due.id
  RETURNING d.team_id, d.id, d.slug, d.version, due.next_warm_at
$$;
REVOKE ALL ON FUNCTION bridge_claim_due_dashboards(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bridge_claim_due_dashboards(integer) TO bridge_app;
