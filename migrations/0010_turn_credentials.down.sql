ALTER TABLE turns DROP COLUMN credential_id;
