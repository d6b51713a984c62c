-- Ticks that were sent again are the clock's to repeat: the next one does their work.
DELETE FROM outbox WHERE kind = 'scheduled';
ALTER TABLE outbox DROP CONSTRAINT outbox_kind_check,
  ADD CONSTRAINT outbox_kind_check CHECK (kind IN ('task', 'event'));
