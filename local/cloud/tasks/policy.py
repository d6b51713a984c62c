"""The arithmetic of a queue: how long to wait before an attempt, how fast to dispatch.

Field by field as documented for `google.cloud.tasks.v2.RetryConfig` and `RateLimits`.
"""

import time
from dataclasses import dataclass

from google.cloud import tasks_v2
from google.protobuf.duration_pb2 import Duration

# What the service fills in when a queue leaves a field out.
DEFAULT_RATE = 500.0
DEFAULT_CONCURRENCY = 1000
DEFAULT_ATTEMPTS = 100
DEFAULT_MIN_BACKOFF = 0.1
DEFAULT_MAX_BACKOFF = 3600.0
DEFAULT_DOUBLINGS = 16
MAX_RATE = 500.0
_SLOWEST = 1 / 64


class BadQueue(ValueError):
    """A queue's configuration is not one that the service accepts."""


def with_defaults(queue: tasks_v2.Queue) -> tasks_v2.Queue:
    """The queue as the service would answer it: every limit filled in, the burst computed."""
    limits, retry = queue.rate_limits, queue.retry_config
    limits.max_dispatches_per_second = limits.max_dispatches_per_second or DEFAULT_RATE
    limits.max_concurrent_dispatches = limits.max_concurrent_dispatches or DEFAULT_CONCURRENCY
    limits.max_burst_size = max(1, int(limits.max_dispatches_per_second / 5))
    retry.max_attempts = retry.max_attempts or DEFAULT_ATTEMPTS
    pb = tasks_v2.RetryConfig.pb(retry)
    if not pb.HasField("min_backoff"):
        retry.min_backoff = _duration(DEFAULT_MIN_BACKOFF)
    if not pb.HasField("max_backoff"):
        retry.max_backoff = _duration(DEFAULT_MAX_BACKOFF)
    retry.max_doublings = retry.max_doublings or DEFAULT_DOUBLINGS
    _check(queue)
    return queue


def _check(queue: tasks_v2.Queue) -> None:
    limits, retry = queue.rate_limits, queue.retry_config
    if not 0 < limits.max_dispatches_per_second <= MAX_RATE:
        raise BadQueue(f"rate_limits.max_dispatches_per_second: must be above 0 and at most {MAX_RATE:g}")
    if not 0 < limits.max_concurrent_dispatches <= 5000:
        raise BadQueue("rate_limits.max_concurrent_dispatches: must be between 1 and 5000")
    if retry.max_attempts < -1:
        raise BadQueue("retry_config.max_attempts: must be -1 (unlimited) or more than 0")
    if retry.min_backoff.total_seconds() > retry.max_backoff.total_seconds():
        raise BadQueue("retry_config.min_backoff: must not be longer than max_backoff")
    if not 0 <= retry.max_doublings <= 16:
        raise BadQueue("retry_config.max_doublings: must be between 0 and 16")


def _duration(seconds: float) -> Duration:
    whole = int(seconds)
    return Duration(seconds=whole, nanos=round((seconds - whole) * 1e9))


def backoff(retry: tasks_v2.RetryConfig, failures: int) -> float:
    """Seconds before the next attempt, after `failures` of them (1 or more).

    Doubles `max_doublings` times, then grows by the last step, never above `max_backoff`:
    minimum 10 s, maximum 300 s, 3 doublings give 10, 20, 40, 80, 160, 240, 300, 300.
    """
    shortest, longest = retry.min_backoff.total_seconds(), retry.max_backoff.total_seconds()
    doublings: int = retry.max_doublings
    if failures <= doublings + 1:
        return float(min(longest, shortest * 2 ** (failures - 1)))
    last = shortest * 2**doublings
    return float(min(longest, last * (failures - doublings)))


def exhausted(retry: tasks_v2.RetryConfig, attempts: int, first_attempt: float, now: float) -> bool:
    """Whether a task has had its last attempt; a time limit counts only together with the attempts."""
    longest = retry.max_retry_duration.total_seconds() if retry.max_retry_duration else 0.0
    out_of_attempts = retry.max_attempts != -1 and attempts >= retry.max_attempts
    out_of_time = longest > 0 and now - first_attempt >= longest
    if retry.max_attempts == -1:
        return out_of_time
    return out_of_attempts and (longest == 0 or out_of_time)


@dataclass
class Throttle:
    """A token bucket that a struggling worker slows down.

    Each 429 or 503 halves the rate, down to a 64th; each success doubles it again. The service does
    not publish its own numbers, only that it backs off when a worker says so.
    """

    rate: float
    burst: int
    factor: float = 1.0
    _tokens: float = 0.0
    _seen: float = 0.0

    def __post_init__(self) -> None:
        self._tokens, self._seen = float(self.burst), time.monotonic()

    def reconfigure(self, rate: float, burst: int) -> None:
        """Follow a queue's changed limits without giving it a fresh burst."""
        self.rate, self.burst = rate, burst
        self._tokens = min(self._tokens, float(burst))

    def available(self, now: float) -> int:
        """How many dispatches may start now."""
        grown = (now - self._seen) * self.rate * self.factor
        self._tokens, self._seen = min(float(self.burst), self._tokens + grown), now
        return int(self._tokens)

    def take(self) -> None:
        """Account for one dispatch."""
        self._tokens -= 1

    def wait(self) -> float:
        """Seconds until the next dispatch may start."""
        return max(0.0, (1 - self._tokens) / (self.rate * self.factor))

    def slower(self) -> None:
        """The worker said 429 or 503."""
        self.factor = max(_SLOWEST, self.factor / 2)

    def faster(self) -> None:
        """The worker succeeded."""
        self.factor = min(1.0, self.factor * 2)
