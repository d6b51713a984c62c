"""Every hour: remove sealed credentials that no connection has pointed at for a day."""

from shared.connections import reconciling
from shared.platform.steps import Tick, scheduled


@scheduled("40 * * * *")
def reconcile(_tick: Tick) -> None:
    reconciling.reconcile()
