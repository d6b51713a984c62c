"""A dispatch process whose functions are answered by a receiver."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.local.dispatching import Dispatch, Receiver, dispatching, receiving

FUNCTIONS = [
    {"name": "catalog-index", "kind": "finalized", "bucket": "catalog", "pattern": "{connection}/{dataset}/{scan}.json.gz"},
    {"name": "catalog-audit", "kind": "finalized", "bucket": "catalog", "pattern": "{connection}/{dataset}/{file}"},
    {"name": "dashboards-index", "kind": "finalized", "bucket": "dashboards", "pattern": "{team}/{slug}.yaml"},
    {"name": "ops-tick", "kind": "scheduled", "schedule": "*/10 * * * *", "timeout": 5},
]  # fmt: skip


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"functions": [f | {"source": "-", "entry_point": "-"} for f in FUNCTIONS]}))
    return path


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def dispatch(tmp_path: Path, manifest: Path, receiver: Receiver) -> Iterator[Dispatch]:
    arguments = (
        "--manifest",
        str(manifest),
        "--step-url",
        receiver.url("/_fn/{name}"),
        "--event-attempts",
        "3",
    )
    with dispatching(tmp_path / "data", *arguments) as process:
        yield process


@pytest.fixture
def finalize(dispatch: Dispatch) -> Callable[..., tuple[int, Any]]:
    """Post what the storage server posts when an object is complete."""

    def post(name: str, bucket: str = "bridge-local-catalog", **changed: str) -> tuple[int, Any]:
        headers = {
            "ce-id": uuid.uuid4().hex,
            "ce-specversion": "1.0",
            "ce-type": "google.cloud.storage.object.v1.finalized",
            "ce-source": f"//storage.googleapis.com/projects/_/buckets/{bucket}",
            "ce-subject": f"objects/{name}",
            "ce-time": "2026-01-01T00:00:00Z",
            "Content-Type": "application/json",
        } | {key.replace("_", "-"): value for key, value in changed.items()}
        body = json.dumps({"bucket": bucket, "name": name, "generation": "7"}).encode()
        return dispatch.ask(
            "POST", "/_local/events", body, {key: value for key, value in headers.items() if value}
        )

    return post
