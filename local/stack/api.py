"""A stack for tests and benchmarks: start it, break it, ask it, stop it.

    with api.started() as stack:
        stack.url, stack.env, stack.token
        stack.kill("postgres")        # SIGKILL; the supervisor starts it again
        stack.crash()                 # SIGKILL for everything at once
        stack.start()                 # the same data, the same ports

The stack is a process of its own, so what is killed is what would be killed on a laptop.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.cloud.serving.process import die_with_parent
from local.patience import NotInTime, until
from local.stack.plan import read_state
from local.stack.prepare import access_of
from local.stack.services import root


class StackFailed(Exception):
    """The stack did not do what was asked; the message ends with its last words."""


@dataclass
class Stack:
    """One stack over one data folder. What it is given time for counts seconds of a quiet machine."""

    home: Path
    demo: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self, patience: float = 90.0) -> None:
        """Start everything and return when it is ready."""
        self.home.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "local", "run", "--home", str(self.home), "--port", "0"]
        with (self.home / "run.log").open("ab") as log:
            self.process = subprocess.Popen(
                command + ([] if self.demo else ["--no-demo"]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=root(),
                env={**os.environ, **self.variables},
                process_group=0,
                preexec_fn=die_with_parent,
            )
        self._until(self._serves, patience, "start")

    def stop(self) -> None:
        """Stop cleanly, as Ctrl-C does. Raises StackFailed when it does not end well."""
        if self.process is None:
            return
        self.process.terminate()
        process, self.process = self.process, None
        until(lambda: process.poll() is not None, "the stack stops")
        code = process.returncode
        if code != 0:
            raise StackFailed(f"the stack ended with code {code}:\n{self.last_words()}")

    def crash(self) -> None:
        """SIGKILL the supervisor; the kernel kills its children."""
        assert self.process is not None, "the stack is not running"
        pids = [self.pid(name) for name in self.state()["services"]]
        self.process.kill()
        self.process.wait()
        self.process = None
        _wait_until_gone([pid for pid in pids if pid])

    def kill(self, service: str) -> None:
        """SIGKILL one service. The supervisor starts it again after a moment."""
        pid = self.pid(service)
        os.kill(pid, signal.SIGKILL)
        _wait_until_gone([pid])

    def restart(self, service: str, patience: float = 60.0) -> None:
        """SIGKILL one service and return when its successor serves."""
        before = self.pid(service)
        self.kill(service)

        def successor() -> bool:
            entry = self.state()["services"][service]
            return bool(entry["ready"]) and entry["pid"] not in (None, before)

        self._until(successor, patience, f"start {service} again")

    def pause(self, service: str) -> None:
        """Freeze a service: its port accepts connections and nobody answers."""
        os.kill(self.pid(service), signal.SIGSTOP)

    def resume(self, service: str) -> None:
        """Let a frozen service go on."""
        os.kill(self.pid(service), signal.SIGCONT)

    def pid(self, service: str) -> int:
        """The process of a service."""
        pid = self.state()["services"][service]["pid"]
        if pid is None:
            raise StackFailed(f"{service} is not running")
        return int(pid)

    def state(self) -> dict[str, Any]:
        """What stack.json says."""
        return read_state(self.home)

    @property
    def url(self) -> str:
        """The public address."""
        return str(self.state()["url"])

    @property
    def ports(self) -> dict[str, int]:
        """The ports by name."""
        return dict(self.state()["ports"])

    @property
    def env(self) -> dict[str, str]:
        """Every variable that functions and scripts get, with the token of the demo team's admin."""
        variables: dict[str, str] = json.loads((self.home / "environment.json").read_text())
        return variables | {"BRIDGE_TOKEN": self.token, "BRIDGE_TEAM_ID": self.team_id}

    @property
    def token(self) -> str:
        """A personal access token of an admin of the demo team."""
        return str(access_of(self.home).get("token", ""))

    @property
    def team_id(self) -> str:
        """The demo team."""
        return str(access_of(self.home).get("team_id", ""))

    def local(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the laptop's own pages, such as `GET /_local/dispatch`, through the dispatch process."""
        url = f"http://127.0.0.1:{self.ports['dispatch']}{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise StackFailed(f"{method} {path} answered {error.code}: {error.read().decode()}") from None

    def wait_idle(self, patience: float = 60.0) -> None:
        """Return when no task and no event waits or is under way."""
        self._until(lambda: bool(self.local("GET", "/_local/dispatch")["idle"]), patience, "become idle")

    def last_words(self, lines: int = 20) -> str:
        """The end of what the supervisor wrote."""
        return "\n".join((self.home / "run.log").read_text(errors="replace").splitlines()[-lines:])

    def _serves(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            code, self.process = self.process.returncode, None
            raise StackFailed(f"the stack ended with code {code}:\n{self.last_words()}")
        state = self.state()
        return (
            self.process is not None
            and state.get("pid") == self.process.pid
            and state.get("state") == "serving"
        )

    def _until(self, condition: Callable[[], bool], patience: float, what: str) -> None:
        try:
            until(condition, what, seconds=patience, pause=0.03)
        except NotInTime as error:
            raise StackFailed(f"did not {what}: {error}\n{self.last_words()}") from None


@contextlib.contextmanager
def temporary_home() -> Iterator[Path]:
    """A data folder that is removed at the end.

    Not below pytest's own temporary folders: those are closed to the user who runs Postgres for root.
    """
    home = Path(tempfile.mkdtemp(prefix="bridge-"))
    home.chmod(0o711)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def started(
    home: Path | None = None, *, demo: bool = False, variables: Mapping[str, str] | None = None
) -> Iterator[Stack]:
    """A running stack, stopped at the end whatever happens; without `home`, over a temporary folder."""
    with contextlib.ExitStack() as cleanup:
        stack = Stack(home or cleanup.enter_context(temporary_home()), demo, variables or {})
        cleanup.callback(stack.stop)
        stack.start()
        yield stack


def _wait_until_gone(pids: list[int]) -> None:
    until(lambda: not any(_alive(pid) for pid in pids), f"processes {pids} end after SIGKILL", pause=0.01)


def _alive(pid: int) -> bool:
    """Whether a process runs; one that waits to be buried by its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False
