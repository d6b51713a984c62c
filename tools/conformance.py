"""Which conformance tests of the local cloud must run: those whose servers, tests or SDKs are not as they last passed.

    files of the server, of its tests and of what all servers share ─┐
    pinned versions of the SDKs that the tests speak with ───────────┴─► digest ─ as in tests/conformance.json? ─► no tests

`make test` leaves out what has passed as it stands, and writes the digests of what passed anew; they are committed with
the change. `make test-all` runs all of them. A digest needs no history: a fresh clone of one branch decides alike.

    python tools/conformance.py        says what would run
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORD = "tests/conformance.json"
SHARED = (
    "local/__init__.py",
    "local/cloud/__init__.py",
    "local/cloud/serving",
    "local/cloud/faults",
    "local/cloud/identity.py",
    "local/patience.py",
    "local/ports.py",
    "tests/local/grpc_serving.py",
    "tests/local/dispatching.py",
)
"""What every server and its tests stand on."""
SPOKEN = (
    "anyio",
    "cryptography",
    "google-api-core",
    "google-auth",
    "google-crc32c",
    "grpcio",
    "httptools",
    "proto-plus",
    "protobuf",
    "requests",
    "starlette",
    "uvicorn",
    "uvloop",
)
"""What every SDK of Google's and every server stands on."""


@dataclass(frozen=True)
class Suite:
    """The conformance tests of one server."""

    name: str
    code: str
    tests: str
    sdks: tuple[str, ...]


SUITES = (
    Suite("anthropic", "local/anthropic", "tests/local/anthropic", ("anthropic",)),
    Suite(
        "bigquery", "local/cloud/bigquery", "tests/local/cloud/bigquery",
        ("google-cloud-bigquery", "google-resumable-media", "duckdb", "sqlglot"),
    ),
    Suite("faults", "local/cloud/faults", "tests/local/cloud/faults", ()),
    Suite("firestore", "local/cloud/firestore", "tests/local/cloud/firestore", ("google-cloud-firestore",)),
    Suite("kms", "local/cloud/kms", "tests/local/cloud/kms", ("google-cloud-kms",)),
    Suite("secrets", "local/cloud/secrets", "tests/local/cloud/secrets", ("google-cloud-secret-manager",)),
    Suite(
        "storage", "local/cloud/storage", "tests/local/cloud/storage",
        ("google-cloud-storage", "google-resumable-media"),
    ),
    Suite("tasks", "local/cloud/tasks", "tests/local/cloud/tasks", ("google-cloud-tasks",)),
)  # fmt: skip


def suite_of(test: str) -> Suite | None:
    """The suite that a test belongs to, by its path from the checkout's root."""
    return next((suite for suite in SUITES if test.startswith(f"{suite.tests}/")), None)


def digest(suite: Suite, root: Path = ROOT) -> str:
    """What the outcome of the suite depends on, as one hash."""
    found = hashlib.sha256()
    for path in files(suite, root):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        found.update(f"{path.relative_to(root).as_posix()} {content}\n".encode())
    pins = _pins((root / "requirements.lock").read_text())
    for package in sorted(pinned(suite)):
        found.update(f"{package} {pins.get(package, 'not there')}\n".encode())
    return found.hexdigest()


def files(suite: Suite, root: Path = ROOT) -> list[Path]:
    """Every file that the digest of the suite reads."""
    return sorted({path for place in (*SHARED, suite.code, suite.tests) for path in _files(root / place)})


def pinned(suite: Suite) -> set[str]:
    """Every package whose pinned version the digest of the suite reads."""
    return {*SPOKEN, *suite.sdks}


def recorded(root: Path = ROOT) -> dict[str, str]:
    """The digests with which the suites last passed, by name."""
    path = root / RECORD
    return dict(json.loads(path.read_text())) if path.exists() else {}


def changed(root: Path = ROOT) -> list[Suite]:
    """The suites that have not passed as they stand."""
    known = recorded(root)
    return [suite for suite in SUITES if known.get(suite.name) != digest(suite, root)]


def record(passed: Mapping[str, str], root: Path = ROOT) -> None:
    """Note the digests with which suites passed."""
    names = {suite.name for suite in SUITES}
    kept = {name: found for name, found in (recorded(root) | dict(passed)).items() if name in names}
    if kept != recorded(root):
        (root / RECORD).write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    for path in place.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _pins(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", lock, re.M))


def told(suites: Iterable[Suite]) -> str:
    """Their names, for a person."""
    return ", ".join(suite.name for suite in suites) or "none"


def main() -> int:
    """Say which suites `make test` would run."""
    anew = changed()
    print(f"run: {told(anew)}")
    print(f"have passed as they stand: {told(suite for suite in SUITES if suite not in anew)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
