"""The arithmetic of retries and rates, without a clock."""

import pytest
from google.cloud import tasks_v2

from local.cloud.tasks import policy


def retry(**settings: object) -> tasks_v2.RetryConfig:
    return tasks_v2.RetryConfig(settings)


def test_backoff_doubles_then_grows_evenly_then_stays() -> None:
    """The service's documented example: 10 s to 300 s with 3 doublings."""
    settings = retry(min_backoff={"seconds": 10}, max_backoff={"seconds": 300}, max_doublings=3)
    assert [policy.backoff(settings, n) for n in range(1, 9)] == [10, 20, 40, 80, 160, 240, 300, 300]


@pytest.mark.parametrize(
    ("settings", "attempts", "age", "over"),
    [
        ({"max_attempts": 3}, 2, 1e6, False),
        ({"max_attempts": 3}, 3, 0, True),
        ({"max_attempts": -1}, 10_000, 1e6, False),
        ({"max_attempts": -1, "max_retry_duration": {"seconds": 60}}, 1, 60, True),
        ({"max_attempts": 3, "max_retry_duration": {"seconds": 60}}, 3, 59, False),
        ({"max_attempts": 3, "max_retry_duration": {"seconds": 60}}, 2, 61, False),
        ({"max_attempts": 3, "max_retry_duration": {"seconds": 60}}, 3, 61, True),
    ],
)
def test_a_task_is_over_when_attempts_and_time_both_are(
    settings: dict[str, object], attempts: int, age: float, over: bool
) -> None:
    """With both limits set, both must be reached; -1 means no limit of attempts."""
    assert policy.exhausted(retry(**settings), attempts, 1000.0, 1000.0 + age) is over


def test_a_throttle_recovers_after_successes() -> None:
    """Each refusal halves the rate down to a 64th, each success doubles it back."""
    throttle = policy.Throttle(100.0, 1)
    for _ in range(10):
        throttle.slower()
    assert throttle.factor == 1 / 64
    for _ in range(10):
        throttle.faster()
    assert throttle.factor == 1.0
