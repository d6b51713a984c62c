"""Every 5 minutes: send what both queues lost again, and end what can't come to an end by itself."""

from shared.platform.ops import requeue as service
from shared.platform.steps import Tick, scheduled


@scheduled("*/5 * * * *", timeout=240)
def requeue(_tick: Tick) -> None:
    service.run()
