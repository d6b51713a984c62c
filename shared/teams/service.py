"""Teams: who works together, under which name."""

from __future__ import annotations

import re
import unicodedata

from shared.platform import audit
from shared.platform.clock import iso
from shared.platform.edge.auth import Principal
from shared.platform.errors import Forbidden, SlugTaken
from shared.platform.ids import TeamId
from shared.platform.paging import Page, cut
from shared.platform.postgres import pool
from shared.teams import store
from shared.teams.model import Counts, NewTeam, Team, TeamDetails, Teams

MAX_SLUG = 60
NUMBERED = 200
"""How many teams may want one name before we ask for another."""

_OTHER = re.compile(r"[^a-z0-9]+")


def create(new: NewTeam, *, who: Principal, id: str) -> Team:
    """Make a team with the caller as its admin. A repetition with the same id finds the first."""
    if who.only_team is not None:
        raise Forbidden("A token of one team makes no other.", reason="team")
    team = TeamId(id)
    with pool.transaction(team) as tx:
        _insert(tx, team, new.name)
        store.add_member(tx, team=team, user=who.user_id, role="admin")
        audit.write(tx, team=team, actor=who.user_id, action="team.created", target=team, after=new.name)
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


def _insert(tx: pool.Tx, team: TeamId, name: str) -> None:
    wanted = slug(name)
    for number in range(1, NUMBERED + 1):
        numbered = wanted if number == 1 else f"{wanted}-{number}"
        if store.add_team(tx, id=team, name=name, slug=numbered) or store.find_team(tx, team):
            return
    raise SlugTaken("Too many teams have this name; choose another.", field="name", reason="taken")


def _team(row: pool.Row) -> Team:
    return Team(
        id=row["id"], name=row["name"], slug=row["slug"], role=row["role"], created_at=iso(row["created_at"])
    )
