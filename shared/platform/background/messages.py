"""What steps are told: messages of each other, objects that were written, the clock.

A message is frozen and typed, and names its receiver:

    class ScanDataset(Message, step="catalog-scan-dataset", queue="catalog"):
        team: TeamId
        scan: str
        dataset: str

The receiver is named on the message, so a sender needs no import of a function; the decorator of the
receiving function checks that both agree. A message that works for a job names the field that holds the
job's id (`job="scan"`), and the field of the child that it stands for if the job counts children: so a
cancelled job's steps stop, and a replayed step's child is counted anew.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict

from shared.platform.ids import is_id
from shared.platform.registry.gathered import QUEUES

FINALIZED = "google.cloud.storage.object.v1.finalized"
"""The type of the event of an object that has just been written whole."""
REGISTRY: dict[str, "type[Message]"] = {}


@dataclass(frozen=True)
class Finalized:
    """An object that has just been written whole."""

    bucket: str
    name: str
    generation: int
    size: int
    names: dict[str, str]
    """The parts of the object's name, by the names in the trigger's pattern."""


@dataclass(frozen=True)
class Tick:
    """One firing of a schedule."""

    at: datetime


class Part(NamedTuple):
    """The job that a step works for, and the child of it that the step stands for."""

    team: str
    job: str
    child: str | None = None


class Message(BaseModel):
    """Base of every message between steps. Subclass it with `step=` and `queue=`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: ClassVar[str] = ""
    queue: ClassVar[str] = ""
    job_field: ClassVar[str | None] = None
    child_field: ClassVar[str | None] = None

    def __init_subclass__(
        cls,
        *,
        step: str = "",
        queue: str = "",
        job: str | None = None,
        child: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(**kwargs)
        if not step:
            raise TypeError(f"{cls.__name__} does not name the step that receives it")
        if queue not in QUEUES:
            raise TypeError(f"{cls.__name__} names the queue {queue!r}, which no room declares")
        if REGISTRY.setdefault(step, cls).__qualname__ != cls.__qualname__:
            raise TypeError(f"{step} already receives {REGISTRY[step].__name__}")
        for field in filter(None, (job, child, "team" if job else None)):
            if field not in cls.__annotations__:
                raise TypeError(f"{cls.__name__} has no field {field!r}")
        cls.step, cls.queue = step, queue
        cls.job_field, cls.child_field = job, child

    def part(self) -> Part | None:
        """The job that this message works for, if it is part of one."""
        if self.job_field is None:
            return None
        child = None if self.child_field is None else str(getattr(self, self.child_field))
        team, job = str(vars(self)["team"]), str(getattr(self, self.job_field))
        return Part(team, job, child) if is_id(team) and is_id(job) else None
