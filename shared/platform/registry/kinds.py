"""What a room declares in its `declared.py`: limits, flags, queues, buckets, collections, retention rules.

    shared/<area>/declared.py ─► make manifest ─► checked: clashes, unknown names, missing words
                                                    ├─► functions/manifest.json   Terraform, the local stack, docs
                                                    ├─► registry/gathered.json    every function, at run time
                                                    └─► ops/retention/rules.json  the step that removes old rows

A declaration is a value at the top level of `declared.py` (or a tuple of some). Error classes stand there too:
what counts as declared is their `code`. These classes only hold values: `tools/gathering.py` checks them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Unit = Literal["bytes", "micro_usd", "count", "requests"]
Window = Literal["minute", "day", "month", "turn", "session", "concurrent", "lasting"]

MOST = 2**53 - 1
"""Largest limit: beyond it JSON numbers lose digits in a browser."""


class Limit(NamedTuple):
    """How much of a resource in which window.

    The name of a resource's daily quota is the resource's own. A limit in the window `minute` is a rate: it is
    called `rate_{class}` or `rate_team_{class}`, and doors of that class (`rate="…"`) count against it.
    """

    name: str
    resource: str
    window: Window
    unit: Unit
    default: int
    what: str

    @property
    def is_quota(self) -> bool:
        """Quotas raise QUOTA_EXCEEDED, budgets BUDGET_EXCEEDED."""
        return self.window in ("day", "concurrent")

    @property
    def is_personal(self) -> bool:
        """Whether it counts what one person has made and not taken back; no team can override it."""
        return self.window == "lasting"

    @property
    def is_rate(self) -> bool:
        """Whether it counts requests; the others are spent from the ledger of budgets."""
        return self.window == "minute"


class Flag(NamedTuple):
    """A feature that an environment or a team may switch off, or on."""

    name: str
    default: bool
    what: str


class Queue(NamedTuple):
    """A queue of Cloud Tasks. Its number of attempts is the largest that its steps declare."""

    name: str
    what: str


class Bucket(NamedTuple):
    """A bucket, by its role; the deployed name is `{prefix}-{name}`."""

    name: str
    what: str
    versioned: bool = False
    """Earlier versions of an object are kept."""
    queue: str = "default"
    """The queue that carries an event of the bucket when it is replayed or was forgotten."""
    written_by: str | None = None
    """Who writes it, where no function does."""
    delete_after_days: int | None = None
    archive_after_days: int | None = None
    delete_versions_after_days: int | None = None


class Collection(NamedTuple):
    """A collection of Firestore, whose documents all end: the field `expires_at` carries the TTL policy."""

    name: str
    what: str
    longest_seconds: float
    """The longest time that a document may live after it was last written."""


class Retention(NamedTuple):
    """Rows that are removed so many days after a moment.

    `statement` is the name of a statement in a `queries.sql` of the room. It takes `:days` and `:batch`, removes at
    most a batch and answers its size as `removed`.
    """

    name: str
    days: int
    after: str
    why: str
    statement: str


class Doors(NamedTuple):
    """A folder of `functions/`, as the API's description names it."""

    name: str
    what: str


def counted(resource: str, a_day: int, at_once: int, what: str) -> tuple[Limit, Limit]:
    """The two limits of something that is counted: a day, and at the same time."""
    return (
        Limit(resource, resource, "day", "count", a_day, what),
        Limit(
            f"{resource}_concurrent", resource, "concurrent", "count", at_once, f"{what}, at the same time"
        ),
    )
