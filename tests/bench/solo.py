"""One program alone in a process of its own, over a copy of the sources, as the cloud would run it."""

from __future__ import annotations

import compileall
import contextlib
import os
import py_compile
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local import ports
from tests.bench import process, wire
from tests.bench.ground import ROOT, Ground, clean_environment


@dataclass
class Server:
    """A started program. Its errors stay readable after its end."""

    process: subprocess.Popen[bytes]
    address: tuple[str, int]
    log: Path
    begun: float

    @property
    def pids(self) -> list[int]:
        """Its processes as they are now."""
        return process.family(self.process.pid)

    def age_ms(self) -> float:
        """Milliseconds since it was started."""
        return (time.perf_counter() - self.begun) * 1000

    def errors(self) -> str:
        """What it wrote to stderr."""
        return self.log.read_text(errors="replace")

    def first_answer(self, message: bytes, patience: float = 30.0) -> wire.Response:
        """Ask until it listens. Raises RuntimeError with its last words when it ends or stays silent."""
        deadline = time.monotonic() + patience
        while True:
            line = wire.Line(self.address)
            try:
                return line.exchange(message)
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"it did not start:\n{self.errors()[-2000:]}") from error
                time.sleep(0.002)
            finally:
                line.close()


@contextlib.contextmanager
def tree(extra: dict[str, str]) -> Iterator[Path]:
    """A copy of the sources and of these programs, with bytecode: edits during the run, or stale caches,
    can't be in the figures."""
    with tempfile.TemporaryDirectory(prefix="bridge-bench-") as folder:
        root = Path(folder)
        for name in ("functions", "shared"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name, text in extra.items():
            (root / name).write_text(text)
        compileall.compile_dir(
            root, quiet=2, force=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )
        yield root


@contextlib.contextmanager
def serving(
    ground: Ground, root: Path, program: list[str], *, name: str, traced: bool = False
) -> Iterator[Server]:
    """`python -m program…` with `{port}` and `{tree}` filled in, beside the services of the ground."""
    port, log = ports.free(), root / "stderr.txt"
    command = [
        sys.executable, *(["-X", "importtime"] if traced else []), "-m",
        *(part.format(port=port, tree=root) for part in program),
    ]  # fmt: skip
    environment = clean_environment({**ground.stack.env, "PYTHONPATH": str(root), "K_SERVICE": name})
    with log.open("wb") as errors:
        begun = time.perf_counter()
        running = subprocess.Popen(
            command, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=errors
        )
        try:
            yield Server(running, ("127.0.0.1", port), log, begun)
        finally:
            # What is measured is over; a graceful end would wait for kept connections.
            for pid in reversed(process.family(running.pid)):
                os.kill(pid, signal.SIGKILL)
            running.wait(10)


def function(source: str, entry_point: str) -> list[str]:
    """The command of functions-framework for one function."""
    return ["functions_framework", "--target", entry_point, "--source", f"{{tree}}/{source}", "--host", "127.0.0.1",
            "--port", "{port}"]  # fmt: skip
