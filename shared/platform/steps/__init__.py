"""The edge of background work: what the door of a step imports."""

from shared.platform.background.messages import Finalized, Tick
from shared.platform.steps.declare import finalized, scheduled, task

__all__ = ["Finalized", "Tick", "finalized", "scheduled", "task"]
