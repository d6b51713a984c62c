"""How long each function takes from nothing to its first answer, beside what it could be compared with.

Each one is served as the cloud serves it: a fresh process of functions-framework with this function
alone, over a copy of the sources compiled to bytecode as the buildpack does it. The first request
carries a valid credential (a token, or an OIDC token of the queue's or the events' account), so it
pays for the imports that the first real request pays for; it names things that do not exist, so it
changes nothing.

Beside them: a function that says hello (the base), the same with one SDK imported at its top, and one
FastAPI application that imports every door and every SDK, as the product would be without functions.

A second, untimed run with `-X importtime` tells which packages were loaded until that answer.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.cloud import identity
from tests.bench import process, solo, wire
from tests.bench.ground import ROOT, Ground, Options
from tests.bench.report import Table, Target, median, percentile

BASE = "hello (base)"
HELLO = '"""A function that does nothing."""\n{imports}import functions_framework\n\n\n@functions_framework.http\ndef hello(request):\n    return "hello"\n'
MONOLITH = '''"""Every door in one application."""
{imports}
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
def hello():
    return "hello"
'''
SDKS = {
    "google.cloud.bigquery": "bigquery", "google.cloud.storage": "storage", "google.cloud.firestore": "firestore",
    "google.cloud.tasks_v2": "tasks", "google.cloud.kms_v1": "kms", "google.cloud.secretmanager_v1": "secrets",
    "google.auth": "google-auth", "grpc": "grpc", "anthropic": "anthropic", "sqlglot": "sqlglot",
    "cryptography": "cryptography", "yaml": "yaml", "pg8000": "pg8000", "requests": "requests",
    "genai_prices": "genai-prices", "croniter": "croniter", "pyarrow": "pyarrow", "pandas": "pandas",
}  # fmt: skip
ALONE = (
    "google.cloud.bigquery", "google.cloud.storage", "google.cloud.firestore", "google.cloud.tasks_v2", "google.cloud.kms_v1",
    "google.cloud.secretmanager_v1", "anthropic", "sqlglot", "pydantic", "pg8000",
)  # fmt: skip
"""Packages that get a row of their own."""
_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|( +)(\S+)")


@dataclass(frozen=True)
class Case:
    """One program and its first request."""

    name: str
    kind: str
    program: list[str]
    message: Callable[[Ground], bytes]


@dataclass
class Measured:
    """One program over all rounds; milliseconds."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    status: int = 0
    sdks: list[str] = field(default_factory=list)
    imports: float = 0.0


def run(ground: Ground, options: Options) -> list[Table]:
    """One row for each function of the manifest, and one for each thing to compare them with."""
    rounds = options.pick(3, 1)
    manifest = json.loads((ROOT / "functions" / "manifest.json").read_text())["functions"]
    with solo.tree(_programs(manifest)) as tree:
        compared = [*_compared(), *(_case(function) for function in manifest)]
        found = {case.name: Measured() for case in compared}
        for turn in range(rounds):
            for case in compared:
                _once(ground, tree, case, found[case.name], traced=False)
            print(f"  round {turn + 1} of {rounds}", file=sys.stderr, flush=True)
        for case in compared:
            _once(ground, tree, case, found[case.name], traced=True)
    kinds = {case.name: case.kind for case in compared}
    ours = {function["name"] for function in manifest}
    return [
        _table(found, kinds, rounds),
        _by_kind({name: one for name, one in found.items() if name in ours}, kinds, median(found[BASE].cpu)),
    ]


def _programs(manifest: list[dict[str, Any]]) -> dict[str, str]:
    """The texts of what the functions are compared with, by file name."""
    doors = "".join(f"import {function['module']}\n" for function in manifest)
    sdks = "".join(f"import {name}\n" for name in ALONE)
    texts = {"hello.py": HELLO.format(imports=""), "monolith.py": MONOLITH.format(imports=sdks + doors)}
    return texts | {f"with_{_file(name)}.py": HELLO.format(imports=f"import {name}\n") for name in ALONE}


def _compared() -> list[Case]:
    def hello(_ground: Ground) -> bytes:
        return wire.request("GET", "/", {})

    monolith = [
        "uvicorn",
        "monolith:app",
        "--host",
        "127.0.0.1",
        "--port",
        "{port}",
        "--log-level",
        "warning",
    ]
    return [
        Case(BASE, "compared", solo.function("hello.py", "hello"), hello),
        *(
            Case(f"hello and {name}", "compared", solo.function(f"with_{_file(name)}.py", "hello"), hello)
            for name in ALONE
        ),
        Case("all doors and SDKs in one FastAPI application", "compared", monolith, hello),
    ]


def _case(function: dict[str, Any]) -> Case:
    return Case(
        function["name"],
        function["kind"],
        solo.function(function["source"], function["entry_point"]),
        lambda ground: _message(ground, function),
    )


def _file(package: str) -> str:
    return package.replace(".", "_")


def _by_kind(found: dict[str, Measured], kinds: dict[str, str], base: float) -> Table:
    """The functions of a kind together."""
    table = Table(
        "The same by kind of function (medians over the kind)",
        ("kind", "functions", "wall ms", "CPU ms", "x base (CPU)", "imports ms", "PSS MB"),
    )
    for kind in dict.fromkeys(kinds[name] for name in found):
        of_kind = [one for name, one in found.items() if kinds[name] == kind]
        cpu = median([median(one.cpu) for one in of_kind])
        table.add(
            kind, len(of_kind), median([median(one.wall) for one in of_kind]), cpu, round(cpu / base, 2),
            median([one.imports for one in of_kind]), median([median(one.memory) for one in of_kind]),
        )  # fmt: skip
    return table


def _table(found: dict[str, Measured], kinds: dict[str, str], rounds: int) -> Table:
    table = Table(
        f"From process start to the first answer, by function ({rounds} rounds, interleaved)",
        ("function", "kind", "answer", "wall ms", "CPU ms", "x base (CPU)", "imports ms", "PSS MB", "loaded by the first answer"),
    )  # fmt: skip
    base = median(found[BASE].cpu)
    for name, one in sorted(
        found.items(), key=lambda item: (item[0] != BASE, kinds[item[0]] != "compared", -median(item[1].cpu))
    ):
        table.add(
            name, kinds[name], one.status, median(one.wall), median(one.cpu), round(median(one.cpu) / base, 2),
            one.imports, median(one.memory), ", ".join(one.sdks),
        )  # fmt: skip
    ours = [one for name, one in found.items() if kinds[name] != "compared"]
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


def _once(ground: Ground, tree: Path, case: Case, into: Measured, *, traced: bool) -> None:
    """Start it, ask it, measure, end it."""
    with solo.serving(ground, tree, case.program, name=case.name, traced=traced) as server:
        answer = server.first_answer(case.message(ground))
        wall = server.age_ms()
        cpu, memory = process.cpu_ms(server.pids), process.pss_mb(server.pids)
    into.status = answer.status
    if answer.status >= 500:
        raise RuntimeError(
            f"{case.name} answered {answer.status} {answer.body[:300]!r}:\n{server.errors()[-2000:]}"
        )
    if traced:
        into.imports, into.sdks = _imports(server.errors())
    else:
        into.wall.append(wall)
        into.cpu.append(cpu)
        into.memory.append(memory)


def _message(ground: Ground, function: dict[str, Any]) -> bytes:
    """A request that is let in and then finds nothing, or nothing that it understands."""
    kind = function["kind"]
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
