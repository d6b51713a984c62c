"""The world that tests run against: the whole product on this machine, over its real protocols."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import requests

from local.patience import Patience, until
from tests import keeper
from tests.servers import CannotStart
from tools import conformance

# Tests start servers while this process holds gRPC channels. gRPC's fork handlers run between fork and exec and
# can abort the child there; nothing here forks without exec, so they are switched off before gRPC loads.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

# What a killed process holds in Firestore is waited for in many tests; a minute each time is the service's own.
os.environ.setdefault("BRIDGE_FIRESTORE_IDLE_SECONDS", "10")

_PATIENT: dict[str, Any] = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("fast", max_examples=25, derandomize=True, **_PATIENT)
hypothesis.settings.register_profile("thorough", max_examples=100, derandomize=True, **_PATIENT)
hypothesis.settings.register_profile("explore", max_examples=1000, print_blob=True, **_PATIENT)
# `--thorough` loads the second: the same examples each time, so that red means a change. `explore`, by the variable
# HYPOTHESIS_PROFILE, looks for new ones. None limits an example's time, which tells how busy the machine is.
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

ENDED = ("completed", "completed_with_errors", "failed", "cancelled")


@dataclasses.dataclass
class Answer:
    """An HTTP answer, read whole."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> dict[str, Any]:
        return dict(self.json["error"])


@dataclasses.dataclass(frozen=True)
class Person:
    """Somebody with an access token."""

    email: str
    user_id: str
    token: str


