"""Every 15 minutes: find snapshots that were never indexed, a stretch of the bucket at a time."""

from shared.catalog import reconciling
from shared.platform.steps import Tick, scheduled


@scheduled("*/15 * * * *")
def reconcile(_tick: Tick) -> None:
    reconciling.reconcile()
