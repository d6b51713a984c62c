"""How long each function takes from nothing to its first answer.

Each one is served as the cloud serves it: a fresh process of functions-framework with this function
alone, over a copy of the sources compiled to bytecode as the buildpack does it. The first request
carries a valid credential (a token, or an OIDC token of the queue's or the events' account), so it
pays for the imports that the first real request pays for; it names things that do not exist, so it
changes nothing. The base row is a function that says hello and imports nothing of ours.

A second, untimed run with `-X importtime` tells which packages were loaded until that answer.
"""

from __future__ import annotations

import compileall
import contextlib
import json
import os
import py_compile
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local import identity
from tests.bench import process, wire
from tests.bench.ground import ROOT, Ground, Options, clean_environment
from tests.bench.report import Table, Target, median, percentile

BASE = "hello (base)"
HELLO = '''"""A function that does nothing."""
import functions_framework

@functions_framework.http
def hello(request):
    return "hello"
'''
SDKS = {
    "google.cloud.bigquery": "bigquery", "google.cloud.storage": "storage", "google.cloud.firestore": "firestore",
    "google.cloud.tasks_v2": "tasks", "google.cloud.kms_v1": "kms", "google.cloud.secretmanager_v1": "secrets",
    "google.auth": "google-auth", "grpc": "grpc", "anthropic": "anthropic", "sqlglot": "sqlglot",
    "cryptography": "cryptography", "yaml": "yaml", "pg8000": "pg8000", "requests": "requests",
    "genai_prices": "genai-prices", "croniter": "croniter", "pyarrow": "pyarrow", "pandas": "pandas",
}  # fmt: skip
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|( +)(\S+)")


@dataclass
class Measured:
    """One function over all rounds; milliseconds."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    status: int = 0
    sdks: list[str] = field(default_factory=list)
    imports: float = 0.0


def run(ground: Ground, options: Options) -> list[Table]:
    """One row for each function of the manifest."""
    rounds = options.pick(3, 1)
    with _tree() as tree:
        functions = json.loads((tree / "functions" / "manifest.json").read_text())["functions"]
        cases: dict[str, dict[str, Any]] = {
            BASE: {"source": "hello.py", "entry_point": "hello", "kind": "hello"}
        }
        cases |= {function["name"]: function for function in functions}
        found = {name: Measured() for name in cases}
        for turn in range(rounds):
            for name, function in cases.items():
                _once(ground, tree, function, found[name], traced=False)
            print(f"  round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
        for name, function in cases.items():
            _once(ground, tree, function, found[name], traced=True)
    return [_table(found, {name: str(case["kind"]) for name, case in cases.items()}, rounds)]


def _table(found: dict[str, Measured], kinds: dict[str, str], rounds: int) -> Table:
    table = Table(
        f"From process start to the first answer, by function ({rounds} rounds, interleaved)",
        ("function", "kind", "answer", "wall ms", "CPU ms", "x base (CPU)", "imports ms", "PSS MB", "loaded by the first answer"),
    )  # fmt: skip
    base = median(found[BASE].cpu)
    for name, one in sorted(found.items(), key=lambda item: (item[0] != BASE, -median(item[1].cpu))):
        table.add(
            name, kinds[name], one.status, median(one.wall), median(one.cpu), round(median(one.cpu) / base, 2),
            one.imports, median(one.memory), ", ".join(one.sdks),
        )  # fmt: skip
    ours = [one for name, one in found.items() if name != BASE]
    ratios = [median(one.cpu) / base for one in ours]
    table.notes = [
        f"Over {len(ours)} functions: CPU p50 {median([median(one.cpu) for one in ours]):.0f} ms, "
        f"p95 {percentile([median(one.cpu) for one in ours], 95):.0f} ms; ratio to base p50 {median(ratios):.2f}, "
        f"largest {max(ratios):.2f}. CPU time is counted by the kernel in steps of 10 ms. `imports ms` is the sum over all "
        "modules under -X importtime, which itself costs about a third.",
    ]
    slow = max(ours, key=lambda one: median(one.cpu))
    table.targets = [
        Target(
            "largest CPU time to a first answer (our own bound, not the specification's)",
            median(slow.cpu),
            1000,
            "ms",
        )
    ]
    return table


@contextlib.contextmanager
def _tree() -> Iterator[Path]:
    """A copy of the sources with bytecode: edits during the run, or stale caches, can't be in the figures."""
    with tempfile.TemporaryDirectory(prefix="bridge-bench-") as folder:
        tree = Path(folder)
        for name in ("functions", "shared"):
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        (tree / "hello.py").write_text(HELLO)
        compileall.compile_dir(
            tree, quiet=2, force=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )
        yield tree


