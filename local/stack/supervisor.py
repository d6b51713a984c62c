"""Start the services, wait until they serve, start again what dies, stop everything in order.

One thread does it all. That matters on Linux: a child asks to die with the thread that started it, so
the thread that starts children must be the one that lives as long as the stack.
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from local.cloud.serving.process import die_with_parent
from local.patience import Patience
from local.stack.plan import StackError, StackPlan, read_state, write_private
from local.stack.services import Service, root

# In seconds of a quiet machine.
_READY_WITHIN = 60.0
_STOP_WITHIN = 5.0
_STABLE_AFTER = 30.0
_BACKOFF = (0.2, 10.0)
_LOG_LIMIT = 10 * 1024 * 1024
# Callers stop before what they call; Postgres, that all lean on, is last.
_STOP_ORDER = (("gateway", "dispatch"), ("storage", "firestore", "bigquery", "kms"), ("postgres",))


class Stopped(Exception):
    """Somebody asked the stack to stop."""


@dataclass
class Child:
    """One service's process and its story."""

    service: Service
    process: subprocess.Popen[bytes] | None = None
    address: str = ""
    ready: bool = False
    since: float = 0.0
    restarts: int = 0
    again_at: float = 0.0
    heard: bytes = b""


@dataclass
class Supervisor:
    """The running stack."""

    plan: StackPlan
    extra: Mapping[str, str] = field(default_factory=dict)
    children: dict[str, Child] = field(default_factory=dict)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _stop_asked: bool = False
    _state: str = "starting"

    def listen_to_signals(self) -> None:
        """SIGTERM, SIGINT and a closed terminal all mean: stop cleanly."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._asked_to_stop)

    def _asked_to_stop(self, _number: int, _frame: object) -> None:
        self._stop_asked = True

    def start(self) -> None:
        """Start every service at once."""
        for service in self.plan.services:
            self.children[service.name] = Child(service)
            self._spawn(self.children[service.name])
        self._write_state()

    def wait_ready(self, *names: str) -> None:
        """Return when these services serve; without names, all. Raises StackError when one can't."""
        wanted = names or tuple(self.children)
        patience = Patience(_READY_WITHIN)
        while not all(self.children[name].ready for name in wanted if name in self.children):
            if patience.over():
                late = [name for name in wanted if name in self.children and not self.children[name].ready]
                raise StackError(
                    f"{', '.join(late)}: not ready after {_READY_WITHIN:g} s; see {self._log(late[0])}"
                )
            self.turn(0.1)
            for child in self.children.values():
                if not child.ready and child.process and child.process.poll() is not None:
                    raise StackError(
                        f"{child.service.name} ended with code {child.process.returncode} before it was ready:\n"
                        f"{self._tail(child.service.name)}"
                    )

    def serving(self) -> None:
        """Everything is prepared: from now on stack.json says so."""
        self._state = "serving"
        self._write_state()

    def turn(self, patience: float) -> None:
        """One turn of the loop: hear the children, start again those that died. Raises Stopped."""
        for key, _events in self._selector.select(patience):
            self._hear(self.children[key.data], key.fileobj)
        if self._stop_asked:
            raise Stopped
        now = time.monotonic()
        for child in self.children.values():
            if child.process is None and now >= child.again_at:
                self._spawn(child)
                self._write_state()
            elif child.ready and child.process and child.process.poll() is not None:
                self._mourn(child, now)

    def run(self, process: subprocess.Popen[bytes]) -> int:
        """Keep the stack going until another process ends; answers its exit code."""
        while process.poll() is None:
            self.turn(0.05)
        return process.returncode

    def forever(self) -> None:
        """Keep the stack going until somebody asks to stop. Raises Stopped."""
        while True:
            self.turn(0.2)

    def task(
        self, name: str, *arguments: str, extra: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a short process of our own, such as the migrations, with the stack's environment."""
        with self._log(name).open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=root(),
                env=self.environment() | dict(extra or {}),
                process_group=0,
                preexec_fn=die_with_parent,
            )

    def finish(self, process: subprocess.Popen[bytes], name: str) -> None:
        """Wait for a short process. Raises StackError with the end of its log when it failed."""
        try:
            code = self.run(process)
        except Stopped:
            process.terminate()
            raise
        if code != 0:
            raise StackError(f"{name} failed with code {code}:\n{self._tail(name)}")

    def environment(self) -> dict[str, str]:
        """What children get: this process's variables, then the stack's own."""
        return {**os.environ, **self.plan.environment, **self.extra}

    def stop(self) -> None:
        """Stop everything, callers first; what does not stop in time is killed."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        listed = [name for wave in _STOP_ORDER for name in wave]
        waves: list[Sequence[str]] = [[name for name in self.children if name not in listed], *_STOP_ORDER]
        for wave in waves:
            self._stop_wave([self.children[name] for name in wave if name in self.children])
        self._state = "stopped"
        self._write_state()

    def _stop_wave(self, wave: Sequence[Child]) -> None:
        running = [child.process for child in wave if child.process and child.process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGCONT)  # A service that a test paused can't hear SIGTERM.
            process.terminate()
        patience = Patience(_STOP_WITHIN)
        while any(process.poll() is None for process in running) and not patience.over():
            time.sleep(0.01)
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()

    def _spawn(self, child: Child) -> None:
        name = child.service.name
        log = self._log(name)
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as errors:
            child.process = subprocess.Popen(
                self.plan.command(child.service, sys.executable),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=root(),
                env=self.environment() | {"PYTHONUNBUFFERED": "1"},
                # A group of its own: Ctrl-C reaches the stack alone, which then stops in order.
                process_group=0,
                preexec_fn=die_with_parent,
            )
        assert child.process.stdout is not None
        os.set_blocking(child.process.stdout.fileno(), False)
        self._selector.register(child.process.stdout, selectors.EVENT_READ, name)
        child.ready, child.heard, child.since = False, b"", time.monotonic()

    def _hear(self, child: Child, pipe: Any) -> None:
        """Read a child's standard output: the first line says that it is ready, the rest is its log."""
        stream: IO[bytes] = pipe
        chunk = os.read(stream.fileno(), 65536)
        if not chunk:
            self._selector.unregister(stream)
            stream.close()
            return
        if child.ready:
            with self._log(child.service.name).open("ab") as log:
                log.write(chunk)
            return
        child.heard += chunk
        line, newline, rest = child.heard.partition(b"\n")
        if newline and line.startswith(b"ready"):
            child.ready, child.address = True, line.decode(errors="replace").removeprefix("ready").strip()
            if child.restarts:
                self._write_state()
            child.heard = rest

    def _mourn(self, child: Child, now: float) -> None:
        assert child.process is not None
        lived = now - child.since
        child.restarts = child.restarts + 1 if lived < _STABLE_AFTER else 1
        first, longest = _BACKOFF
        wait = min(longest, first * 2.0 ** (child.restarts - 1))
        code = child.process.returncode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        print(f"{child.service.name} {how}; it starts again in {wait:g} s", file=sys.stderr, flush=True)
        child.process, child.ready, child.again_at = None, False, now + wait
        self._write_state()

    def _write_state(self) -> None:
        state = self._state
        kept = read_state(self.plan.home)
        entries = {
            name: {
                "pid": child.process.pid if child.process and state != "stopped" else None,
                "port": self.plan.ports[name],
                "ready": child.ready and state != "stopped",
                "restarts": child.restarts,
                "log": f"logs/{name}.log",
            }
            for name, child in self.children.items()
        }
        kept |= {"state": state, "pid": os.getpid(), "url": self.plan.url, "ports": dict(self.plan.ports)}
        write_private(self.plan.home / "stack.json", kept | {"services": entries})

    def _log(self, name: str) -> Path:
        return self.plan.home / "logs" / f"{name}.log"

    def _tail(self, name: str, lines: int = 15) -> str:
        try:
            return "\n".join(self._log(name).read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return "(no log)"
