"""Every minute: send what an instance promised but died before sending."""

from shared.platform.background import outbox
from shared.platform.steps import Tick, scheduled


@scheduled("* * * * *", timeout=120)
def drain_outbox(tick: Tick) -> None:
    del tick
    while outbox.drain() == outbox.DRAIN_BATCH:
        pass
