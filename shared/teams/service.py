"""Teams: who works together, under which name."""

from __future__ import annotations

import re
import unicodedata

from shared.platform import audit
from shared.platform.clock import iso
from shared.platform.edge.auth import Principal
from shared.platform.errors import Forbidden, QuotaExceeded
from shared.platform.ids import TeamId
from shared.platform.paging import Page, cut
from shared.platform.postgres import pool
from shared.platform.registry.gathered import PERSONAL
from shared.platform.settings import settings
from shared.teams import store
from shared.teams.model import Counts, NewTeam, Team, TeamDetails, Teams

MAX_SLUG = 60

_OTHER = re.compile(r"[^a-z0-9]+")


def create(new: NewTeam, *, who: Principal, id: str) -> Team:
    """Make a team with the caller as its admin. A repetition with the same id finds the first.

    Raises Forbidden for a token of one team, QuotaExceeded for who has made as many as one person may.
    """
    if who.only_team is not None:
        raise Forbidden("A token of one team makes no other.", reason="team")
    return pool.surely(lambda: _create(new, who, TeamId(id)))


def _create(new: NewTeam, who: Principal, team: TeamId) -> Team:
    with pool.transaction([team, *who.teams]) as tx:
        if store.find_team(tx, team) is None:
            _check_made(store.count_made(tx, who.user_id))
            made = store.add_team(tx, id=team, name=new.name, slug=_free(tx, new.name), by=who.user_id)
            if made:
                store.add_member(tx, team=team, user=who.user_id, role="admin")
                audit.write(
                    tx, team=team, actor=who.user_id, action="team.created", target=team, after=new.name
                )
                audit.write(
                    tx, team=team, actor=who.user_id, action="member.added", target=who.user_id, after="admin"
                )
        row = store.get_team(tx, team)
    return _team(row | {"role": "admin"})


def list_teams(who: Principal, page: Page) -> Teams:
    """A page of the caller's teams, by name."""
    with pool.transaction(who.teams, user=who.user_id) as tx:
        rows, paging = cut(store.list_teams(tx, who.user_id, page), page.limit, "name", "id")
    return Teams(teams=[_team(row) for row in rows], **paging)


def get(team: TeamId, *, role: str) -> TeamDetails:
    """A team with its settings and counts; raises NotFound."""
    with pool.transaction(team) as tx:
        row, counts = store.get_team(tx, team), store.count(tx, team)
    return TeamDetails(
        **_team(row | {"role": role}).model_dump(), settings=row["settings"], counts=Counts(**counts)
    )


def memberships(who: Principal) -> list[Team]:
    """All teams of the caller."""
    with pool.transaction(who.teams, user=who.user_id) as tx:
        return [_team(row) for row in store.list_memberships(tx, who.user_id)]


def slug(name: str) -> str:
    """Lower case, ASCII, hyphens; `team` for a name without a letter that folds to ASCII."""
    folded = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    return _OTHER.sub("-", folded)[:MAX_SLUG].strip("-") or "team"


def _free(tx: pool.Tx, name: str) -> str:
    """The slug of a name; numbered where the caller's own teams have it, and only there."""
    wanted = slug(name)
    taken = store.slugs_like(tx, wanted)
    if wanted not in taken:
        return wanted
    return next(f"{wanted}-{n}" for n in range(2, len(taken) + 3) if f"{wanted}-{n}" not in taken)


def _check_made(made: int) -> None:
    limit = PERSONAL["teams_per_person"]
    most = settings().limits.get(limit.name, limit.default)
    if made >= most:
        raise QuotaExceeded(
            f"{limit.what}: {made:,} of {most:,} are made. Work in one of them, or ask an administrator of "
            "the platform.",
            field=limit.name,
            reason="the limit is reached",
            details={
                "name": limit.name,
                "usage": made,
                "requested": 1,
                "limit": most,
                "unit": limit.unit,
                "resets_at": None,
            },
        )


def _team(row: pool.Row) -> Team:
    return Team(
        id=row["id"], name=row["name"], slug=row["slug"], role=row["role"], created_at=iso(row["created_at"])
    )
