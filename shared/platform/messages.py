"""What one step sends to another: a frozen, typed message that names its receiver.

    class ScanDataset(Message, step="catalog-scan-dataset", queue="catalog"):
        team: TeamId
        scan: str
        dataset: str

The receiver is named on the message, so a sender needs no import of a function; the decorator of the
receiving function checks that both agree.
"""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

QUEUES = ("default", "connections", "catalog", "chat", "dashboards")
REGISTRY: dict[str, "type[Message]"] = {}


class Message(BaseModel):
    """Base of every message between steps. Subclass it with `step=` and `queue=`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: ClassVar[str] = ""
    queue: ClassVar[str] = ""

    def __init_subclass__(cls, *, step: str = "", queue: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not step:
            raise TypeError(f"{cls.__name__} does not name the step that receives it")
        if queue not in QUEUES:
            raise TypeError(f"{cls.__name__} names the queue {queue!r}, which is not one of {QUEUES}")
        if REGISTRY.setdefault(step, cls).__qualname__ != cls.__qualname__:
            raise TypeError(f"{step} already receives {REGISTRY[step].__name__}")
        cls.step, cls.queue = step, queue
