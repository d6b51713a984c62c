"""`@http`: an endpoint. The declaration is the enforcement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Request, Response
from pydantic import BaseModel

from shared.platform import clock, telemetry
from shared.platform.edge import answers, intake, repeats
from shared.platform.edge.call import Call
from shared.platform.edge.declare import (
    MAX_BODY,
    Declaration,
    Who,
    attach,
    compile_path,
    handler_models,
    module_of,
    summary,
)
from shared.platform.edge.intake import TeamOf
from shared.platform.errors import BridgeError
from shared.platform.settings import settings

F = TypeVar("F", bound=Callable[..., Any])


def http(
    method: str,
    *paths: str,
    role: Who,
    body: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    team: TeamOf | None = None,
    once: str | None = None,
    status: int = 200,
    timeout: int = 60,
    memory_mb: int = 256,
    max_body: int = MAX_BODY,
    local_only: bool = False,
    any_query: bool = False,
) -> Callable[[F], F]:
    """Declare an endpoint.

    `role` is who may call it: anyone, a signed-in user, a member or an admin of the team. The team is
    `team_id` of path, query or body, or what `team(call)` finds for a resource; either way it must be one
    of the caller's. `body` and `query` are the models of the handler's parameters of those types. `once`
    honours the Idempotency-Key header. `local_only` functions answer 404 outside a laptop. `any_query` ignores the
    query string: for pages, whose scripts read it.
    """

    def decorate(handler: F) -> F:
        parameters, answer = handler_models(handler)
        arguments = _arguments(parameters, body, query, handler)
        declaration = Declaration(
            kind="http",
            module=module_of(handler),
            entry_point=handler.__name__,
            summary=summary(handler),
            method=method,
            paths=paths,
            role=role,
            team=None if team is None else f"{team.__module__}.{team.__qualname__}",
            once=once,
            status=status,
            timeout=timeout,
            memory_mb=memory_mb,
            max_body=max_body,
            body=body,
            query=query,
            answer=answer,
            local_only=local_only,
            any_query=any_query,
        )
        patterns = [compile_path(path) for path in paths]

        def entry(request: Request) -> Response:
            name = declaration.name
            with telemetry.request_context(
                name, request.headers.get("X-Correlation-Id"), request.headers.get("traceparent")
            ):
                try:
                    if request.method == "OPTIONS":
                        return answers.preflight(request, (method, "OPTIONS"))
                    if local_only and not settings().is_local:
                        raise _hidden()
                    call = open_call(request, declaration, patterns, team)
                    values = {key: getattr(call, source) for key, source in arguments.items()}

                    def run() -> Response:
                        return answers.respond(request, handler(call, **values))

                    if once is None:
                        return run()
                    return answers.finish(request, repeats.once(call, timeout + 10, run))
                except Exception as error:
                    return answers.fail(request, error)

        entry.__name__ = entry.__qualname__ = handler.__name__
        entry.__module__, entry.__doc__ = handler.__module__, handler.__doc__
        attach(entry, declaration)
        return entry  # type: ignore[return-value]

    return decorate


def open_call(request: Request, declaration: Declaration, patterns: Any, team: TeamOf | None) -> Call:
    """Read, authenticate and authorise a request; raises the error that it deserves."""
    intake.check_method(request, declaration)
    path = intake.read_path(request, patterns)
    principal = intake.read_caller(request, declaration)
    call = Call(
        method=request.method,
        path=path,
        headers=dict(request.headers.items()),
        correlation_id=telemetry.context().correlation_id,
        deadline=clock.monotonic() + declaration.timeout,
        principal=principal,
        route=declaration.name,
    )
    call.query = intake.read_query(request, declaration)
    call.body, call.raw_body = intake.read_body(request, declaration)
    if declaration.once is not None:
        call.idempotency_key = intake.read_idempotency_key(request)
    intake.enter_team(call, declaration, team)
    return call


def _arguments(
    parameters: dict[str, Any], body: Any, query: Any, handler: Callable[..., Any]
) -> dict[str, str]:
    """Which handler parameter takes the body and which the query, by their types."""
    found: dict[str, str] = {}
    for name, annotation in parameters.items():
        if annotation is body and body is not None:
            found[name] = "body"
        elif annotation is query and query is not None:
            found[name] = "query"
        else:
            raise TypeError(
                f"{handler.__module__}.{handler.__name__}: {name} is neither the body nor the query"
            )
    return found


def _hidden() -> BridgeError:
    from shared.platform.errors import NotFound

    return NotFound()
