"""What each access token may do, over all functions and all scopes."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from shared.platform.edge import auth, intake
from shared.platform.errors import Forbidden
from shared.platform.ids import TeamId, UserId
from shared.platform.settings import Settings
from tools.manifest import declarations

ENDPOINTS = [one for one in declarations() if one.kind in ("http", "sse")]
LOCKED = [one for one in ENDPOINTS if one.role != "public"]
SUBSETS = [chosen for size in range(5) for chosen in itertools.combinations(auth.SCOPES, size)]
ADMIN = "admin@platform.example"


def name(declaration: Any) -> str:
    return str(declaration.name)


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Callable[..., auth.Principal | None]:
    """Read the caller of a request as the edge does, for a token that the directory would know."""
    known: dict[str, auth.Principal] = {}
    monkeypatch.setattr(auth, "principal", lambda **_: known["caller"])

    def one(declaration: Any, scopes: tuple[str, ...], **changes: Any) -> auth.Principal | None:
        team = TeamId("018f0000-0000-7000-8000-000000000001")
        who = auth.Principal(
            UserId("018f0000-0000-7000-8000-000000000002"), ADMIN, "", scopes, {team: "admin"}, "id", "token"
        )
        known["caller"] = dataclasses.replace(who, **changes)
        with Flask("test").test_request_context("/", method=declaration.method) as context:
            return intake.read_caller(context.request, declaration)

    configured = Settings.model_construct(platform_admins=(ADMIN,))  # the other settings at their defaults
    monkeypatch.setattr(intake, "settings", lambda: configured)
    return one


def test_every_endpoint_but_the_public_ones_needs_a_scope() -> None:
    """By method and role; what makes or revokes tokens needs everything, so that no token makes a stronger one."""
    for declaration in ENDPOINTS:
        if declaration.role == "public":
            assert declaration.needs is None
        elif declaration.scope is None:
            admin = declaration.role in ("admin", "platform_admin")
            expected = "admin" if admin else "read" if declaration.method == "GET" else "write"
            assert declaration.needs == expected, declaration.name
    special = {declaration.name: declaration.scope for declaration in ENDPOINTS if declaration.scope}
    assert special == {
        "auth-create-token": "full",
        "auth-rotate-token": "full",
        "auth-revoke-token": "full",
        "auth-logout": "read",
    }
    changing = {d.name for d in LOCKED if d.method != "GET" and d.needs == "read"}
    assert changing == {"auth-logout"}, "a token that reads changes nothing but its own end"


@pytest.mark.parametrize("declaration", LOCKED, ids=name)
def test_a_token_does_what_its_scopes_say_and_nothing_more(
    declaration: Any, ask: Callable[..., auth.Principal | None]
) -> None:
    """Every function, every set of scopes: 403 that names the missing scope, or through."""
    needed = auth.SCOPES.index(declaration.needs)
    for scopes in SUBSETS:
        if any(auth.SCOPES.index(scope) >= needed for scope in scopes):
            assert ask(declaration, scopes) is not None
            continue
        with pytest.raises(Forbidden) as caught:
            ask(declaration, scopes)
        assert caught.value.reason == "scope"
        assert caught.value.details == {"missing_scope": declaration.needs}
        assert declaration.needs in caught.value.message


@pytest.mark.parametrize("declaration", [d for d in LOCKED if d.role == "platform_admin"], ids=name)
def test_a_token_of_one_team_does_not_work_across_teams(
    declaration: Any, ask: Callable[..., auth.Principal | None]
) -> None:
    """Even if its owner is an administrator of the platform."""
    team = TeamId("018f0000-0000-7000-8000-000000000001")
    with pytest.raises(Forbidden):
        ask(declaration, ("full",), only_team=team)


@pytest.mark.stack
@pytest.mark.parametrize("declaration", LOCKED, ids=name)
def test_over_the_wire_a_lesser_token_is_told_what_it_lacks(declaration: Any, world: Any) -> None:
    """403 FORBIDDEN before anything is parsed or looked up."""
    from tests.structure.test_doors import address

    needed = auth.SCOPES.index(declaration.needs)
    function = {"paths": declaration.paths}
    for scope in auth.SCOPES[:needed]:
        made = world.post("/v1/auth/tokens", {"name": "lesser", "scopes": [scope]}).json
        answer = world.request(
            declaration.method,
            address(function),
            as_=type(world.admin)("", "", made["token"]),
            raw=b"{junk" if declaration.body else None,
        )
        assert (answer.status, answer.error["code"], answer.error["reason"]) == (403, "FORBIDDEN", "scope")
        assert answer.error["details"] == {"missing_scope": declaration.needs}
        world.delete(f"/v1/auth/tokens/{made['id']}")
