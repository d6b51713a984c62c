"""Read a request strictly: method, path, caller, query, body, team, in that order.

A stranger learns nothing: without a credential it is 401 before anything is parsed, and a team that is
not the caller's answers exactly as one that does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from flask import Request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import ClientDisconnected

from shared.platform.edge import auth
from shared.platform.edge.call import Call, Found
from shared.platform.edge.declare import Declaration
from shared.platform.errors import (
    BadInput,
    Forbidden,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    Unauthenticated,
    UnsupportedMediaType,
    ValidationFailed,
)
from shared.platform.ids import TeamId, is_id
from shared.platform.settings import settings
from shared.platform.telemetry import context as telemetry
from shared.platform.text import strict_json

TeamOf = Callable[[Call], TeamId | Found[Any]]
"""Whose resource a request names. Raises NotFound for a stranger's; what else it read travels as `call.found`."""


class BrokenBody(BadInput):
    """The body breaks off, or its chunks can't be read."""

    retryable = True


MOST_PROBLEMS = 50
"""Of a request that are told; how many more there are is said behind them."""
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,78}[a-z0-9])?\Z")
_KEY = re.compile(r"[\x21-\x7e]{1,200}\Z")


def check_method(request: Request, declaration: Declaration) -> None:
    """Raise MethodNotAllowed unless the method is the declared one (HEAD counts as GET)."""
    method = "GET" if request.method == "HEAD" else request.method
    if method != declaration.method:
        raise MethodNotAllowed(details={"allow": [declaration.method]})


def read_path(request: Request, patterns: list[re.Pattern[str]]) -> Mapping[str, str]:
    """The path's parameters; one that can't be an id or a slug is simply not found."""
    if "\0" in request.path:
        raise NotFound
    for pattern in patterns:
        if match := pattern.match(request.path):
            found = match.groupdict()
            for name, value in found.items():
                if (name.endswith("_id") and not is_id(value)) or (name == "slug" and not _SLUG.match(value)):
                    raise NotFound
            return found
    raise NotFound


def read_caller(request: Request, declaration: Declaration) -> auth.Principal | None:
    """The principal, required unless the function is public; of platform admins where it is theirs."""
    try:
        caller = auth.principal(
            method=request.method,
            authorization=request.headers.get(settings().credential_header),
            cookies=request.cookies,
            csrf=request.headers.get(auth.CSRF_HEADER),
        )
    except Unauthenticated:
        if declaration.role == "public":
            return None
        raise
    needed = declaration.needs
    if needed is not None and not caller.has_scope(needed):
        raise Forbidden(
            f"This access token may do {' and '.join(caller.scopes) or 'nothing'}; this needs the scope {needed}.",
            reason="scope",
            details={"missing_scope": needed},
        )
    if declaration.role == "platform_admin" and (
        caller.email not in settings().platform_admins or caller.only_team is not None
    ):
        raise Forbidden("Only an administrator of the platform may do this.", reason="role")
    return caller


def read_query(request: Request, declaration: Declaration) -> BaseModel | None:
    """The query string as the declared model; without a model any parameter is refused."""
    raw: dict[str, Any] = {}
    if declaration.any_query:
        return None
    for name, values in request.args.lists():
        if any("\0" in text for text in (name, *values)):
            raise ValidationFailed(
                f"The parameter {name[:80]!r} contains a NUL, which no text here may.",
                field=name[:80].replace("\0", ""),
                reason="contains a NUL",
            )
        if declaration.query is not None and declaration.query.model_config.get("extra") == "allow":
            raw[name] = values if len(values) > 1 else values[0]
            continue
        if len(values) > 1:
            raise ValidationFailed(
                f"The parameter {name!r} is given twice.", field=name, reason="given twice"
            )
        raw[name] = values[0]
    if declaration.query is None:
        if raw:
            name = next(iter(raw))
            raise ValidationFailed(
                f"There is no parameter {name!r} here.", field=name, reason="unknown parameter"
            )
        return None
    return validate(declaration.query, raw)


