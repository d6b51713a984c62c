"""The circuit breaker over a real Firestore."""

import threading
from datetime import timedelta
from typing import Any

import pytest

from shared.agents import breaker
from shared.platform import clock
from shared.platform.errors import ProviderUnavailable
from shared.platform.ids import new_id

pytestmark = pytest.mark.usefixtures("ground")


@pytest.fixture
def name() -> str:
    return f"p-{new_id()}"


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Move the clock."""
    real = clock.now
    shift = [0.0]
    monkeypatch.setattr(clock, "now", lambda: real() + timedelta(seconds=shift[0]))

    def move(seconds: float) -> None:
        shift[0] += seconds

    return move


def fail(name: str, times: int) -> None:
    for _ in range(times):
        breaker.failed(breaker.enter(name))


def test_five_failures_in_a_row_open_the_circuit(name: str) -> None:
    """Four do not; the fifth does, and who comes then hears how long to wait."""
    fail(name, 4)
    breaker.enter(name)
    fail(name, 1)
    with pytest.raises(ProviderUnavailable) as refusal:
        breaker.enter(name)
    assert 290 < (refusal.value.retry_after or 0) <= 300


def test_a_success_between_starts_the_count_anew(name: str) -> None:
    """Four failures, a success and four failures leave the circuit closed."""
    fail(name, 4)
    breaker.succeeded(breaker.enter(name))
    fail(name, 4)
    breaker.enter(name)


def test_after_the_pause_exactly_one_of_sixteen_probes(name: str, later: Any) -> None:
    """Sixteen threads ask at the same time: one is let through."""
    fail(name, 5)
    later(301)
    barrier, outcomes = threading.Barrier(16), list[str]()

    def ask() -> None:
        barrier.wait()
        try:
            assert breaker.enter(name).probe is not None
            outcomes.append("probe")
        except ProviderUnavailable:
            outcomes.append("refused")

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["probe"] + ["refused"] * 15


def test_a_probe_that_succeeds_closes_the_circuit(name: str, later: Any) -> None:
    """Then everybody may call again."""
    fail(name, 5)
    later(301)
    breaker.succeeded(breaker.enter(name))
    assert breaker.enter(name).probe is None


def test_a_probe_that_fails_opens_it_for_another_pause(name: str, later: Any) -> None:
    """And one that never comes back is replaced when its time is over."""
    fail(name, 5)
    later(301)
    breaker.failed(breaker.enter(name))
    with pytest.raises(ProviderUnavailable):
        breaker.enter(name)
    later(301)
    lost = breaker.enter(name)
    with pytest.raises(ProviderUnavailable):
        breaker.enter(name)
    later(breaker.PROBE_SECONDS + 1)
    fresh = breaker.enter(name)
    assert fresh.probe not in (None, lost.probe)


def test_a_late_answer_of_an_earlier_call_does_not_close_an_open_circuit(name: str) -> None:
    """Only the probe decides."""
    early = breaker.enter(name)
    fail(name, 5)
    breaker.succeeded(breaker.Permit(early.provider, failures=3))
    with pytest.raises(ProviderUnavailable):
        breaker.enter(name)
