"""For how long a step is tried, and how many tries that makes."""

import re
from pathlib import Path

import pytest

from shared.platform.background import pace
from shared.platform.background.pace import Pace
from tools.manifest import declarations

ROOT = Path(__file__).resolve().parents[3]
QUEUED = [one for one in declarations() if one.kind in ("task", "finalized")]


@pytest.mark.parametrize("seconds", [0, 1, 3, 60, 300, 900, 3600])
@pytest.mark.parametrize("kept", [pace.QUEUES, pace.EVENTS], ids=["queues", "events"])
def test_the_tries_of_a_budget_fill_its_time_and_no_more(kept: Pace, seconds: float) -> None:
    """An outage that ends within it is survived, and one try less would not be enough."""
    tries = kept.tries(seconds)

    def passed(count: int) -> float:
        return sum(kept.pause(number) for number in range(1, count))

    assert passed(tries) >= seconds
    assert tries == 1 or passed(tries - 1) < seconds


@pytest.mark.parametrize("step", QUEUED, ids=lambda one: one.name)
def test_every_step_outlasts_a_paused_circuit_and_a_restart_of_a_store(step: object) -> None:
    """A minute for a failover, and half a minute of pause after it."""
    assert step.retry_seconds >= 90  # type: ignore[attr-defined]


def test_the_pace_is_that_of_the_queues() -> None:
    """What Terraform sets, and what the arithmetic of the local Cloud Tasks makes of it."""
    from google.cloud import tasks_v2
    from google.protobuf.duration_pb2 import Duration

    from local.cloud.tasks import policy

    text = (ROOT / "infra" / "queues.tf").read_text()
    found = dict(re.findall(r'(min_backoff|max_backoff|max_doublings)\s+= "?(\d+)', text))
    assert found == {"min_backoff": "1", "max_backoff": "300", "max_doublings": "8"}
    retry = tasks_v2.RetryConfig(
        min_backoff=Duration(seconds=1), max_backoff=Duration(seconds=300), max_doublings=8
    )
    assert [policy.backoff(retry, failures) for failures in range(1, 20)] == [
        pace.QUEUES.pause(failures) for failures in range(1, 20)
    ]
