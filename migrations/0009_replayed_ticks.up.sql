-- A tick of the clock that was given up can be sent again, as a message of our own.
ALTER TABLE outbox DROP CONSTRAINT outbox_kind_check,
  ADD CONSTRAINT outbox_kind_check CHECK (kind IN ('task', 'event', 'scheduled'));
