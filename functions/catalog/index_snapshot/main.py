"""Bring the directory to the content of a dataset's snapshot."""

from shared.catalog import scan
from shared.platform.steps import Finalized, finalized


@finalized("catalog/{connection}/{dataset}/{scan}.json.gz", timeout=300, gave_up=scan.index_snapshot_failed)
def index_snapshot(event: Finalized) -> None:
    scan.index_snapshot(event)
