"""What Flask answers before a function is asked, in the function's own envelope.

functions-framework runs a door's source inside the application's context, so the door can say there how
the application answers what never reaches it: a path with a line break, `/robots.txt`, a crash. Its own
pages are HTML, and that of a crash shows the exception's text.
"""

from __future__ import annotations

from flask import Response, current_app, has_app_context, request
from werkzeug.exceptions import HTTPException

from shared.platform.edge import answers
from shared.platform.edge.declare import Declaration
from shared.platform.errors import (
    BadInput,
    BridgeError,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    UnsupportedMediaType,
)
from shared.platform.telemetry import context as telemetry

_KNOWN: dict[int, type[BridgeError]] = {
    400: BadInput,
    404: NotFound,
    405: MethodNotAllowed,
    413: PayloadTooLarge,
    415: UnsupportedMediaType,
}


def speak_for(declaration: Declaration) -> None:
    """Answer for the application that loads this function; elsewhere (a test, a generator) there is none."""
    if not has_app_context():
        return
    # Otherwise a doubled slash is redirected, by a page of Flask's own.
    current_app.url_map.merge_slashes = False

    def answer(error: Exception) -> Response:
        with telemetry.request_context(
            declaration.name,
            request.headers.get("X-Correlation-Id"),
            request.headers.get("traceparent"),
            method=request.method,
            route="(none)",
        ) as root:
            return root.answers(answers.fail(request, _ours(error, declaration)))

    current_app.register_error_handler(HTTPException, answer)
    current_app.register_error_handler(Exception, answer)
    current_app.register_error_handler(500, answer)


def _ours(error: Exception, declaration: Declaration) -> Exception:
    if not isinstance(error, HTTPException):
        return error
    known = _KNOWN.get(error.code or 500)
    if known is None:
        return getattr(error, "original_exception", None) or error
    if known is MethodNotAllowed:
        return MethodNotAllowed(details={"allow": [declaration.method or "POST"]})
    return known()
