"""What a team's limits and features are, and how an administrator of the platform changes them.

An override is one row with who, when, why and until when. Setting and removing one writes the audit log
in the same transaction; one whose time is over counts as absent everywhere, and nothing needs to run for
that.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from shared.platform import audit, clock
from shared.platform.clock import iso
from shared.platform.errors import NotFound, ValidationFailed
from shared.platform.ids import TeamId, UserId
from shared.platform.limits import budgets, flags
from shared.platform.limits.views import (
    Flag,
    FlagOverride,
    Flags,
    NewFlag,
    NewOverride,
    Override,
    Quota,
    Quotas,
    ends_later,
)
from shared.platform.postgres import pool, sql
from shared.platform.registry import gathered
from shared.platform.registry.kinds import Limit

Q = sql.load(__file__)


def quotas(team: TeamId) -> Quotas:
    """Every quota, budget and rate of the team, with what is used of it now."""
    budgets.end_leases(team)
    with pool.transaction(team) as tx:
        return Quotas(team_id=team, quotas=_quotas(tx, team, list(gathered.OVERRIDABLE.values())))


def override(team: TeamId, name: str, new: NewOverride, *, by: UserId) -> Quota:
    """Give the team another limit. Raises NotFound for an unknown team or name, ValidationFailed for a past end."""
    limit = _known(name)
    _check_end(new.until)
    with pool.transaction(team) as tx:
        _check_team(tx, team)
        before = tx.find(Q.lock_override, team=team, name=name)
        tx.run(
            Q.set_override, team=team, name=name, value=new.limit, reason=new.reason, by=by, until=new.until
        )
        audit.write(
            tx,
            team=team,
            actor=by,
            action="quota.overridden",
            target=name,
            before=None if before is None else _plain(before, "value"),
            after={"value": new.limit, "until": iso(new.until)},
            reason=new.reason,
        )
        return _quotas(tx, team, [limit])[0]


def remove_override(team: TeamId, name: str, *, by: UserId) -> None:
    """Go back to the limit that the team would have; a repetition changes nothing."""
    _known(name)
    with pool.transaction(team) as tx:
        _check_team(tx, team)
        removed = tx.find(Q.remove_override, team=team, name=name)
        if removed is not None and removed["held"]:
            audit.write(
                tx,
                team=team,
                actor=by,
                action="quota.override_removed",
                target=name,
                before=_plain(removed, "value"),
            )


def list_flags(team: TeamId) -> Flags:
    """Every feature as the team has it now."""
    with pool.transaction(team) as tx:
        return Flags(team_id=team, flags=_flags(tx, team, sorted(gathered.FLAGS)))


def switch(team: TeamId, name: str, new: NewFlag, *, by: UserId) -> Flag:
    """Switch a feature for the team. Raises NotFound for an unknown team or name."""
    flags.here(name)
    _check_end(new.until)
    with pool.transaction(team) as tx:
        _check_team(tx, team)
        before = tx.find(Q.lock_flag, team=team, name=name)
        tx.run(
            Q.set_flag,
            team=team,
            name=name,
            enabled=new.enabled,
            reason=new.reason,
            by=by,
            until=new.until,
        )
        audit.write(
            tx,
            team=team,
            actor=by,
            action="flag.switched",
            target=name,
            before=None if before is None else _plain(before, "enabled"),
            after={"enabled": new.enabled, "until": iso(new.until)},
            reason=new.reason,
        )
        return _flags(tx, team, [name])[0]


def remove_switch(team: TeamId, name: str, *, by: UserId) -> None:
    """Go back to the feature's value in this environment; a repetition changes nothing.

    Raises NotFound for an unknown team or name.
    """
    flags.here(name)
    with pool.transaction(team) as tx:
        _check_team(tx, team)
        removed = tx.find(Q.remove_flag, team=team, name=name)
        if removed is not None and removed["held"]:
            audit.write(
                tx,
                team=team,
                actor=by,
                action="flag.switch_removed",
                target=name,
                before=_plain(removed, "enabled"),
            )


def _quotas(tx: pool.Tx, team: TeamId, limits: list[Limit]) -> list[Quota]:
    now = clock.now()
    overrides = {row["name"]: row for row in tx.all(Q.read_overrides, team=team)}
    parts = [
        {"name": limit.name, "window_key": key}
        for limit in limits
        if (key := budgets.window_key(limit, {}, now)) is not None
    ]
    counted = tx.all(Q.read_counters, team=team, parts=parts) if parts else []
    counters = {row["name"]: row for row in counted}
    found = []
    for limit in limits:
        row, counter = overrides.get(limit.name), counters.get(limit.name)
        elsewhere = limit.window in ("turn", "session", "minute")
        here = budgets.ceiling(limit)
        found.append(
            Quota(
                name=limit.name,
                what=limit.what,
                unit=limit.unit,
                window=limit.window,
                limit=here if row is None else int(row["value"]),
                default=here,
                used=None if elsewhere else int(counter["used"]) if counter else 0,
                reserved=None if elsewhere else int(counter["reserved"]) if counter else 0,
                resets_at=iso(budgets.resets_at(limit, now)),
                override=None if row is None else Override(limit=int(row["value"]), **_signed(row)),
            )
        )
    return found


def _flags(tx: pool.Tx, team: TeamId, names: list[str]) -> list[Flag]:
    overrides = {row["name"]: row for row in tx.all(Q.read_flags, team=team)}
    found = []
    for name in names:
        row, here = overrides.get(name), flags.here(name)
        found.append(
            Flag(
                name=name,
                what=gathered.FLAGS[name].what,
                enabled=here if row is None else bool(row["enabled"]),
                default=here,
                override=None if row is None else FlagOverride(enabled=bool(row["enabled"]), **_signed(row)),
            )
        )
    return found


def _signed(row: pool.Row) -> dict[str, Any]:
    return {
        "reason": row["reason"],
        "until": iso(row["until"]),
        "set_by": row["set_by"],
        "set_at": iso(row["set_at"]),
    }


def _plain(row: pool.Row, value: str) -> dict[str, Any]:
    """What the audit log compares of an override; the same form before and after."""
    return {value: row[value], "until": iso(row["until"])}


def _known(name: str) -> Limit:
    limit = gathered.OVERRIDABLE.get(name)
    if limit is None:
        raise NotFound(f"There is no limit {name[:80]!r}.")
    return limit


def _check_end(until: datetime | None) -> None:
    if not ends_later(until, clock.now()):
        raise ValidationFailed("The end must be in the future.", field="until", reason="it is in the past")


def _check_team(tx: pool.Tx, team: TeamId) -> None:
    """Raise NotFound for a team that does not exist."""
    tx.one(Q.team_exists, team=team)
