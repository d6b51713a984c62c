"""The HTTP face of the dispatch process: certificates, events, the schedules, the faults, the state."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.cloud.serving.post import DeliveryFaults
from local.cloud.tasks.delivery import Dispatcher
from local.cloud.tasks.store import Store
from local.dispatch.events import BadEvent, Trigger
from local.dispatch.schedules import Scheduler
from local.traces.store import Traces

_MAX_BODY = 10 * 1024 * 1024


@dataclass(frozen=True)
class Parts:
    """What the face speaks for."""

    store: Store
    dispatcher: Dispatcher
    trigger: Trigger
    scheduler: Scheduler
    faults: DeliveryFaults
    certificates: Callable[[], dict[str, str]]
    traces: Traces


class Problem(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def server(port: int, parts: Parts) -> ThreadingHTTPServer:
    """A server on loopback, ready for serve_forever."""

    class Handler(_Handler):
        served = parts

    return _Server(("127.0.0.1", port), Handler)


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body leave in one segment: without this each answer waits for a delayed acknowledgement.
    wbufsize = -1
    served: Parts

    def do_GET(self) -> None:
        self._route("GET")

    def do_POST(self) -> None:
        self._route("POST")

    def _route(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _MAX_BODY:
            self.close_connection = True
            self._answer(413, {"error": f"body: larger than {_MAX_BODY} bytes"})
            return
        body = self.rfile.read(length)
        path = self.path.partition("?")[0]
        for wanted, pattern, action in _ROUTES:
            match = re.fullmatch(pattern, path)
            if wanted == method and match:
                try:
                    self._answer(*action(self.served, self, body, *match.groups()))
                except Problem as problem:
                    self._answer(problem.status, {"error": str(problem)})
                return
        self._answer(404, {"error": f"nothing at {method} {path}"})

    def _answer(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing about ordinary requests; the gateway's log has them."""


_Answer = tuple[int, Any]
_Action = Callable[..., _Answer]


def _health(_parts: Parts, _request: _Handler, _body: bytes) -> _Answer:
    return 200, {"status": "ok"}


def _certs(parts: Parts, _request: _Handler, _body: bytes) -> _Answer:
    return 200, parts.certificates()


def _state(parts: Parts, _request: _Handler, _body: bytes) -> _Answer:
    tasks, under_way, events = parts.store.counts(), parts.dispatcher.under_way(), parts.trigger.pending()
    queues = {
        name.rsplit("/", 1)[-1]: {"tasks": count, "under_way": under_way.get(name, 0)}
        for name, count in tasks.items()
    }
    idle = not any(tasks.values()) and events == 0
    return 200, {"idle": idle, "queues": queues, "events": events, "dead": len(parts.trigger.dead())}


def _accept_event(parts: Parts, request: _Handler, body: bytes) -> _Answer:
    try:
        return 200, {"functions": parts.trigger.accept(dict(request.headers), body)}
    except BadEvent as error:
        raise Problem(400, str(error)) from None


def _dead(parts: Parts, _request: _Handler, _body: bytes) -> _Answer:
    return 200, {"dead": parts.trigger.dead()}


def _replay(parts: Parts, _request: _Handler, _body: bytes, event: str) -> _Answer:
    count = parts.trigger.replay(event)
    if count == 0:
        raise Problem(404, f"no dead letter of the event {event}")
    return 200, {"replayed": count}


def _schedules(parts: Parts, _request: _Handler, _body: bytes) -> _Answer:
    return 200, {"functions": parts.scheduler.names()}


def _fire(parts: Parts, _request: _Handler, _body: bytes, name: str) -> _Answer:
    try:
        answer = parts.scheduler.fire(name)
    except KeyError:
        raise Problem(
            404, f"no scheduled function is named {name}; known are {parts.scheduler.names()}"
        ) from None
    return (200 if answer.ok else 502), {"function": name, "status": answer.status, "reason": answer.reason}


def _faults(parts: Parts, _request: _Handler, _body: bytes) -> _Answer:
    return 200, parts.faults.describe()


def _change_faults(parts: Parts, _request: _Handler, body: bytes) -> _Answer:
    try:
        wanted = json.loads(body or b"{}")
        if not isinstance(wanted, dict):
            raise ValueError("body: must be a JSON object")
        parts.faults.change(wanted)
    except ValueError as error:
        raise Problem(400, str(error)) from None
    return 200, parts.faults.describe()


def _traces(parts: Parts, request: _Handler, _body: bytes) -> _Answer:
    given = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
    limit = given.get("limit", "")
    most = int(limit) if limit.isdecimal() and len(limit) < 10 else 100
    return 200, parts.traces.listing(given.get("q", ""), most, given.get("before", ""))


def _trace(parts: Parts, _request: _Handler, _body: bytes, trace_id: str) -> _Answer:
    found = parts.traces.detail(trace_id)
    if found is None:
        raise Problem(404, f"no trace {trace_id}")
    return 200, found


_ROUTES: tuple[tuple[str, str, _Action], ...] = (
    ("GET", "/_local/health", _health),
    ("GET", "/_local/oidc/certs", _certs),
    ("GET", "/_local/dispatch", _state),
    ("POST", "/_local/events", _accept_event),
    ("GET", "/_local/events/dead", _dead),
    ("POST", "/_local/events/dead/([^/]+)/replay", _replay),
    ("GET", "/_local/clock", _schedules),
    ("POST", "/_local/clock/fire/([^/]+)", _fire),
    ("GET", "/_local/traces", _traces),
    ("GET", "/_local/traces/([0-9a-f]{32})", _trace),
    ("GET", "/_local/chaos/delivery", _faults),
    ("POST", "/_local/chaos/delivery", _change_faults),
)
