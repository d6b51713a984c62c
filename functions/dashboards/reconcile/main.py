"""Every 15 minutes: compare the bucket of documents with the directory, a stretch at a time."""

from shared.dashboards import reconciling
from shared.platform.steps import Tick, scheduled


@scheduled("*/15 * * * *")
def reconcile(_tick: Tick) -> None:
    reconciling.reconcile()
