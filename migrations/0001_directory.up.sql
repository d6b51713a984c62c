-- The directory: small rows, ids made by the application, pointers into the lake.
--
-- Tenancy: every tenant table has `team_id` and a forced row-level policy that compares it with the
-- teams of the transaction (bridge_teams()). The application role owns nothing and bypasses nothing.
-- What must look across teams (resolve a credential, find due dashboards) is a narrow SECURITY DEFINER
-- function owned by bridge_owner, for whom a separate policy opens the tables.

CREATE FUNCTION bridge_teams() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT string_to_array(nullif(current_setting('bridge.teams', true), ''), ',')::uuid[] $$;

CREATE FUNCTION bridge_user() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT nullif(current_setting('bridge.user', true), '')::uuid $$;

-- People ---------------------------------------------------------------------------------------

CREATE TABLE users (
  id uuid PRIMARY KEY,
  email text NOT NULL CHECK (email = lower(email) AND length(email) BETWEEN 3 AND 254),
  name text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (email)
);

CREATE TABLE auth_sessions (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  token_sha256 text NOT NULL UNIQUE,
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX auth_sessions_by_user ON auth_sessions (user_id);

CREATE TABLE access_tokens (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  name text NOT NULL,
  token_sha256 text NOT NULL UNIQUE,
  scopes text[] NOT NULL DEFAULT '{}',
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX access_tokens_by_user ON access_tokens (user_id, created_at DESC);

-- Teams ----------------------------------------------------------------------------------------

CREATE TABLE teams (
  id uuid PRIMARY KEY,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
  slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]([a-z0-9-]*[a-z0-9])?$'),
  settings jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE team_members (
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  role text NOT NULL CHECK (role IN ('member', 'admin')),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (team_id, user_id)
);
CREATE INDEX team_members_by_user ON team_members (user_id);

-- Connections and catalog ----------------------------------------------------------------------

CREATE TABLE connections (
  id uuid PRIMARY KEY,
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
  connection_type text NOT NULL CHECK (connection_type IN ('bigquery', 'postgres', 'snowflake')),
  status text NOT NULL DEFAULT 'pending_validation'
    CHECK (status IN ('pending_validation', 'validated', 'failed')),
  validation_error text,
  validated_at timestamptz,
  credentials_uri text NOT NULL,
  credentials_generation bigint NOT NULL,
  catalog_version bigint NOT NULL DEFAULT 0,
  created_by uuid REFERENCES users ON DELETE SET NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (team_id, name)
);
CREATE INDEX connections_newest_first ON connections (team_id, created_at DESC, id DESC);

CREATE TABLE datasets (
  id uuid PRIMARY KEY,
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  connection_id uuid NOT NULL REFERENCES connections ON DELETE CASCADE,
  name text NOT NULL,
  fully_qualified_name text NOT NULL,
  description text,
  location text,
  last_modified timestamptz,
  last_scanned_at timestamptz,
  content_sha256 text,
  removed_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (connection_id, name)
);

CREATE TABLE tables (
  id uuid PRIMARY KEY,
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  dataset_id uuid NOT NULL REFERENCES datasets ON DELETE CASCADE,
  name text NOT NULL,
  fully_qualified_name text NOT NULL,
  table_type text NOT NULL,
  row_count bigint,
  size_bytes bigint,
  partitioning jsonb,
  clustering jsonb,
  description text,
  last_modified timestamptz,
  removed_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (dataset_id, name)
);

CREATE TABLE columns (
  id uuid PRIMARY KEY,
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  table_id uuid NOT NULL REFERENCES tables ON DELETE CASCADE,
  path text NOT NULL,
  data_type text NOT NULL,
  mode text NOT NULL DEFAULT 'NULLABLE' CHECK (mode IN ('NULLABLE', 'REQUIRED', 'REPEATED')),
  description text,
  position integer NOT NULL,
  removed_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (table_id, path)
);

CREATE TABLE scans (
  id uuid PRIMARY KEY,
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  connection_id uuid NOT NULL REFERENCES connections ON DELETE CASCADE,
  datasets text[] NOT NULL,
  closed_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX scans_by_connection ON scans (connection_id, created_at DESC);

-- Background work ------------------------------------------------------------------------------

CREATE TABLE jobs (
  id uuid PRIMARY KEY,
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  kind text NOT NULL,
  state text NOT NULL
    CHECK (state IN ('queued', 'running', 'completed', 'completed_with_errors', 'failed', 'cancelled')),
  total integer NOT NULL DEFAULT 0,
  done integer NOT NULL DEFAULT 0,
  failed integer NOT NULL DEFAULT 0,
  subject text,
  errors jsonb NOT NULL DEFAULT '[]',
  warnings jsonb NOT NULL DEFAULT '[]',
  result jsonb,
  created_by uuid REFERENCES users ON DELETE SET NULL,
  started_at timestamptz,
  finished_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX jobs_newest_first ON jobs (team_id, created_at DESC);
CREATE INDEX jobs_unfinished ON jobs (team_id, kind, subject) WHERE state IN ('queued', 'running');

CREATE TABLE job_children (
  job_id uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
  key text NOT NULL,
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  error jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (job_id, key)
);

-- Attempts, outbox and dead letters belong to the platform, not to a tenant: no answer reads them
-- except those of platform admins.
CREATE TABLE attempts (
  step text NOT NULL,
  key text NOT NULL,
  owner uuid NOT NULL,
  state text NOT NULL CHECK (state IN ('running', 'released', 'done', 'dead')),
  lease_until timestamptz NOT NULL,
  tries integer NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  PRIMARY KEY (step, key)
);

CREATE TABLE outbox (
  id uuid PRIMARY KEY,
  step text NOT NULL,
  queue text NOT NULL,
  payload jsonb NOT NULL,
  traceparent text NOT NULL,
  not_before timestamptz NOT NULL,
  claimed_until timestamptz,
  sent_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_unsent ON outbox (created_at) WHERE sent_at IS NULL;

CREATE TABLE dead_letters (
  id uuid PRIMARY KEY,
  step text NOT NULL,
  key text NOT NULL,
  payload jsonb NOT NULL,
  error_code text NOT NULL,
  error_message text NOT NULL,
  replayed_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE idempotency_keys (
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  route text NOT NULL,
  key text NOT NULL,
  body_sha256 text NOT NULL,
  owner uuid NOT NULL,
  lease_until timestamptz NOT NULL,
  status integer,
  headers jsonb,
  body text,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, route, key)
);

CREATE TABLE audit_log (
  id uuid PRIMARY KEY,
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  actor text NOT NULL,
  action text NOT NULL,
  target text NOT NULL,
  before_sha256 text,
  after_sha256 text,
  correlation_id text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX audit_newest_first ON audit_log (team_id, created_at DESC);

-- Policies and grants --------------------------------------------------------------------------

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['connections', 'datasets', 'tables', 'columns', 'scans', 'jobs', 'job_children', 'audit_log']
  LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY tenant ON %I TO bridge_app USING (team_id = ANY(bridge_teams()))', t);
    EXECUTE format('CREATE POLICY owner ON %I TO bridge_owner USING (true)', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO bridge_app', t);
  END LOOP;
END $$;
REVOKE UPDATE, DELETE ON audit_log FROM bridge_app;

ALTER TABLE teams ENABLE ROW LEVEL SECURITY;
ALTER TABLE teams FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON teams TO bridge_app USING (id = ANY(bridge_teams()));
CREATE POLICY owner ON teams TO bridge_owner USING (true);

-- One's own memberships are visible before a team is chosen.
ALTER TABLE team_members ENABLE ROW LEVEL SECURITY;
ALTER TABLE team_members FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON team_members TO bridge_app
  USING (team_id = ANY(bridge_teams()) OR user_id = bridge_user())
  WITH CHECK (team_id = ANY(bridge_teams()));
CREATE POLICY owner ON team_members TO bridge_owner USING (true);

GRANT SELECT, INSERT, UPDATE, DELETE
   ON users, auth_sessions, access_tokens, teams, team_members, attempts, outbox, dead_letters, idempotency_keys
   TO bridge_app;

-- The one look-up that comes before any team is known: a credential's hash to its person and roles.
CREATE FUNCTION bridge_principal(kind text, sha text)
RETURNS TABLE (user_id uuid, email text, name text, credential_id uuid, scopes text[], teams jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
  IF kind = 'token' THEN
    UPDATE access_tokens SET last_used_at = now()
     WHERE token_sha256 = sha AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute');
  END IF;
  RETURN QUERY
  SELECT u.id, u.email, u.name, c.id, c.scopes,
         coalesce((SELECT jsonb_object_agg(m.team_id, m.role) FROM team_members m WHERE m.user_id = u.id), '{}')
    FROM (SELECT s.id, s.user_id, '{}'::text[] AS scopes, s.expires_at, s.revoked_at
            FROM auth_sessions s WHERE kind = 'session' AND s.token_sha256 = sha
          UNION ALL
          SELECT t.id, t.user_id, t.scopes, t.expires_at, t.revoked_at
            FROM access_tokens t WHERE kind = 'token' AND t.token_sha256 = sha) c
    JOIN users u ON u.id = c.user_id
   WHERE c.revoked_at IS NULL AND (c.expires_at IS NULL OR c.expires_at > now());
END $$;
REVOKE ALL ON FUNCTION bridge_principal(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bridge_principal(text, text) TO bridge_app;

-- The health check compares the schema with what the code needs.
CREATE FUNCTION bridge_schema_version() RETURNS TABLE (id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS
$$ SELECT max(m.id) FROM schema_migrations m $$;
REVOKE ALL ON FUNCTION bridge_schema_version() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION bridge_schema_version() TO bridge_app;
