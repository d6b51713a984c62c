"""Every night: remove the platform's rows that are older than they are kept."""

from shared.platform.ops.retention import running as service
from shared.platform.steps import Tick, scheduled


@scheduled("30 2 * * *", timeout=540)
def retention(_tick: Tick) -> None:
    service.run(seconds=480)
