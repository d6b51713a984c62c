"""A wait lasts as long as the machine needs, and ends."""

import pytest

from local.patience import NotInTime, Patience, slowness_now, until


def test_a_bound_grows_with_the_slowness_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds of a quiet machine are a hundred of one that works at a tenth of the pace, also from half way on."""
    now, slow = [0.0], [1.0]
    monkeypatch.setattr("local.patience.time.monotonic", lambda: now[0])
    supply = Patience(10, lambda: slow[0])
    assert not supply.over()
    now[0] = 5.0
    assert not supply.over()
    slow[0] = 10.0
    now[0] = 50.0
    assert not supply.over()
    assert supply.used == pytest.approx(5 + 4.5)
    now[0] = 60.0
    assert supply.over()


def test_a_condition_is_asked_until_it_is_true_and_its_value_is_the_answer() -> None:
    """The first true value; nobody sleeps when the first is."""
    answers = iter([None, 0, "", "there"])
    assert until(lambda: next(answers), pause=0.001) == "there"


def test_what_never_comes_true_is_named() -> None:
    """The message says what was waited for, as it was at the end."""
    seen = []
    with pytest.raises(NotInTime, match="the post is empty: 3 letters"):
        until(
            lambda: seen.append(1),
            lambda: f"the post is empty: {min(3, len(seen))} letters",
            seconds=0.05,
            pause=0.001,
        )


def test_no_machine_is_faster_than_quiet() -> None:
    """A wait is never shorter than its seconds."""
    assert slowness_now() >= 1.0
