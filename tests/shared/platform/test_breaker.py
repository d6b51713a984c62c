"""The circuit breaker over a real Firestore."""

import random
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.platform import settings
from shared.platform.cloud import documents
from shared.platform.errors import Unavailable
from shared.platform.ids import new_id
from shared.platform.leases import breaker
from shared.platform.leases.breaker import Circuit, Permit

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cloud")]

N = 16


class Paused(Unavailable):
    """It is left alone."""


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine Firestore is slow, not away."""
    monkeypatch.setattr(breaker, "_GLANCE_SECONDS", 60.0)


@pytest.fixture
def circuit() -> Circuit:
    return Circuit(f"test:{new_id()}", "The thing", Paused)


def fail(circuit: Circuit, times: int) -> None:
    for _ in range(times):
        breaker.failed(breaker.enter(circuit))


def test_five_failures_in_a_row_open_the_circuit(circuit: Circuit, later: Any) -> None:
    """Four do not; the fifth does, and who comes then hears whom it is about and how long to wait."""
    fail(circuit, 4)
    breaker.enter(circuit)
    fail(circuit, 1)
    with pytest.raises(Paused, match=r"^The thing has failed repeatedly") as refusal:
        breaker.enter(circuit)
    later(10)
    with pytest.raises(Paused) as again:
        breaker.enter(circuit)
    assert (refusal.value.retry_after, again.value.retry_after) == (300, 290)
    assert (refusal.value.code, refusal.value.status) == ("SERVICE_UNAVAILABLE", 503)


def test_a_success_between_starts_the_count_anew(circuit: Circuit) -> None:
    """Four failures, a success and four failures leave the circuit closed."""
    fail(circuit, 4)
    breaker.succeeded(breaker.enter(circuit))
    fail(circuit, 4)
    breaker.enter(circuit)


def test_circuits_do_not_know_each_other(circuit: Circuit) -> None:
    """One connection's trouble is not another's."""
    fail(circuit, 5)
    breaker.enter(Circuit(f"test:{new_id()}", "Another thing", Paused))


def test_after_the_pause_exactly_one_of_sixteen_probes(circuit: Circuit, later: Any) -> None:
    """Sixteen instances ask at the same time: one is let through."""
    fail(circuit, 5)
    later(301)
    assert sorted(ask_at_once(circuit)) == ["probe"] + ["refused"] * (N - 1)


def ask_at_once(circuit: Circuit) -> list[str]:
    barrier = threading.Barrier(N)

    def ask(_number: int) -> str:
        barrier.wait()
        try:
            return "closed" if breaker.enter(circuit).probe is None else "probe"
        except Paused:
            return "refused"

    with ThreadPoolExecutor(N) as instances:
        return list(instances.map(ask, range(N)))


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_no_two_probes_are_out_at_once(circuit: Circuit, later: Any, seed: int) -> None:
    """Random outcomes, late answers and passing time over many instances: one probe in each window."""
    dice, stray = random.Random(seed), [Permit(circuit, failures=3)]
    fail(circuit, 5)
    for _ in range(6):
        later(dice.choice([circuit.pause_seconds + 1, circuit.probe_seconds + 1, 10]))
        outcomes = ask_at_once(circuit)
        assert outcomes.count("probe") <= 1, outcomes
        assert "closed" not in outcomes or set(outcomes) == {"closed"}
        # Answers of calls that began before the circuit opened come at any time and decide nothing.
        dice.choice([breaker.succeeded, breaker.failed])(stray[0])


def test_a_probe_that_succeeds_closes_the_circuit(circuit: Circuit, later: Any) -> None:
    """Then everybody may call again."""
    fail(circuit, 5)
    later(301)
    breaker.succeeded(breaker.enter(circuit))
    assert set(ask_at_once(circuit)) == {"closed"}


def test_a_probe_that_fails_opens_it_for_another_pause(circuit: Circuit, later: Any) -> None:
    """And one that never comes back is replaced when its time is over."""
    fail(circuit, 5)
    later(301)
    breaker.failed(breaker.enter(circuit))
    with pytest.raises(Paused):
        breaker.enter(circuit)
    later(301)
    lost = breaker.enter(circuit)
    with pytest.raises(Paused):
        breaker.enter(circuit)
    later(circuit.probe_seconds + 1)
    fresh = breaker.enter(circuit)
    assert fresh.probe not in (None, lost.probe)


def test_pauses_grow_while_probes_fail_and_begin_anew_once_it_answered(later: Any) -> None:
    """Short at first, so that a short outage costs little; longer while it lasts."""
    circuit = Circuit(f"test:{new_id()}", "The thing", Paused, pause_seconds=30.0, first_pause_seconds=5.0)

    def pause() -> float:
        with pytest.raises(Paused) as refusal:
            breaker.enter(circuit)
        return round(refusal.value.retry_after or 0)

    fail(circuit, 5)
    pauses = [pause()]
    for _ in range(4):
        later(pauses[-1] + 1)
        breaker.failed(breaker.enter(circuit))
        pauses.append(pause())
    assert pauses == [5, 10, 20, 30, 30]
    later(31)
    breaker.succeeded(breaker.enter(circuit))
    fail(circuit, 5)
    assert pause() == 5


def test_a_circuit_opens_only_where_the_trouble_is_confirmed(circuit: Circuit) -> None:
    """Who is asked whether it is indeed not well is asked once enough have failed; a no begins the count anew."""
    asked: list[int] = []

    def well() -> bool:
        asked.append(1)
        return False

    for _ in range(9):
        breaker.failed(breaker.enter(circuit), confirm=well)
    assert len(asked) == 1
    assert breaker.enter(circuit).failures == 4
    breaker.failed(breaker.enter(circuit), confirm=lambda: True)
    with pytest.raises(Paused):
        breaker.enter(circuit)


def test_a_crowd_that_is_refused_makes_no_transaction(
    circuit: Circuit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would hold up the one that probes."""
    fail(circuit, 5)
    monkeypatch.setattr(documents, "change_seen", lambda *_, **__: pytest.fail("a transaction"))
    assert set(ask_at_once(circuit)) == {"refused"}


