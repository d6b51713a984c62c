"""gunicorn's threaded worker and its master, with two manners of leaving.

A replaced worker leaves politely: it takes no new connections, answers those it has accepted, asks each
client to close, and lets streams end. gunicorn's own worker drops connections that were accepted but not
read yet, which a client sees as a reset in the middle of a code change. A gateway that stops leaves at once.
"""

import time
from typing import Any

from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]
from gunicorn.http.errors import (  # type: ignore[import-untyped]
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.util import write_nonblock  # type: ignore[import-untyped]
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from local.gateway.answers import problem

_LINGER = 0.5
_LIMITS = {LimitRequestHeaders: 431, LimitRequestLine: 414, UnsupportedTransferCoding: 501}


class Worker(ThreadWorker):  # type: ignore[misc]
    """Serves requests in threads; SIGTERM means: you are being replaced."""

    _leaving_since: float | None = None

    def handle_exit(self, _signal: int, _frame: Any) -> None:
        """Begin to leave; the loop does the rest, as a handler must not take its locks."""
        self._leaving_since = self._leaving_since or time.monotonic()

    def notify(self) -> None:
        """Called once per turn of the loop: a sign of life, and here the steps of leaving."""
        super().notify()
        if self._leaving_since is None:
            return
        if self.cfg.keepalive:
            self.cfg.set("keepalive", 0)  # From now on answers end their connection.
            for listener in self.sockets:
                self.poller.unregister(listener)
        if time.monotonic() - self._leaving_since > _LINGER and not self._unread():
            self.alive = False

    def handle_error(self, _request: Any, client: Any, addr: Any, error: BaseException) -> None:
        """Answer what is no HTTP request, or breaks our limits, in the envelope; gunicorn's page is HTML."""
        if isinstance(error, ParseException):
            status = next((s for kind, s in _LIMITS.items() if isinstance(error, kind)), 400)
            code, message = "BAD_REQUEST", "This is not an HTTP request that can be read."
            self.log.warning("unreadable request from %s: %s", (addr or ("",))[0], error)
        else:
            status, code, message = 500, "INTERNAL", "Something went wrong on our side."
            self.log.error("a request ended with an error", exc_info=error)
        lines: list[str] = []

        def start(line: str, headers: list[tuple[str, str]]) -> None:
            fields = [("Connection", "close"), *headers]
            lines.extend([f"HTTP/1.1 {line}", *(f"{name}: {value}" for name, value in fields), "", ""])

        body = b"".join(problem({}, start, status, code, message, retryable=status >= 500))
        try:
            write_nonblock(client, "\r\n".join(lines).encode() + body)
        except OSError:
            self.log.debug("the client is gone")

    def _unread(self) -> int:
        """How many accepted connections have not sent their first request yet."""
        with self._lock:
            return len(self.poller.get_map()) - len(self._keep)


class Master(Arbiter):  # type: ignore[misc]
    """Replaces workers politely and stops within a second."""

    def stop(self, graceful: bool = True) -> None:  # noqa: ARG002 - the signature is gunicorn's
        """End the workers at once, those with open streams after a second."""
        self.cfg.set("graceful_timeout", 1)
        super().stop(False)
