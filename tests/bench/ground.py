"""What the benchmarks stand on: a private stack with the demo data, and ways to ask and to watch it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from local.demo.api import Api
from local.stack import api as stacks
from tests.bench import process, wire

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Options:
    """How much to measure."""

    quick: bool = False

    def pick(self, full: Any, quick: Any) -> Any:
        """One of two amounts."""
        return quick if self.quick else full


class NotThere(Exception):
    """What a benchmark measures is not in this checkout; the message says what is missing."""


@dataclass
class Ground:
    """A running stack."""

    stack: stacks.Stack

    @cached_property
    def server(self) -> tuple[str, int]:
        """Where the gateway listens."""
        return wire.address(self.stack.url)

    @cached_property
    def token(self) -> str:
        """The demo admin's token."""
        return self.stack.token

    @cached_property
    def api(self) -> Api:
        """A plain client, for what is not measured."""
        return Api(self.stack.url, self.token)

    @cached_property
    def connection(self) -> dict[str, Any]:
        """The demo connection. Raises NotThere when the demo could not make it."""
        found = self.api.get("/v1/onboarding/connections", team_id=self.stack.team_id)["connections"]
        if not found or found[0]["status"] != "validated":
            raise NotThere(f"a validated demo connection; the loader said:\n{self.stack.last_words(5)}")
        return dict(found[0])

    def message(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        """The bytes of a request with the demo admin's token."""
        given = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        content = b""
        if body is not None:
            content, given["Content-Type"] = json.dumps(body).encode(), "application/json"
        return wire.request(method, path, given, content)

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> wire.Response:
        """One exchange on a connection of its own."""
        line = wire.Line(self.server)
        try:
            return line.exchange(self.message(method, path, body, headers))
        finally:
            line.close()

    def serves(self, method: str, template: str) -> bool:
        """Whether the manifest has such a route."""
        manifest = json.loads((ROOT / "functions" / "manifest.json").read_text())["functions"]
        return any(
            function.get("method") == method and template in function.get("paths", ())
            for function in manifest
        )

    def family(self, service: str) -> list[int]:
        """The processes of a service."""
        return process.family(self.stack.pid(service))


@dataclass
class Meter:
    """CPU time of some services between two moments."""

    ground: Ground
    services: Sequence[str]
    _before: dict[str, float] = field(default_factory=dict)

    def start(self) -> None:
        """Begin to count."""
        self._before = self._now()

    def spent(self) -> dict[str, float]:
        """CPU milliseconds by service since the start."""
        now = self._now()
        return {name: now[name] - self._before[name] for name in self.services}

    def _now(self) -> dict[str, float]:
        return {name: process.cpu_ms(self.ground.family(name)) for name in self.services}


@dataclass
class Scheduled:
    """What the scheduler gave some services between two moments: time on a core, time waiting for one."""

    ground: Ground
    services: Sequence[str]
    _before: dict[str, tuple[float, float]] = field(default_factory=dict)

    def start(self) -> None:
        """Begin to count."""
        self._before = self._now()

    def given(self) -> tuple[dict[str, float], float]:
        """Milliseconds on a core by service, and milliseconds that all of them waited for one."""
        now = self._now()
        ran = {name: now[name][0] - self._before[name][0] for name in self.services}
        return ran, sum(now[name][1] - self._before[name][1] for name in self.services)

    def _now(self) -> dict[str, tuple[float, float]]:
        return {name: process.scheduled_ms(self.ground.family(name)) for name in self.services}


@dataclass
class GatewayLog:
    """The gateway's own view of requests: from the moment a worker takes one to the end of its answer.

    That is the service time: it leaves out the client, the kernel's queues and gunicorn's reading.
    """

    ground: Ground
    _offset: int = 0

    def __post_init__(self) -> None:
        self._offset = self._path.stat().st_size

    def latencies(self) -> dict[str, float]:
        """Milliseconds by correlation id, of all requests since this object was made."""
        found: dict[str, float] = {}
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                with contextlib.suppress(ValueError):
                    record = json.loads(line)
                    if isinstance(record, dict) and "httpRequest" in record:
                        seconds = float(record["httpRequest"]["latency"].removesuffix("s"))
                        found[record["correlation_id"]] = seconds * 1000
        return found

    @property
    def _path(self) -> Path:
        return self.ground.stack.home / "logs" / "gateway.log"


@contextlib.contextmanager
def standing(*, demo: bool = True) -> Iterator[Ground]:
    """A stack over a temporary folder, gone at the end."""
    with stacks.started(demo=demo) as stack:
        yield Ground(stack)


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's variables without the one that stops Python from keeping bytecode."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | dict(extra or {})
