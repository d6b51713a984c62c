DROP FUNCTION bridge_teams_made(uuid);
-- Slugs are unique over all teams again: the oldest team keeps a slug that several have.
UPDATE teams t SET slug = t.slug || '-' || t.id::text
 WHERE EXISTS (SELECT 1 FROM teams o WHERE o.slug = t.slug AND (o.created_at, o.id) < (t.created_at, t.id));
ALTER TABLE teams ADD CONSTRAINT teams_slug_key UNIQUE (slug);
DROP INDEX teams_by_maker;
ALTER TABLE teams DROP COLUMN created_by;
