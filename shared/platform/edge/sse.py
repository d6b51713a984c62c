"""`@sse`: an endpoint that streams events. Flushed event by event, and authorised twice: before the first byte and
while it lasts.

The handler is a generator of Event. A heartbeat comment goes out when it is silent for 15 s, which
needs the generator to run in a thread of its own. When the client goes away the generator is closed
(GeneratorExit), so that it can stop what it started; one that may be silent for long yields None now
and then, which sends nothing and is where it can be closed.

A stream that breaks off says how: `interrupted` where the same may be asked again (a store is away), `error` where it
may not. Either is the last thing that is sent.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Request, Response
from pydantic import BaseModel

from shared.platform import clock, threads
from shared.platform.edge import answers, auth
from shared.platform.edge.call import Call
from shared.platform.edge.declare import MAX_BODY, Declaration, Who, qualified_name
from shared.platform.edge.endpoint import endpoint
from shared.platform.edge.intake import TeamOf
from shared.platform.errors import BridgeError, Unavailable
from shared.platform.telemetry import context as telemetry
from shared.platform.text import strict_json

F = TypeVar("F", bound=Callable[..., Any])

HEARTBEAT_SECONDS = 15.0
CONFIRM_SECONDS = 1.0
"""How often an open stream looks whether it may go on: a revoked token's streams end within about two of this."""
UNCONFIRMED_SECONDS = 30.0
"""How long a stream goes on while nobody can say whether it may."""
COME_BACK_SECONDS = 1.0
"""When a client may ask again for a stream that broke off, where nothing better is known."""
_BUFFERED = 256
_END = object()


@dataclass(frozen=True)
class Event:
    """One server-sent event. `data` is a JSON object: on one line, so no text in it can forge a field."""

    event: str
    data: Any
    id: str | None = None

    def encode(self) -> bytes:
        """The event's bytes on the wire."""
        head = f"id: {self.id}\n" if self.id is not None else ""
        return f"{head}event: {self.event}\ndata: ".encode() + strict_json.dumps(self.data) + b"\n\n"


def sse(
    method: str,
    *paths: str,
    role: Who,
    body: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    team: TeamOf | None = None,
    once: bool = False,
    timeout: int = 600,
    memory_mb: int = 512,
    max_body: int = MAX_BODY,
    rate: str | None = None,
) -> Callable[[F], F]:
    """Declare a streaming endpoint; the parameters are those of `http`.

    With `once=True` the handler gets `call.idempotency_key`, and repeats what it started under that key.
    """

    declaration = Declaration(
        kind="sse",
        method=method,
        paths=paths,
        role=role,
        team=qualified_name(team),
        once=once,
        timeout=timeout,
        memory_mb=memory_mb,
        max_body=max_body,
        body=body,
        query=query,
        rate=rate,
    )

    def serve(request: Request, call: Call, handle: Callable[[], Any]) -> Response:
        events = iter(handle())
        # The first event (or None) is awaited here: until then, a refusal can still be a status.
        first = next(events, _END)
        body = _stream(first, events, _Watch(call.principal))
        response = Response(body, content_type="text/event-stream; charset=utf-8")
        response.headers["Cache-Control"] = "no-cache"
        response.headers["X-Accel-Buffering"] = "no"
        return answers.finish(request, response)

    return endpoint(declaration, team, serve)


class _Watch:
    """Looks, while a stream lasts, whether its credential still holds and its teams are still the caller's.

    In a thread of its own: a directory that is slow to answer must not hold up events.
    """

    def __init__(self, who: auth.Principal | None) -> None:
        self._who = who
        self.refusal: BridgeError | None = None
        """Why the stream must end now, if it must."""

    def until(self, gone: threading.Event) -> None:
        """Look now and then until nobody reads any more, or may not."""
        confirmed = clock.monotonic()
        while self._who is not None and not clock.wait(gone, CONFIRM_SECONDS):
            try:
                auth.confirm(self._who)
                confirmed = clock.monotonic()
            except Unavailable as error:
                # The directory restarts; a stream may outlive that, but not for long unconfirmed.
                if clock.monotonic() - confirmed > UNCONFIRMED_SECONDS:
                    self.refusal = error
                    return
            except BridgeError as error:
                self.refusal = error
                return


def _stream(first: Any, events: Iterator[Event | None], watch: _Watch) -> Iterator[bytes]:
    if first is _END:
        return
    yield b": open\n\n" if first is None else first.encode()
    ready: queue.Queue[Any] = queue.Queue(_BUFFERED)
    gone = threading.Event()
    threads.start("events", _pump, events, ready, gone)
    threads.start("watch", watch.until, gone)
    silent_since = clock.monotonic()
    try:
        while True:
            if watch.refusal is not None:
                yield _broken_off(watch.refusal).encode()
                return
            try:
                item = ready.get(timeout=min(CONFIRM_SECONDS / 2, HEARTBEAT_SECONDS))
            except queue.Empty:
                if clock.monotonic() - silent_since >= HEARTBEAT_SECONDS:
                    silent_since = clock.monotonic()
                    yield b": heartbeat\n\n"
                continue
            if item is _END:
                return
            silent_since = clock.monotonic()
            yield item.encode()
    finally:
        gone.set()


def _pump(events: Iterator[Event | None], ready: queue.Queue[Any], gone: threading.Event) -> None:
    """Move events to the writer; close the generator as soon as nobody reads any more."""

    def offer(item: Any) -> bool:
        while not gone.is_set():
            try:
                ready.put(item, timeout=0.5)
                return True
            except queue.Full:
                continue
        return False

    try:
        for event in events:
            if gone.is_set() or (event is not None and not offer(event)):
                break
    except Exception as error:
        known = error if isinstance(error, BridgeError) else BridgeError()
        if not isinstance(error, BridgeError):
            telemetry.log_exception("an unexpected error ended the stream", error)
        offer(_broken_off(known))
    finally:
        close = getattr(events, "close", None)
        if close is not None:
            close()
        offer(_END)


def _broken_off(known: BridgeError) -> Event:
    told: dict[str, Any] = {"code": known.code, "message": known.message, "retryable": known.retryable}
    if not known.retryable:
        return Event("error", told)
    return Event("interrupted", told | {"retry_after": known.retry_after or COME_BACK_SECONDS})
