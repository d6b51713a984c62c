"""A whole stack for the tests of this folder, over functions that the tests write."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.stack import api
from tests.servers import started_stack

# Writes down every call, so that a test in another process can read what arrived.
RECORDER = '''\
"""Write down each call in one line."""

import json
import os

import functions_framework


@functions_framework.http
def record(request):
    line = {"path": request.path, "headers": dict(request.headers), "body": request.get_data(as_text=True)}
    with open(os.environ["RECORD"], "a") as file:
        file.write(json.dumps(line) + "\\n")
    return "", 204
'''


class Recorded:
    """What the recorder function was called with."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def calls(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("functions")
    source = folder / "main.py"
    source.write_text(RECORDER)
    common = {"source": str(source), "entry_point": "record"}
    path = folder / "manifest.json"
    path.write_text(
        json.dumps(
            {
                "functions": [
                    {"name": "sample-http", "kind": "http", "method": "POST", "paths": ["/sample"], **common},
                    {"name": "sample-step", "kind": "task", "queue": "default", **common},
                    {
                        "name": "sample-event",
                        "kind": "finalized",
                        "bucket": "catalog",
                        "pattern": "{a}/{b}.json",
                        **common,
                    },
                    {"name": "sample-tick", "kind": "scheduled", "schedule": "0 0 1 1 *", **common},
                ]
            }
        )
    )
    return path


@pytest.fixture(scope="session")
def record(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return Recorded(tmp_path_factory.mktemp("record") / "calls.jsonl")


@pytest.fixture(scope="session")
def variables(manifest: Path, record: Recorded) -> dict[str, str]:
    return {"BRIDGE_MANIFEST": str(manifest), "RECORD": str(record.path)}


@pytest.fixture(scope="session")
def shared_stack(variables: dict[str, str]) -> Iterator[api.Stack]:
    with started_stack(variables=variables) as stack:
        yield stack


@pytest.fixture
def stack(shared_stack: api.Stack, record: Recorded) -> api.Stack:
    if shared_stack.process is None:
        shared_stack.start()
    # A test that failed half-way may have left deliveries held.
    shared_stack.local("POST", "/_local/chaos/delivery", {})
    shared_stack.wait_idle()
    record.path.unlink(missing_ok=True)
    return shared_stack
