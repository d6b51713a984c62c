"""Queue a warming for every dashboard whose time has come."""

from shared.dashboards import warming
from shared.platform.steps import Tick, scheduled


@scheduled("*/10 * * * *")
def warm_due(_tick: Tick) -> None:
    warming.warm_due()