def _once(ground: Ground, tree: Path, function: dict[str, Any], into: Measured, *, traced: bool) -> None:
    """Start it, ask it, measure, end it."""
    port = _free_port()
    errors = tree / "stderr.txt"
    command = [
        sys.executable, *(["-X", "importtime"] if traced else []), "-m", "functions_framework",
        "--target", function["entry_point"], "--source", str(tree / function["source"]),
        "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    message = _message(ground, function)
    with errors.open("wb") as log:
        begun = time.perf_counter()
        server = subprocess.Popen(
            command,
            cwd=tree,
            env=clean_environment(
                {**ground.stack.env, "PYTHONPATH": str(tree), "K_SERVICE": function.get("name", "hello")}
            ),
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        try:
            try:
                answer = _first_answer(port, message, server)
            except OSError as error:
                raise RuntimeError(
                    f"{function['source']} did not start:\n{errors.read_text()[-2000:]}"
                ) from error
            wall = (time.perf_counter() - begun) * 1000
            pids = process.family(server.pid)
            cpu, memory = process.cpu_ms(pids), process.pss_mb(pids)
        finally:
            # Measured is the start; a graceful end would wait for kept connections.
            for pid in reversed(process.family(server.pid)):
                os.kill(pid, signal.SIGKILL)
            server.wait(10)
    into.status = answer.status
    if answer.status >= 500:
        raise RuntimeError(
            f"{function['entry_point']} answered {answer.status} {answer.body[:300]!r}:\n{errors.read_text()[-2000:]}"
        )
    if traced:
        into.imports, into.sdks = _imports(errors.read_text(errors="replace"))
    else:
        into.wall.append(wall)
        into.cpu.append(cpu)
        into.memory.append(memory)


def _first_answer(
    port: int, message: bytes, server: subprocess.Popen[bytes], patience: float = 30.0
) -> wire.Response:
    deadline = time.monotonic() + patience
    while True:
        line = wire.Line(("127.0.0.1", port))
        try:
            return line.exchange(message)
        except ConnectionRefusedError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.002)
        finally:
            line.close()


def _message(ground: Ground, function: dict[str, Any]) -> bytes:
    """A request that is let in and then finds nothing, or nothing that it understands."""
    kind = function["kind"]
    if kind == "hello":
        return wire.request("GET", "/", {})
    if kind in ("http", "sse"):
        path = re.sub(r"\{[a-z_]+_id\}", str(uuid.uuid4()), function["paths"][0])
        path = path.replace("{slug}", "no-such-dashboard").replace("{n}", "1")
        path = re.sub(r"\{[a-z_]+(:path)?\}", "none", path)
        body = None if "body" not in function else {"": ""}
        headers = {}
        if function["name"] == "auth-logout":  # It would end the token that all the others use.
            token = ground.api.post("/v1/auth/tokens", {"name": "to be revoked"})["token"]
            headers["Authorization"] = f"Bearer {token}"
        return ground.message(function["method"], path, body, headers)
    env = ground.stack.env
    account = env["BRIDGE_EVENTS_SERVICE_ACCOUNT" if kind == "finalized" else "BRIDGE_STEP_SERVICE_ACCOUNT"]
    audience = env["BRIDGE_STEP_URL"].format(name=function["name"])
    token = identity.token(ground.stack.home, audience, account)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return wire.request("POST", "/", headers, b'{"":""}')


def _imports(trace: str) -> tuple[float, list[str]]:
    """Milliseconds spent importing, and the packages of note, from `-X importtime`."""
    total, loaded = 0, set()
    for found in _IMPORT.finditer(trace):
        total += int(found[1])
        loaded.add(found[4])
    return total / 1000, [name for module, name in SDKS.items() if module in loaded]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
