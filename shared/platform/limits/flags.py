"""Feature flags: default, then environment, then a team's override while it lasts."""

from __future__ import annotations

from shared.platform.errors import FeatureDisabled, NotFound
from shared.platform.postgres import pool, sql
from shared.platform.registry import gathered
from shared.platform.settings import settings

Q = sql.load(__file__)


def here(name: str) -> bool:
    """A flag's value before any override of a team; raises NotFound for an unknown name."""
    if name not in gathered.FLAGS:
        raise NotFound(f"There is no feature flag {name[:80]!r}.")
    return settings().flags.get(name, gathered.FLAGS[name].default)


def enabled(tx: pool.Tx, team: str, name: str) -> bool:
    """Whether the team has the feature now."""
    override = tx.find(Q.find_flag, team=team, name=name)
    return here(name) if override is None else bool(override["enabled"])


def require(team: str, name: str) -> None:
    """Raise FeatureDisabled unless the team has the feature now."""
    with pool.transaction(team) as tx:
        if not enabled(tx, team, name):
            raise FeatureDisabled(
                f"The feature {name} is switched off for this team; an administrator of the platform can switch it on.",
                reason=name,
                details={"flag": name},
            )