def read_body(request: Request, declaration: Declaration) -> tuple[BaseModel | None, bytes]:
    """The body as the declared model, and its bytes."""
    if declaration.body is None:
        return None, b""
    raw = read_bytes(request, declaration.max_body)
    if request.mimetype != "application/json":
        raise UnsupportedMediaType(field="Content-Type", reason=f"it is {request.mimetype or 'missing'}")
    strict_json.loads(raw)
    return validate_json(declaration.body, raw), raw


def read_bytes(request: Request, most: int) -> bytes:
    """The body's bytes; refused by its length before it is read, and while it is read."""
    message = f"The body is larger than {most} bytes."
    if request.content_length is not None and request.content_length > most:
        raise PayloadTooLarge(message, details={"max_bytes": most})
    raw = bytearray()
    try:
        # One read may end early; only the one after it tells the end of the body from the end of the connection.
        while len(raw) <= most and (part := request.stream.read(most + 1 - len(raw))):
            raw += part
    except (OSError, ClientDisconnected):  # gunicorn's errors of chunked bodies are OSErrors.
        raise BrokenBody from None
    if len(raw) > most:
        raise PayloadTooLarge(message, details={"max_bytes": most})
    return bytes(raw)


def read_idempotency_key(request: Request) -> str | None:
    """The Idempotency-Key, if one is given."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.match(key):
        raise ValidationFailed(
            "The Idempotency-Key must be 1 to 200 visible ASCII characters.",
            field="Idempotency-Key",
            reason="malformed",
        )
    return key


def enter_team(call: Call, declaration: Declaration, team_of: TeamOf | None) -> bool:
    """Set the call's team and role, or raise NotFound for a stranger and Forbidden for a lesser role.

    False where the function declares no team.
    """
    if declaration.role not in ("member", "admin"):
        return False
    answer = team_of(call) if team_of is not None else _given_team(call)
    team, found = (answer.team, answer.thing) if isinstance(answer, Found) else (answer, None)
    role = call.who.teams.get(team)
    if role is None:
        raise NotFound
    if declaration.role == "admin" and role != "admin":
        raise Forbidden("Only an admin of the team may do this.", reason="role")
    call._team, call.role, call._found = team, role, found
    telemetry.in_team(team)
    return True


def _given_team(call: Call) -> TeamId:
    """`team_id` from the path, the query or the body; it only selects among the caller's own teams."""
    for source in (
        call.path.get("team_id"),
        getattr(call.query, "team_id", None),
        getattr(call.body, "team_id", None),
    ):
        if source is not None:
            return TeamId(str(source))
    if len(call.who.teams) == 1:
        return next(iter(call.who.teams))
    if not call.who.teams:
        raise NotFound
    raise ValidationFailed("Name the team: you belong to several.", field="team_id", reason="missing")


def validate(model: type[BaseModel], value: Any) -> BaseModel:
    """The model of a value; raises ValidationFailed with every problem."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _refusal(error) from None


def validate_json(model: type[BaseModel], raw: bytes) -> BaseModel:
    """The model of a JSON text: strict, as far as JSON can tell types apart."""
    try:
        return model.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise _refusal(error) from None


def _refusal(error: ValidationError) -> ValidationFailed:
    problems = [
        {
            "field": ".".join(str(part) for part in issue["loc"]) or "body",
            "reason": issue["msg"].removeprefix("Value error, "),
        }
        for issue in error.errors(include_url=False, include_input=False, include_context=False)[
            :MOST_PROBLEMS
        ]
    ]
    first = problems[0]
    if (more := error.error_count() - len(problems)) > 0:
        problems.append({"field": "body", "reason": f"and {more:,} more problems"})
    return ValidationFailed(
        f"{first['field']}: {first['reason']}",
        field=first["field"],
        reason=first["reason"],
        details={"errors": problems},
    )
