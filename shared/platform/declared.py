"""What the platform itself adds: rates, the queue and the bucket of everybody, its collections, its rows' ages.

Its errors stand in `errors.py` and in the rooms that raise them. What products add is in their own `declared.py`.
"""

from shared.platform.registry.kinds import Bucket, Collection, Doors, Limit, Queue, Retention

RATES = (
    Limit("rate_read", "read", "minute", "requests", 1_200, "Requests that read, by one user"),
    Limit("rate_write", "write", "minute", "requests", 300, "Requests that change something, by one user"),
    Limit("rate_stream", "stream", "minute", "requests", 60, "Streams opened by one user"),
    Limit("rate_login", "login", "minute", "requests", 20, "Attempts to sign in, from one address"),
    Limit("rate_public", "public", "minute", "requests", 6_000, "Requests without a credential, from one address"),
    Limit("rate_team_read", "read", "minute", "requests", 12_000, "Requests that read, by one team"),
    Limit("rate_team_write", "write", "minute", "requests", 3_000, "Requests that change something, by one team"),
    Limit("rate_team_stream", "stream", "minute", "requests", 600, "Streams opened by one team"),
)  # fmt: skip

DEFAULT = Queue("default", "Replayed ticks of the clock, and events of buckets that name no queue")

CACHE = Bucket(
    "cache", "What can be made again: results that are too large for Firestore", delete_after_days=30
)

COLLECTIONS = (
    Collection("leases", "Who computes a result now, and the fence of who may write it", 86_400),
    Collection("turns", "The head of a stream of events: its writer's fence and its length", 86_400),
    Collection("turn_events", "The events of a stream, in batches", 86_400),
    Collection("rates", "Requests that were granted, by caller and second", 120),
    Collection("breakers", "The state of a circuit breaker", 86_400),
)

RETAINED = (
    Retention(
        "attempts", 35, "their end",
        "Cloud Tasks may deliver a task up to 31 days after it was made; until then the attempt answers that it is "
        "done. A dead one stays as long as its letter",
        "purge_attempts",
    ),
    Retention("messages", 7, "their step ended", "to see what was sent, after the fact", "purge_outbox"),
    Retention(
        "idempotency keys", 1, "their first request", "as promised to clients", "purge_idempotency_keys"
    ),
    Retention("dead letters", 90, "they died", "until then they can be seen and replayed", "purge_dead_letters"),
    Retention(
        "children of jobs", 35, "the job's end", "as long as a late delivery could land one twice",
        "purge_job_children",
    ),
    Retention(
        "reservations", 35, "they ended", "as long as a late delivery could reserve a second time for what was paid",
        "purge_reservations",
    ),
    Retention(
        "counters of spending", 400, "their last change",
        "to compare with a year ago; one that still promises something stays",
        "purge_spend_counters",
    ),
)  # fmt: skip

DOORS = (
    Doors("jobs", "The record of background work."),
    Doors("limits", "What teams may use: quotas and feature flags, and what overrides them."),
    Doors("ops", "Health, the audit log, dead letters."),
)
