-- What a team may spend, has spent and has promised to spend; which features it has.
--
-- A counter is one limit in one window (a day, a month, a turn, a conversation, or "now" for what runs at
-- the same time). `used` is spent; `reserved` is promised by live reservations. The only way to add to
-- `reserved` is an upsert whose WHERE fails when it would overspend; what was really spent moves to `used`.

CREATE TABLE spend_counters (
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  name text NOT NULL,
  window_key text NOT NULL,
  used bigint NOT NULL DEFAULT 0 CHECK (used >= 0),
  reserved bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
  -- The limit that was in force when it was last added to: the upsert compares with it.
  ceiling bigint NOT NULL CHECK (ceiling >= 0),
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (team_id, name, window_key)
);
CREATE INDEX spend_counters_by_age ON spend_counters (updated_at);

-- One attempt's promise. `parts` names the counters that it was taken from, and how each is given back:
-- a slot is held until the end and no longer, an amount is held and then used by what it really cost.
CREATE TABLE reservations (
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  resource text NOT NULL,
  key text NOT NULL CHECK (length(key) BETWEEN 1 AND 300),
  state text NOT NULL CHECK (state IN ('held', 'settled', 'refunded', 'lapsed')),
  amount bigint NOT NULL CHECK (amount >= 0),
  actual bigint CHECK (actual >= 0),
  parts jsonb NOT NULL,
  lease_until timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz,
  PRIMARY KEY (team_id, resource, key)
);
CREATE INDEX reservations_by_lease ON reservations (team_id, lease_until) WHERE state = 'held';
CREATE INDEX reservations_by_key ON reservations (team_id, key) WHERE state = 'held';
CREATE INDEX reservations_by_age ON reservations (ended_at) WHERE state <> 'held';

CREATE TABLE limit_overrides (
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  name text NOT NULL,
  value bigint NOT NULL CHECK (value >= 0),
  reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
  set_by uuid REFERENCES users ON DELETE SET NULL,
  set_at timestamptz NOT NULL DEFAULT now(),
  until timestamptz,
  PRIMARY KEY (team_id, name)
);

CREATE TABLE flag_overrides (
  team_id uuid NOT NULL REFERENCES teams ON DELETE CASCADE,
  name text NOT NULL,
  enabled boolean NOT NULL,
  reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 500),
  set_by uuid REFERENCES users ON DELETE SET NULL,
  set_at timestamptz NOT NULL DEFAULT now(),
  until timestamptz,
  PRIMARY KEY (team_id, name)
);

-- Why an administrator changed something, in their words; other entries have none.
ALTER TABLE audit_log ADD COLUMN reason text;
DROP INDEX audit_newest_first;
CREATE INDEX audit_newest_first ON audit_log (team_id, created_at DESC, id DESC);

DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['spend_counters', 'reservations', 'limit_overrides', 'flag_overrides']
  LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY tenant ON %I TO bridge_app USING (team_id = ANY(bridge_teams()))', t);
    EXECUTE format('CREATE POLICY owner ON %I TO bridge_owner USING (true)', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO bridge_app', t);
  END LOOP;
END $$;
REVOKE DELETE ON spend_counters, reservations FROM bridge_app;
