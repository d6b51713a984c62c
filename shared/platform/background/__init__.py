"""Work behind the request: messages, outbox, ledger of attempts, jobs."""
