"""Every error that a caller can meet: its code, its status and its fate.

    BridgeError
    ├─ BadInput 400 ─── ValidationFailed, MalformedJson, InvalidCursor, …
    ├─ Unauthenticated 401
    ├─ Forbidden 403 ── QuotaExceeded, BudgetExceeded, FeatureDisabled
    ├─ NotFound 404, MethodNotAllowed 405, NotAcceptable 406
    ├─ Conflict 409 ─── SlugTaken, RequestInProgress
    ├─ PreconditionFailed 412, PayloadTooLarge 413, UnsupportedMediaType 415
    ├─ Unprocessable 422 ─ IdempotencyKeyReused
    ├─ RateLimited 429
    └─ Unavailable 503, DeadlineExceeded 504

An error is a noun with a status and a fate: `retryable` says whether the same call can succeed later
without a change by the caller. A step (a task, an event) reads it too: a retryable error is answered
with 5xx so that the queue repeats it, any other is final and goes to the dead letters. The docstring
is the public message; a raise may sharpen it with the field, the reason and what to do. A room adds its
own nouns in its `declared.py` by subclassing; a code is declared once, which a clash at import enforces.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

REGISTRY: dict[str, type[BridgeError]] = {}


class BridgeError(Exception):
    """Something went wrong on our side."""

    code: ClassVar[str] = "INTERNAL"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = True

    def __init__(
        self,
        message: str | None = None,
        *,
        field: str | None = None,
        reason: str | None = None,
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.message = message or type(self).title()
        self.field = field
        self.reason = reason
        self.details = dict(details) if details else None
        self.retry_after = retry_after
        super().__init__(self.message)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "code" in cls.__dict__:
            known = REGISTRY.setdefault(cls.code, cls)
            if _full(known) != _full(cls):  # A module that is loaded anew makes its classes anew.
                raise TypeError(f"error code {cls.code} is declared by {_full(known)} and {_full(cls)}")

    @classmethod
    def title(cls) -> str:
        """The public message: the first paragraph of the docstring."""
        return " ".join((cls.__doc__ or cls.code).strip().split("\n\n")[0].split())


def _full(kind: type[BridgeError]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


REGISTRY["INTERNAL"] = BridgeError


class BadInput(BridgeError):
    """The request can't be understood as it is."""

    code, status, retryable = "BAD_REQUEST", 400, False


class ValidationFailed(BadInput):
    """A field of the request is not valid."""

    code = "VALIDATION_ERROR"


class MalformedJson(BadInput):
    """The body is not valid JSON."""

    code = "MALFORMED_JSON"


class MalformedEvent(BadInput):
    """The delivery is not a well-formed event for this function."""

    code = "MALFORMED_EVENT"


class InvalidCursor(BadInput):
    """The cursor was not issued by this endpoint."""

    code = "INVALID_CURSOR"


class InvalidCiphertext(BadInput):
    """The stored credentials can't be opened; save them again."""

    code = "INVALID_CIPHERTEXT"


class Unauthenticated(BridgeError):
    """Sign in, or send a valid access token."""

    code, status, retryable = "UNAUTHENTICATED", 401, False


class Forbidden(BridgeError):
    """Your role does not allow this."""

    code, status, retryable = "FORBIDDEN", 403, False


class CsrfRejected(Forbidden):
    """A signed-in browser must send the X-Bridge-CSRF header with a change."""

    code = "CSRF_REJECTED"


class QuotaExceeded(Forbidden):
    """The team's quota is used up."""

    code = "QUOTA_EXCEEDED"


class BudgetExceeded(Forbidden):
    """The budget for this work is used up."""

    code = "BUDGET_EXCEEDED"


class FeatureDisabled(Forbidden):
    """This feature is switched off here."""

    code = "FEATURE_DISABLED"


class NotFound(BridgeError):
    """There is nothing here, or it is not yours."""

    code, status, retryable = "NOT_FOUND", 404, False


class MethodNotAllowed(BridgeError):
    """This address does not take that method."""

    code, status, retryable = "METHOD_NOT_ALLOWED", 405, False


class NotAcceptable(BridgeError):
    """This address can't answer in the form that was asked for."""

    code, status, retryable = "NOT_ACCEPTABLE", 406, False


class Conflict(BridgeError):
    """The current state does not allow this."""

    code, status, retryable = "CONFLICT", 409, False


class SlugTaken(Conflict):
    """This name is taken."""

    code = "SLUG_TAKEN"


class RequestInProgress(Conflict):
    """A request with this Idempotency-Key is still running."""

    code, retryable = "REQUEST_IN_PROGRESS", True


class PreconditionFailed(BridgeError):
    """Somebody changed it since you read it; read it again."""

    code, status, retryable = "PRECONDITION_FAILED", 412, False


class PayloadTooLarge(BridgeError):
    """The body is too large."""

    code, status, retryable = "PAYLOAD_TOO_LARGE", 413, False


class UnsupportedMediaType(BridgeError):
    """The body must be sent as application/json."""

    code, status, retryable = "UNSUPPORTED_MEDIA_TYPE", 415, False


class Unprocessable(BridgeError):
    """The request is well-formed but can't be carried out."""

    code, status, retryable = "UNPROCESSABLE", 422, False


class IdempotencyKeyReused(Unprocessable):
    """This Idempotency-Key was used with another body."""

    code = "IDEMPOTENCY_KEY_REUSED"


class RateLimited(BridgeError):
    """Too many requests; slow down."""

    code, status, retryable = "RATE_LIMITED", 429, True
    headers: Mapping[str, str] = MappingProxyType({})
    """The RateLimit headers of the limit that was met."""


class Unavailable(BridgeError):
    """A service that this needs is not reachable; try again shortly."""

    code, status, retryable = "SERVICE_UNAVAILABLE", 503, True


class StillRunning(Unavailable):
    """Another attempt at this step is still running."""

    code = "STEP_STILL_RUNNING"


class DeadlineExceeded(BridgeError):
    """It took longer than allowed."""

    code, status, retryable = "DEADLINE_EXCEEDED", 504, True


def envelope(error: BridgeError, *, correlation_id: str, trace_id: str) -> dict[str, Any]:
    """The one answer body for every error, with the RFC 9457 members beside it."""
    body: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.field is not None:
        body["field"] = error.field
    if error.reason is not None:
        body["reason"] = error.reason
    if error.details is not None:
        body["details"] = error.details
    body |= {"retryable": error.retryable, "correlation_id": correlation_id, "trace_id": trace_id}
    return {
        "error": body,
        "type": f"https://bridge.dev/errors/{error.code.lower().replace('_', '-')}",
        "title": type(error).title(),
        "status": error.status,
        "detail": error.message,
    }
