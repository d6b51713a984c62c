"""People, teams and access tokens as they are asked for and answered."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared.platform.edge.auth import Scope
from shared.platform.text.names import Name, NameOrNothing

Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        max_length=254,
        pattern=r"^[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$",
    ),
]
Id = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Role = Literal["member", "admin"]


class Given(BaseModel):
    """Base of bodies: what is not declared is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DevLogin(Given):
    """Who signs in on a laptop."""

    email: Email
    name: NameOrNothing = ""


class User(BaseModel):
    """A person."""

    id: str
    email: str
    name: str


class SignedIn(BaseModel):
    """A session began. `csrf_token` is what the page echoes in X-Bridge-CSRF with every change."""

    user: User
    csrf_token: str


class NewTeam(Given):
    """A team to be made; the caller becomes its admin."""

    name: Name


class Team(BaseModel):
    """A team and the caller's role in it."""

    id: str
    name: str
    slug: str
    role: Role
    created_at: str | None


class Counts(BaseModel):
    """How much a team has."""

    members: int
    connections: int


class TeamDetails(Team):
    """A team with its settings and counts."""

    settings: dict[str, Any]
    counts: Counts


class Teams(BaseModel):
    """A page of teams."""

    teams: list[Team]
    has_more: bool
    next_cursor: str | None


class Me(BaseModel):
    """The caller. `csrf_token` is there for a browser's session."""

    user: User
    teams: list[Team]
    csrf_token: str | None


class NewToken(Given):
    """A personal access token to be made. It never may more than its owner.

    `read` looks, `write` also changes what a member may change, `admin` also what an admin may, `full` does
    everything, also making other tokens. With `team_id` it reaches that team alone.
    """

    name: Name
    scopes: list[Scope] = Field(default=["full"], min_length=1, max_length=4)
    team_id: Id | None = None
    expires_in_days: int = Field(default=90, ge=1, le=365)


class AccessToken(BaseModel):
    """A token without its text. `team_id` is the one team that it reaches, if it is confined."""

    id: str
    name: str
    scopes: list[str]
    team_id: str | None
    created_at: str | None
    expires_at: str | None
    last_used_at: str | None


class IssuedToken(BaseModel):
    """A token with its text, which is shown this once."""

    id: str
    token: str
    name: str
    scopes: list[str]
    team_id: str | None
    expires_at: str | None


class AccessTokens(BaseModel):
    """A page of tokens."""

    tokens: list[AccessToken]
    has_more: bool
    next_cursor: str | None
