"""`@http`: an endpoint. The declaration is the enforcement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Request, Response
from pydantic import BaseModel

from shared.platform.edge import answers, repeats
from shared.platform.edge.auth import Scope
from shared.platform.edge.call import Call
from shared.platform.edge.declare import MAX_BODY, Declaration, Who, qualified_name
from shared.platform.edge.endpoint import endpoint
from shared.platform.edge.intake import TeamOf

F = TypeVar("F", bound=Callable[..., Any])


def http(
    method: str,
    *paths: str,
    role: Who,
    scope: Scope | None = None,
    body: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    team: TeamOf | None = None,
    once: bool = False,
    keeper: repeats.Keeper = repeats.PLAIN,
    status: int = 200,
    timeout: int = 60,
    memory_mb: int = 256,
    max_body: int = MAX_BODY,
    local_only: bool = False,
    any_query: bool = False,
    rate: str | None = None,
) -> Callable[[F], F]:
    """Declare an endpoint.

    `role` is who may call it: anyone, a signed-in user, a member or an admin of the team, an administrator
    of the platform. The team is `team_id` of path, query or body, or what `team(call)` finds for a resource;
    either way it must be one of the caller's, and what `team` read besides travels as `call.found`. `scope` is what an access token needs where method and role do
    not tell. `body` and `query` are the models of the handler's parameters of those types. `once=True` honours
    the Idempotency-Key header: one answer for a caller, this route and a key; `keeper` is how the answer is kept for it (`sealed` where it shows a secret).
    `local_only` functions answer 404 outside a laptop. `any_query` ignores the query string: for pages, whose
    scripts read it. `rate` is the class whose rate limits (`rate_{class}`, `rate_team_{class}`) count the requests,
    where the method does not tell it.
    """
    declaration = Declaration(
        kind="http",
        method=method,
        paths=paths,
        role=role,
        scope=scope,
        team=qualified_name(team),
        once=once,
        status=status,
        timeout=timeout,
        memory_mb=memory_mb,
        max_body=max_body,
        body=body,
        query=query,
        local_only=local_only,
        any_query=any_query,
        rate=rate,
    )

    def serve(request: Request, call: Call, handle: Callable[[], Any]) -> Response:
        def run() -> Response:
            return answers.respond(request, handle())

        return answers.finish(request, repeats.once(call, timeout + 10, run, keeper)) if once else run()

    return endpoint(declaration, team, serve)
