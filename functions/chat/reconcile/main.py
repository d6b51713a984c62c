"""Every hour: remove what conversations left in the lake and nobody will read."""

from shared.agents import reconciling
from shared.platform.steps import Tick, scheduled


@scheduled("50 * * * *")
def reconcile(_tick: Tick) -> None:
    reconciling.reconcile()
