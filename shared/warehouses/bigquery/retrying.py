"""How long one call to BigQuery may take, and how much a metadata query may read."""

from typing import Any

from shared.platform import deadline

CALL_SECONDS = 30.0
RETRY_SECONDS = 20.0
METADATA_MAX_BYTES = 1_000_000_000
"""INFORMATION_SCHEMA is billed like a table (10 MB at least a query); this bounds a scan of a huge one."""
METADATA_SECONDS = 120.0


def call_options() -> dict[str, Any]:
    """Arguments of a client's call: with its own repetitions it would last ten minutes by default."""
    from google.cloud.bigquery.retry import DEFAULT_RETRY

    retry = DEFAULT_RETRY.with_timeout(deadline.within(RETRY_SECONDS))
    return {"timeout": deadline.within(CALL_SECONDS), "retry": retry}
