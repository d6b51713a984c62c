"""One request as a handler sees it, and the answers that it may give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from shared.platform import clock
from shared.platform.edge.auth import Principal
from shared.platform.errors import DeadlineExceeded, Unauthenticated
from shared.platform.ids import TeamId, UserId, derived_id, new_id

if TYPE_CHECKING:
    from typing_extensions import TypeVar as DefaultingTypeVar

    F = DefaultingTypeVar("F", covariant=True, default=object)
else:
    F = TypeVar("F", covariant=True)  # Only Python 3.13 has defaults for it; type checkers know them.

T = TypeVar("T")


@dataclass(frozen=True)
class Found(Generic[T]):
    """What a door's `team=` answers when it read more than whose it is: `call.found` is the thing."""

    team: TeamId
    thing: T


@dataclass
class Call(Generic[F]):
    """An authorised request. `team` and `role` are set where the function declares a team.

    A handler that uses what `team=` found says its type: `call: Call[Head]`. The declaration checks it.
    """

    method: str
    path: Mapping[str, str]
    headers: Mapping[str, str]
    correlation_id: str
    deadline: float
    principal: Principal | None = None
    role: str | None = None
    query: Any = None
    body: Any = None
    raw_body: bytes = b""
    idempotency_key: str | None = None
    key_created_ms: int = 0
    route: str = ""
    _team: TeamId | None = None
    _found: Any = None
    _derived: int = field(default=0)

    @property
    def user(self) -> UserId:
        """The caller's id."""
        return self.who.user_id

    @property
    def who(self) -> Principal:
        """The caller; raises Unauthenticated on a public route without a credential."""
        if self.principal is None:
            raise Unauthenticated
        return self.principal

    @property
    def team(self) -> TeamId:
        """The team that this request acts in: one of the caller's."""
        if self._team is None:
            raise RuntimeError("this function does not declare a team")
        return self._team

    @property
    def found(self) -> F:
        """What `team=` read on its way to the team: it costs no second statement."""
        return cast(F, self._found)

    @property
    def teams(self) -> list[TeamId]:
        """Every team of the caller, as the visibility of a transaction."""
        return list(self.who.teams)

    def new_id(self) -> str:
        """An id for what this request creates: the same one when the request is repeated with its key.

        By a credential of the same reach: another one's request is another request.
        """
        if self.idempotency_key is None:
            return new_id()
        self._derived += 1
        parts = (self.user, self.who.reach, self.route, self.idempotency_key, str(self._derived))
        return derived_id(*parts, at_ms=self.key_created_ms)

    def remaining(self) -> float:
        """Seconds left until the deadline; raises DeadlineExceeded when there are none."""
        left = self.deadline - clock.monotonic()
        if left <= 0:
            raise DeadlineExceeded
        return left


@dataclass
class Reply:
    """An answer with its status and headers. `body` is a model, a JSON value, bytes or text."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    etag: str | None = None
    cookies: list[dict[str, Any]] = field(default_factory=list)
    """Arguments of `set_cookie`, one mapping a cookie."""


def created(body: T, **headers: str) -> T:
    """201 with the thing that was made. Typed as the thing, so that a door says what it answers."""
    return cast(T, Reply(body, 201, dict(headers)))


def accepted(body: T) -> T:
    """202: the work was promised, not done."""
    return cast(T, Reply(body, 202))


def no_content(cookies: list[dict[str, Any]] | None = None) -> Any:
    """204: it is gone."""
    return Reply(None, 204, cookies=cookies or [])


def with_cookies(body: T, cookies: list[dict[str, Any]]) -> T:
    """200 with cookies for the browser that asked."""
    return cast(T, Reply(body, cookies=cookies))
