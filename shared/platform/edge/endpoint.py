"""What `@http` and `@sse` share: from a declared handler to a function that reads, checks and answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from flask import Request, Response

from shared.platform import clock, deadline
from shared.platform.edge import answers, hosts, intake, outside, throttle
from shared.platform.edge.call import Call, Found
from shared.platform.edge.declare import (
    Declaration,
    attach,
    compile_path,
    describe,
    first_parameter,
    handler_models,
    qualified_name,
)
from shared.platform.edge.intake import TeamOf
from shared.platform.errors import NotFound
from shared.platform.settings import settings
from shared.platform.telemetry import context as telemetry

F = TypeVar("F", bound=Callable[..., Any])
Serve = Callable[[Request, Call, Callable[[], Any]], Response]
"""Makes the response from the request, the authorised call and the handler, bound to its arguments."""


def endpoint(wanted: Declaration, team: TeamOf | None, serve: Serve) -> Callable[[F], F]:
    """The decorator of an endpoint. `wanted` is its declaration but for what the handler itself says."""

    def decorate(handler: F) -> F:
        declaration = describe(wanted, handler)
        _check_found(handler, declaration, team)
        _check_once(handler, declaration)
        arguments = _arguments(handler, declaration)
        patterns = [compile_path(path) for path in declaration.paths]

        def entry(request: Request) -> Response:
            with telemetry.request_context(
                declaration.name,
                request.headers.get("X-Correlation-Id"),
                request.headers.get("traceparent"),
                method=request.method,
                route=declaration.paths[0],
            ) as root:
                try:
                    with deadline.over(declaration.timeout):
                        return root.answers(answer(request))
                except Exception as error:
                    return root.answers(answers.fail(request, error))

        def answer(request: Request) -> Response:
            if request.method == "OPTIONS":
                hosts.check(request, declaration.name)
                return answers.preflight(request, (str(declaration.method), "OPTIONS"))
            if declaration.local_only and not settings().is_local:
                raise NotFound
            call = _open(request, declaration, patterns, team)
            values = {name: getattr(call, source) for name, source in arguments.items()}
            return serve(request, call, lambda: handler(call, **values))

        attach(entry, handler, declaration)
        outside.speak_for(declaration)
        return cast(F, entry)

    return decorate


def _open(request: Request, declaration: Declaration, patterns: list[Any], team: TeamOf | None) -> Call:
    """Read, authenticate and authorise a request; raises the error that it deserves."""
    intake.check_method(request, declaration)
    path = intake.read_path(request, patterns)
    hosts.check(request, declaration.name)
    principal = intake.read_caller(request, declaration)
    throttle.caller(request, declaration, principal)
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
    if declaration.once:
        call.idempotency_key = intake.read_idempotency_key(request)
    if intake.enter_team(call, declaration, team):
        throttle.team(request, declaration, call.team)
    return call


def _check_found(handler: Callable[..., Any], declaration: Declaration, team: TeamOf | None) -> None:
    """Refuse a handler that expects something else of `call.found` than `team=` gives."""
    wanted = _part_of(Call, first_parameter(handler))
    given = None if team is None else _part_of(Found, get_type_hints(team).get("return"))
    if wanted is not None and wanted != given:
        raise TypeError(
            f"{declaration.name} takes a Call of {wanted}, but "
            f"{'it declares no team=' if team is None else f'{qualified_name(team)} finds {given}'}"
        )
    if team is not None and declaration.role not in ("member", "admin"):
        raise TypeError(f"{declaration.name} declares team=, which only roles of a team come with")


def _part_of(generic: type[Any], annotation: Any) -> Any:
    """What a generic of ours is of; None where nothing is said."""
    return get_args(annotation)[0] if get_origin(annotation) is generic else None


def _check_once(handler: Callable[..., Any], declaration: Declaration) -> None:
    """The key of an endpoint is its caller's: there must be one, and something to repeat."""
    if type(declaration.once) is not bool:
        raise TypeError(
            f"{handler.__module__}.{handler.__name__}: once= of an endpoint is True or False; its key is the caller's "
            "Idempotency-Key, for the caller and the route"
        )
    if declaration.once and (declaration.role == "public" or declaration.method == "GET"):
        raise TypeError(
            f"{handler.__module__}.{handler.__name__}: once= is for what a known caller changes, not for GET or everybody"
        )


def _arguments(handler: Callable[..., Any], declaration: Declaration) -> dict[str, str]:
    """Which parameter of the handler takes the body and which the query, by their types."""
    sources = {declaration.body: "body", declaration.query: "query"}
    sources.pop(None, None)
    found: dict[str, str] = {}
    for name, annotation in handler_models(handler)[0].items():
        if annotation not in sources:
            raise TypeError(
                f"{handler.__module__}.{handler.__name__}: {name} is neither the body nor the query"
            )
        found[name] = sources[annotation]
    return found
