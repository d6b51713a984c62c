"""Schedules: when they fire, and what a fired function receives."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.cloud.serving.post import DeliveryFaults
from local.dispatch.schedules import Scheduler, next_after
from local.manifest import Watched
from local.patience import until
from tests.local.dispatching import Dispatch, Receiver, dispatching, receiving


def utc(text: str) -> float:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        ("*/10 * * * *", "2026-03-01T00:00:00", "2026-03-01T00:10:00"),
        ("*/10 * * * *", "2026-03-01T00:09:59.9", "2026-03-01T00:10:00"),
        ("0 3 * * *", "2026-03-29T02:30:00", "2026-03-29T03:00:00"),
        ("0 0 29 2 *", "2026-03-01T00:00:00", "2028-02-29T00:00:00"),
    ],
)
def test_a_schedule_fires_next_in_utc(schedule: str, after: str, expected: str) -> None:
    """Cron expressions are read in UTC: no summer time, no skipped hours."""
    assert next_after(schedule, utc(after)) == utc(expected)


def write(path: Path, schedule: str) -> Path:
    function = {
        "name": "ops-tick",
        "kind": "scheduled",
        "schedule": schedule,
        "source": "-",
        "entry_point": "-",
    }
    path.write_text(json.dumps({"functions": [function]}))
    return path


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def dispatch(tmp_path: Path, receiver: Receiver) -> Iterator[Dispatch]:
    manifest = write(tmp_path / "manifest.json", "0 0 1 1 *")
    with dispatching(
        tmp_path, "--manifest", str(manifest), "--step-url", receiver.url("/_fn/{name}")
    ) as process:
        yield process


def test_a_function_can_be_fired_at_once(dispatch: Dispatch, receiver: Receiver) -> None:
    """The call looks like Cloud Scheduler's and its answer is reported."""
    status, answer = dispatch.ask("POST", "/_local/clock/fire/ops-tick")
    assert (status, answer["status"]) == (200, 200)
    headers = receiver.calls[0].headers
    assert receiver.calls[0].path == "/_fn/ops-tick"
    assert headers["X-CloudScheduler"] == "true"
    assert headers["X-CloudScheduler-ScheduleTime"].endswith("Z")
    assert headers["Authorization"].startswith("Bearer ")
    receiver.script = lambda _call: 500
    assert dispatch.ask("POST", "/_local/clock/fire/ops-tick")[0] == 502


def test_firing_an_unknown_function_names_the_known_ones(dispatch: Dispatch) -> None:
    """A typing error is answered with what there is."""
    status, answer = dispatch.ask("POST", "/_local/clock/fire/ops-tock")
    assert status == 404
    assert "ops-tick" in answer["error"]


def test_the_clock_fires_by_itself(tmp_path: Path, receiver: Receiver) -> None:
    """An expression of every second fires every second, with its own time in the header."""
    manifest = Watched(write(tmp_path / "manifest.json", "* * * * * *"))
    scheduler = Scheduler(
        manifest, receiver.url("/_fn/{name}"), "steps@x", lambda _audience, _email: "t", DeliveryFaults()
    )
    scheduler.start()
    try:
        until(lambda: len(receiver.calls) >= 3)
    finally:
        scheduler.stop()
    times = [call.headers["X-CloudScheduler-ScheduleTime"] for call in receiver.calls[:3]]
    assert len(set(times)) == 3, "each moment fires once"
    for call, text in zip(receiver.calls, times, strict=False):
        assert call.at > utc(text.removesuffix("Z")) - 0.1, "not before its time"