def test_a_late_answer_of_an_earlier_call_does_not_close_an_open_circuit(circuit: Circuit) -> None:
    """Only the probe decides."""
    fail(circuit, 5)
    breaker.succeeded(Permit(circuit, failures=3))
    with pytest.raises(Paused):
        breaker.enter(circuit)


def test_an_instance_takes_a_closed_circuit_for_closed_only_as_long_as_it_may() -> None:
    """Between two looks nothing is asked; a failure of its own makes it look again."""
    circuit = Circuit(f"test:{new_id()}", "The thing", Paused, trust_seconds=60)
    breaker.enter(circuit)
    elsewhere = Circuit(circuit.name, circuit.words, Paused)
    breaker._closed_until.drop(circuit.name)
    fail(elsewhere, 4)
    breaker._trust(circuit, 60)
    assert breaker.enter(circuit) == Permit(circuit)
    breaker.failed(breaker.enter(circuit))
    with pytest.raises(Paused):
        breaker.enter(circuit)


def test_without_firestore_the_circuit_counts_as_closed(
    circuit: Circuit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost breaker does not stop what it protects, and is not asked again at once."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{nobody.getsockname()[1]}")
        settings.settings.cache_clear()
        documents.client.cache_clear()
        real, asked = documents.glance, list[float]()

        def glance(*key: str, seconds: float) -> Any:
            asked.append(seconds)
            return real(*key, seconds=seconds)

        monkeypatch.setattr(documents, "glance", glance)
        monkeypatch.setattr(
            documents, "change_seen", lambda *_, **__: pytest.fail("it was asked for a change")
        )
        assert breaker.enter(circuit) == Permit(circuit)
        breaker.failed(breaker.enter(circuit))
        assert asked == [breaker._GLANCE_SECONDS]
    documents.client.cache_clear()
    breaker._blind.clear()
