"""People, teams and access tokens as they are asked for and answered."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        max_length=254,
        pattern=r"^[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$",
    ),
]
Role = Literal["member", "admin"]


class Given(BaseModel):
    """Base of bodies: what is not declared is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DevLogin(Given):
    """Who signs in on a laptop."""

    email: Email
    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=120)] = ""


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
    """A personal access token to be made. `full` is the only scope: all that its owner may do."""

    name: Name
    scopes: list[Literal["full"]] = Field(default=["full"], min_length=1, max_length=1)
    expires_in_days: int = Field(default=90, ge=1, le=365)


class AccessToken(BaseModel):
    """A token without its text."""

    id: str
    name: str
    scopes: list[str]
    created_at: str | None
    expires_at: str | None
    last_used_at: str | None


class IssuedToken(BaseModel):
    """A token with its text, which is shown this once."""

    id: str
    token: str
    name: str
    scopes: list[str]
    expires_at: str | None


class AccessTokens(BaseModel):
    """A page of tokens."""

    tokens: list[AccessToken]
    has_more: bool
    next_cursor: str | None
