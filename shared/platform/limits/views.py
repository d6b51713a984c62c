"""Limits and flags as they are asked for and answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared.platform.paging import Instant, Query
from shared.platform.registry.kinds import MOST, Unit, Window

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class OfTeam(Query):
    """Which team."""

    team_id: str | None = Field(default=None, max_length=36, description="Needed by who has several teams.")


class NewOverride(BaseModel):
    """Another limit for one team."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int = Field(ge=0, le=MOST, description="In the limit's own unit; 0 refuses everything.")
    reason: Reason = Field(description="Why; it is kept with the override and in the audit log.")
    until: Instant | None = Field(default=None, description="When it ends; without it, when it is removed.")


class Override(BaseModel):
    """Who set another limit for this team, why and until when."""

    limit: int
    reason: str
    until: str | None
    set_by: str | None
    set_at: str | None


class Quota(BaseModel):
    """One limit of a team and what is used of it.

    Turns and conversations have counters of their own, and what is left of a rate stands in each answer's
    RateLimit header: null here.
    """

    name: str
    what: str
    unit: Unit
    window: Window
    limit: int
    default: int
    used: int | None
    reserved: int | None
    resets_at: str | None
    override: Override | None


class Quotas(BaseModel):
    """Every quota, budget and rate of a team."""

    team_id: str
    quotas: list[Quota]


class NewFlag(BaseModel):
    """A feature switched for one team."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool
    reason: Reason = Field(description="Why; it is kept with the flag and in the audit log.")
    until: Instant | None = Field(default=None, description="When it ends; without it, when it is removed.")


class FlagOverride(BaseModel):
    """Who switched a feature for this team, why and until when."""

    enabled: bool
    reason: str
    until: str | None
    set_by: str | None
    set_at: str | None


class Flag(BaseModel):
    """One feature: whether the team has it, and what it would be without an override."""

    name: str
    what: str
    enabled: bool
    default: bool
    override: FlagOverride | None


class Flags(BaseModel):
    """Every feature flag as a team has it."""

    team_id: str
    flags: list[Flag]


def ends_later(until: datetime | None, now: datetime) -> bool:
    """Whether an override has a future."""
    return until is None or until > now
