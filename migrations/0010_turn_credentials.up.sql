-- With which session or token a turn was begun: where somebody revokes it, the turn ends.
-- No foreign key: a credential's row may go while the record of what was done with it stays.
ALTER TABLE turns ADD COLUMN credential_id uuid;
