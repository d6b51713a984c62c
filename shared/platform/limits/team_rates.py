"""The rate limits that a team has of its own, as this instance knows them: asked for every few seconds.

Every request of a team is counted, so its limits must cost it nothing: asking with each would add a tenth of a
millisecond to all of them (measured with the caller's own statement). An override holds FRESH_SECONDS later at
the latest on every instance; a new instance asks before its first request.
"""

from __future__ import annotations

from collections.abc import Mapping

from shared.platform.caches import Bounded, fresh
from shared.platform.ids import TeamId
from shared.platform.postgres import pool, sql
from shared.platform.registry.gathered import OVERRIDABLE, RATES

Q = sql.load(__file__)

FRESH_SECONDS = 10.0
MOST_TEAMS = 10_000
_NAMES = [name for name in RATES if name in OVERRIDABLE]


_teams: Bounded[TeamId, Mapping[str, int]] = fresh(MOST_TEAMS, FRESH_SECONDS)


def own(team: TeamId, name: str) -> int | None:
    """The team's own limit of that name, in requests a minute; None where everybody's holds. Raises Unavailable."""
    values = _teams.get(team)
    if values is None:
        values = _read(team)
        _teams.put(team, values)
    return values.get(name)


def forget() -> None:
    """Begin anew, as a fresh instance does."""
    _teams.clear()


def _read(team: TeamId) -> Mapping[str, int]:
    with pool.transaction(team) as tx:
        rows = tx.all(Q.read_rates, team=team, names=_NAMES)
    return {row["name"]: int(row["value"]) for row in rows}
