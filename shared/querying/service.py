"""Every query of the product: read by the guard, dry-run, capped, paid for, labelled, and then run.

    text ─► guarded ─► Statement ─► estimate ─► Estimate ─► run ─► Result
              │                        │                     │
              guard, row limit         dry run, agreed       cap, budgets (reserve, settle), labels
                                       with the guard

Dashboards, validation and the agent's tools come through here and by no other way (an import contract and a test hold
it), so that what must hold for all queries stands in one place: a policy that masks columns or drops rows, too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from shared.platform.limits import budgets
from shared.platform.settings import settings
from shared.querying.access import Access
from shared.warehouses.contract import DryRun, Limits, Result
from shared.warehouses.declared import BytesCapExceeded, QueryNotReadOnly, may_be_billed
from shared.warehouses.dialect import Dialect
from shared.warehouses.guard import guard
from shared.warehouses.guard.guard import Checked as Checked
from shared.warehouses.sql import rewrites
from shared.warehouses.types import Parameter

LABEL_CHARACTERS = 63
"""Longest value of a label that warehouses take."""


class Statement(Protocol):
    """A statement that has passed `guarded`, with the values of its parameters and what it may cost."""

    @property
    def id(self) -> str:
        """What it is called in messages."""

    @property
    def sql(self) -> str:
        """The text, to the letter as it was guarded."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The bound values."""

    @property
    def checked(self) -> Checked:
        """What the guard knows of the text."""

    @property
    def query_hash(self) -> str:
        """The key of its result: what is asked, with which values, of whom, with whose rights."""

    @property
    def max_bytes(self) -> int:
        """The cap that was asked for; the platform's own can only lower it."""

    @property
    def timeout_seconds(self) -> int:
        """The longest that it may run."""


@dataclass(frozen=True)
class Estimate:
    """A statement, what the warehouse says that it would do, and the cap in force."""

    statement: Statement
    dry_run: DryRun
    cap: int

    @property
    def within(self) -> bool:
        """Whether it may run. At the cap is over it."""
        return self.dry_run.bytes_scanned < self.cap

    def over(self) -> BytesCapExceeded:
        """The refusal of a statement that reads too much."""
        return BytesCapExceeded(
            f"The query {self.statement.id} would scan {self.dry_run.bytes_scanned:,} bytes; the cap is {self.cap:,}.",
            field="sql",
            reason="over the cap",
        )


@dataclass(frozen=True)
class Purpose:
    """What a query is run for: who pays for it, and how it is found again on the warehouse's side."""

    job: str
    """The job's id, derived from the attempt: a repeated submission finds the first one, and is paid once."""
    labels: Mapping[str, str]
    most_rows: int
    scopes: Mapping[str, str] = field(default_factory=dict)
    """The turn and the session whose budgets pay, beside the team's."""
    within_seconds: float | None = None
    """What is left of the caller's time, where that is less than the statement's own."""


def guarded(
    sql: str, *, dialect: Dialect, project: str, allowed: Collection[str] | None, most_rows: int
) -> tuple[str, Checked]:
    """The text with its row limit, and what the guard knows of it; raises the guard's refusal.

    The text is checked again with the limit: what runs is what was checked, to the letter.
    """
    first = guard.check(sql, dialect, allowed=allowed, project=project)
    text = rewrites.limited(sql, first.tree, most_rows)
    checked = guard.check(text, dialect, allowed=allowed, project=project)
    if checked.tables != first.tables or checked.tree.args.get("limit") is None:
        raise QueryNotReadOnly(field="sql", reason="the row limit can't be added")
    return text, checked


def estimate(access: Access, statement: Statement, *, cap: int | None = None) -> Estimate:
    """A dry run, agreed with the guard: a view may lead elsewhere since the text was checked. `cap` only lowers it."""
    found = access.opened.warehouse.dry_run(statement.sql, statement.parameters)
    guard.agree(statement.checked, found, access.allowed)
    caps = [statement.max_bytes, settings().query_bytes_cap, *([] if cap is None else [cap])]
    return Estimate(statement, found, min(caps))


def run(access: Access, found: Estimate, purpose: Purpose) -> Result:
    """The rows of a statement that is within its cap; raises BytesCapExceeded, or what a budget or the warehouse says."""
    if not found.within:
        raise found.over()
    statement = found.statement
    timeout = float(statement.timeout_seconds)
    if purpose.within_seconds is not None:
        timeout = max(1.0, min(timeout, purpose.within_seconds))
    limits = Limits(
        max_bytes=found.cap,
        timeout_seconds=timeout,
        max_rows=purpose.most_rows,
        labels={
            name: value[:LABEL_CHARACTERS]
            for name, value in ({**purpose.labels, "team": access.team}).items()
        },
        job_id=purpose.job,
    )
    with budgets.held(
        access.team,
        "warehouse_bytes",
        found.dry_run.bytes_scanned,
        key=purpose.job,
        scopes=purpose.scopes or None,
        billed=may_be_billed,
    ) as spending:
        limits = replace(limits, begun=spending.begin)
        result = access.opened.warehouse.query(statement.sql, statement.parameters, limits)
        spending.settle(result.bytes_scanned)
    return result