class World:
    """The running stack, asked as a client would ask it."""

    def __init__(self, stack: Any) -> None:
        self.stack = stack
        self.url: str = stack.url
        self.team_id: str = stack.team_id
        self._http = requests.Session()
        self.admin = Person("demo@bridge.local", "", stack.token)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        as_: Person | str | None = "admin",
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """One call; `as_=None` sends no credential."""
        all_headers = dict(headers or {})
        person = self.admin if as_ == "admin" else as_
        if isinstance(person, Person):
            all_headers.setdefault("Authorization", f"Bearer {person.token}")
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
            all_headers.setdefault("Content-Type", "application/json")
        answer = self._http.request(
            method, self.url + path, data=data, headers=all_headers, allow_redirects=False
        )
        return Answer(answer.status_code, dict(answer.headers), answer.content)

    def get(self, path: str, **options: Any) -> Answer:
        return self.request("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        return self.request("POST", path, {} if body is None else body, **options)

    def delete(self, path: str, **options: Any) -> Answer:
        return self.request("DELETE", path, **options)

    def events(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
    ) -> list[tuple[str, Any, str | None]]:
        """Every server-sent event of a stream, as (event, data, id)."""
        return list(self.stream(method, path, body, headers=headers))

    def stream(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
    ) -> Iterator[tuple[str, Any, str | None]]:
        """Server-sent events as they come."""
        all_headers = {"Authorization": f"Bearer {self.admin.token}", **(headers or {})}
        with requests.request(method, self.url + path, json=body, headers=all_headers, stream=True) as answer:
            if answer.status_code != 200:
                raise AssertionError(f"{answer.status_code}: {answer.text}")
            fields: dict[str, str] = {}
            for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
                if line == "":
                    if "data" in fields:
                        yield fields.get("event", "message"), json.loads(fields["data"]), fields.get("id")
                    fields = {}
                elif not line.startswith(":"):
                    name, _, value = line.partition(":")
                    fields[name] = value.removeprefix(" ")

    def person(self, name: str) -> Person:
        """Somebody new, with a token and no team."""
        email = f"{name}-{uuid.uuid4().hex[:10]}@example.com"
        session = requests.Session()
        signed_in = session.post(
            f"{self.url}/v1/auth/dev/login", json={"email": email, "name": name}, timeout=30
        )
        signed_in.raise_for_status()
        headers = {"X-Bridge-CSRF": session.cookies["bridge_csrf"]}
        made = session.post(f"{self.url}/v1/auth/tokens", json={"name": "test"}, headers=headers)
        made.raise_for_status()
        return Person(email, signed_in.json()["user"]["id"], made.json()["token"])

    def team(self, of: Person, name: str = "Team") -> str:
        """A team whose admin is the person."""
        made = self.post("/v1/onboarding/teams", {"name": f"{name} {uuid.uuid4().hex[:6]}"}, as_=of)
        assert made.status == 201, made.content
        return str(made.json["id"])

    def wait_job(self, job_id: str, *, as_: Any = "admin", patience: float = 60) -> dict[str, Any]:
        """The job, once it has ended."""
        seen: dict[str, Any] = {}

        def ended() -> bool:
            seen.update(self.get(f"/v1/onboarding/jobs/{job_id}", as_=as_).json)
            return seen["state"] in ENDED

        until(ended, lambda: f"the job ends: {seen}", seconds=patience, pause=0.05)
        return seen

    @property
    def connection_id(self) -> str:
        """The demo connection, however many others tests have made."""
        return str(json.loads((self.stack.home / "demo.json").read_text())["connection_id"])


SERVERS = frozenset(
    (
        "bigquery",
        "browser",
        "bundles",
        "cloud",
        "directory",
        "firestore",
        "ground",
        "owner",
        "postgres",
        "server",
        "servers",
        "stack",
        "stores",
        "world",
    )
)
"""Fixtures that start processes or build every bundle: what needs them is left to `make test`."""
SERVER_FOLDERS = ("tests/local/", "tests/migrations/", "tests/flows/", "tests/browser/")
GROUPS = {
    "tests/flows/test_kills.py": "a stack that is killed",
    **dict.fromkeys(("tests/browser/", "tests/evals/"), "a world with people"),
    **dict.fromkeys(("tests/flows/", "tests/functions/", "tests/structure/"), "a world with programs"),
    "tests/shared/agents/": "the stores",
    "tests/shared/platform/": "the directory",
    "tests/shared/": "the servers",
}
"""Which tests share servers that take seconds to start, by where they are. Elsewhere a folder is a group."""
LONGEST_FIRST = (
    "a world with programs",
    "a stack that is killed",
    "a world with people",
    "the servers",
    "the directory",
    "tests/local/cloud/bigquery",
    "the stores",
)
"""The groups that take minutes. They begin first, so that no worker is left alone with one at the end."""


def group_of(nodeid: str) -> str:
    """The tests of a group are run by one worker, so what they share is started once."""
    where = nodeid.split("::")[0]
    return next(
        (group for begin, group in GROUPS.items() if where.startswith(begin)), where.rpartition("/")[0]
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`--dist loadscope` by those groups. (xdist 3.8 loses its own, `loadgroup`, with pytest 9.)"""
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return ByGroup(config, log) if config.getvalue("dist") == "loadscope" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark as slow what starts a server, so that `make check` stays under a minute; leave out what need not run."""
    for item in items:
        where = item.nodeid.split("::")[0]
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(
                f"{item.nodeid}: an address in the name differs between workers; give ids="
            )
        if where.startswith(SERVER_FOLDERS) or SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
    _leave_out(config, items)
    rank = {group: place for place, group in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(group_of(item.nodeid), len(rank)))


# A test's limit, and what ends a run ------------------------------------------------------------------


@pytest.hookimpl(optionalhook=True)
def pytest_timeout_set_timer(item: Any, settings: Any) -> bool | None:
    """The limit of a test counts seconds of a quiet machine: it ends what hangs, and never what is only slow."""
    if settings.method != "signal" or threading.current_thread() is not threading.main_thread():
        return None
    from pytest_timeout import timeout_sigalrm

    supply, every = Patience(settings.timeout), min(5.0, settings.timeout)

    def cancel() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def look(_number: int, _frame: object) -> None:
        if supply.over():
            signal.setitimer(signal.ITIMER_REAL, 0)
            timeout_sigalrm(item, settings)

    item.cancel_timeout = cancel
    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, every, every)
    return True


_STOPS = "a server that tests need"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """A server that can't start is one error, and the run stops there: every other test would say the same."""
    report = yield
    if call.when == "setup" and call.excinfo is not None and isinstance(call.excinfo.value, CannotStart):
        report.user_properties.append((_STOPS, str(call.excinfo.value)))
        item.session.shouldstop = f"{_STOPS} can't start: {call.excinfo.value}"
    return report


class _Stopping:
    """Ends the runs of all workers when one of them has met a server that can't start."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        workers = self._config.pluginmanager.get_plugin("dsession")
        for name, said in report.user_properties:
            if name == _STOPS and workers is not None:
                workers.shouldstop = f"{_STOPS} can't start: {said}"


class _Conformance:
    """Notes which suites of the local cloud passed as they stand, at the end of a run that failed nothing."""

    def __init__(self, config: pytest.Config) -> None:
        self._config, self._began = (
            config,
            {suite.name: conformance.digest(suite) for suite in conformance.SUITES},
        )
        self._ran: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and (suite := conformance.suite_of(report.nodeid.split("::")[0])):
            self._ran.add(suite.name)

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.OK and not self._config.option.keyword:
            conformance.record({name: self._began[name] for name in self._ran})

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if left_out := [suite for suite in conformance.SUITES if suite.name not in self._ran]:
            terminalreporter.write_line(
                f"Conformance of {conformance.told(left_out)}: passed as it stands, left out; `make test-all` runs all."
            )


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bridge")
    group.addoption(
        "--thorough",
        action="store_true",
        help="also what takes long: soaks, every crash point, more examples",
    )
    group.addoption(
        "--conformance",
        choices=("all", "changed"),
        default="all",
        help="of the local cloud's conformance tests, all or those whose server, tests or SDK changed",
    )
    group.addoption(
        "--record", action="store_true", help="note which conformance tests passed (tests/conformance.json)"
    )


def pytest_configure(config: pytest.Config) -> None:
    if "HYPOTHESIS_PROFILE" not in os.environ:
        hypothesis.settings.load_profile("thorough" if config.getoption("thorough") else "fast")
    config.pluginmanager.register(_Stopping(config))
    if not config.getoption("collectonly"):
        running = contextlib.ExitStack()
        running.enter_context(keeper.kept())
        config.add_cleanup(running.close)
    if config.getoption("record") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Conformance(config))


@pytest.fixture
def later() -> Iterator[Callable[[float], None]]:
    """A clock that only the test moves, by so many seconds: what is told of it is exact on the slowest machine."""
    from tests.moved_clock import StillClock, moved_clock

    with moved_clock(StillClock()) as made:
        yield made.forward


def _leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Soaks, unless they are asked for, and conformance tests that have passed as they stand."""
    passed: set[conformance.Suite] = set()
    if config.getoption("conformance") == "changed":
        passed = set(conformance.SUITES) - set(conformance.changed())
    left_out = [
        item
        for item in items
        if (item.get_closest_marker("soak") and not config.getoption("thorough"))
        or conformance.suite_of(item.nodeid.split("::")[0]) in passed
    ]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder for servers. Pytest's own are closed to the user who runs Postgres where tests run as root,
    and the cluster would be copied to another place."""
    from local.stack.api import temporary_home

    with temporary_home() as folder:
        yield folder


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """One stack with the demo data, shared by the tests of this process.

    BRIDGE_TEST_HOME names the data folder of a demo stack that already runs: quicker while writing tests.
    """
    from local.stack import api
    from tests.servers import started_stack

    if home := os.environ.get("BRIDGE_TEST_HOME"):
        yield World(api.Stack(Path(home)))
        return
    with started_stack(demo=True) as stack:
        yield World(stack)


@pytest.fixture(scope="session")
def world_of() -> type[World]:
    """For tests with a stack of their own: `world_of(stack)`."""
    return World


@pytest.fixture
def moved() -> Iterator[Any]:
    """The clock of this process, to be moved: `moved.forward(seconds)`, `moved.step(seconds)`."""
    from tests.moved_clock import moved_clock

    with moved_clock() as made:
        yield made
