"""The rate limits that a team has of its own, as this instance knows them: asked for every few seconds.

Every request of a team is counted, so its limits must cost it nothing: asking with each would add a tenth of a
millisecond to all of them (measured with the caller's own statement). An override holds FRESH_SECONDS later at
the latest on every instance; a new instance asks before its first request.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from shared.platform import clock
from shared.platform.ids import TeamId
from shared.platform.postgres import pool, sql
from shared.platform.registry.gathered import OVERRIDABLE, RATES

Q = sql.load(__file__)

FRESH_SECONDS = 10.0
MOST_TEAMS = 10_000
_NAMES = [name for name in RATES if name in OVERRIDABLE]


@dataclass(frozen=True)
class _Known:
    values: Mapping[str, int]
    until: float


_teams: OrderedDict[TeamId, _Known] = OrderedDict()
_lock = threading.Lock()


def own(team: TeamId, name: str) -> int | None:
    """The team's own limit of that name, in requests a minute; None where everybody's holds. Raises Unavailable."""
    with _lock:
        known = _teams.get(team)
    if known is None or known.until <= clock.monotonic():
        known = _read(team)
        with _lock:
            _teams[team] = known
            _teams.move_to_end(team)
            while len(_teams) > MOST_TEAMS:
                _teams.popitem(last=False)
    return known.values.get(name)


def forget() -> None:
    """Begin anew, as a fresh instance does."""
    with _lock:
        _teams.clear()


def _read(team: TeamId) -> _Known:
    with pool.transaction(team) as tx:
        rows = tx.all(Q.read_rates, team=team, names=_NAMES)
    return _Known({row["name"]: int(row["value"]) for row in rows}, clock.monotonic() + FRESH_SECONDS)
