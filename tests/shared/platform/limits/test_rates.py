"""A rate limit holds over all instances in every window, costs next to nothing, and outlives Firestore."""

from __future__ import annotations

import importlib.util
import sys
import uuid
from bisect import bisect_left
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.platform.errors import RateLimited
from shared.platform.ids import new_id
from shared.platform.limits import rates

pytestmark = pytest.mark.slow
Limited = Callable[..., dict[str, str]]


@pytest.fixture
def limited(directory: dict[str, str], firestore: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Limited]:
    """Set rate limits; answers the environment of an instance that has them."""
    from shared.platform import settings as module
    from shared.platform.cloud import documents

    def set_limits(**limits: int) -> dict[str, str]:
        made = {"BRIDGE_LIMITS": str(limits).replace("'", '"'), "FIRESTORE_EMULATOR_HOST": firestore}
        for name, value in made.items():
            monkeypatch.setenv(name, value)
        module.settings.cache_clear()
        documents.client.cache_clear()
        rates.forget()
        return directory | made

    # On a busy machine Firestore is slow, not away.
    monkeypatch.setattr(rates, "PATIENCE_SECONDS", 60.0)
    monkeypatch.setattr(rates, "FIRST_PATIENCE_SECONDS", 60.0)
    yield set_limits
    documents.client.cache_clear()
    rates.forget()


def someone() -> str:
    return f"user:{uuid.uuid4()}"


def spend(who: str, times: int) -> int:
    """How many of that many requests are let through."""
    passed = 0
    for _ in range(times):
        try:
            rates.spend("rate_read", who)
            passed += 1
        except RateLimited:
            pass
    return passed


class _Time:
    """A clock that a test moves for all instances; each differs a little."""

    def __init__(self, now: list[float], skew: float) -> None:
        self._now, self._skew = now, skew

    def epoch(self) -> float:
        return self._now[0] + self._skew

    monotonic = epoch


def instance(now: list[float], *, skew: float, window: int) -> Any:
    """The module once more, with meters of its own, as another process of the same function has it. The same
    arithmetic over a shorter window, so that a test sees several of them."""
    assert rates.__spec__ is not None
    made: Any = importlib.util.module_from_spec(rates.__spec__)
    # Its dataclasses look their module up by name, so it needs one of its own while it is loaded.
    made.__name__ = f"{rates.__name__}_{new_id()}"
    sys.modules[made.__name__] = made
    try:
        source = Path(str(rates.__file__)).read_text()
        exec(compile(source, str(rates.__file__), "exec"), made.__dict__)
    finally:
        del sys.modules[made.__name__]
    made.clock = _Time(now, skew)
    made.SLOTS += window - made.WINDOW_SECONDS
    made.WINDOW_SECONDS = window
    made.PATIENCE_SECONDS = made.FIRST_PATIENCE_SECONDS = 60.0
    return made


def most_in_a_window(times: list[float], window: float = rates.WINDOW_SECONDS) -> int:
    """The largest number of times in any window of that length."""
    times = sorted(times)
    return max((bisect_left(times, at + window) - start for start, at in enumerate(times)), default=0)


def test_one_instance_gets_its_limit_and_no_more(limited: Limited) -> None:
    """Of many requests at once about the limit pass; the next is refused with the time to wait."""
    limited(rate_read=320)
    who = someone()
    passed = spend(who, 500)
    # A lone instance can't use the pocket money of the fifteen others.
    assert 320 - 15 * 2 - 1 <= passed <= 320
    with pytest.raises(RateLimited) as caught:
        rates.spend("rate_read", who)
    assert 1 <= (caught.value.retry_after or 0) <= rates.SLOTS
    assert caught.value.headers["RateLimit-Policy"] == '"read";q=320;w=60'
    assert caught.value.headers["RateLimit"].startswith('"read";r=0;t=')


def test_sixteen_instances_never_pass_the_limit(limited: Limited) -> None:
    """Sixteen instances of two threads hammer for several windows: in none, wherever it begins, do more pass than
    the limit allows, and most of that does. The race for the shared document is real, the time is given."""
    window, limit = 10, 800
    limited(rate_read=limit)
    who, now = someone(), [1_700_000_000.0]
    instances = [instance(now, skew=0.01 * number, window=window) for number in range(rates.INSTANCES)]
    passed: list[float] = []

    def hammer(mine: Any) -> None:
        with suppress(RateLimited):
            while True:
                mine.spend("rate_read", who)
                passed.append(now[0])

    with ThreadPoolExecutor(2 * len(instances)) as pool:
        for _ in range(int(2.5 * window)):
            now[0] += 1.0
            list(pool.map(hammer, instances * 2))
    assert limit * 0.75 <= most_in_a_window(passed, window) <= limit


def test_a_person_at_work_never_asks_the_shared_document(
    limited: Limited, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pocket money answers the first requests of a minute without a client of Firestore."""
    limited(rate_read=1_600)

    def asked(*_: Any, **__: Any) -> Any:
        raise AssertionError("the shared document was asked")

    monkeypatch.setattr(rates.documents, "change", asked)
    assert spend(someone(), 10) == 10


def test_without_firestore_each_instance_keeps_a_bucket_of_its_own(
    limited: Limited, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sixteenth of the limit passes, the rest is refused; nobody waits twice, and it is said once."""
    from shared.platform.cloud import documents

    limited(rate_read=320)
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
    monkeypatch.setattr(rates, "FIRST_PATIENCE_SECONDS", 0.5)
    documents.client.cache_clear()
    asked = counted(monkeypatch)
    assert spend(someone(), 100) == 20
    assert spend(someone(), 5) == 5
    assert len(asked) == 1
    told = capsys.readouterr()
    assert (told.out + told.err).count("kept by each instance alone") == 1


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of the shared documents, as they are asked for."""
    real, asked = rates.documents.change, list[str]()

    def counting(collection: str, key: str, *given: Any, **options: Any) -> Any:
        asked.append(key)
        return real(collection, key, *given, **options)

    monkeypatch.setattr(rates.documents, "change", counting)
    return asked


def test_the_hot_path_hardly_ever_asks(limited: Limited, monkeypatch: pytest.MonkeyPatch) -> None:
    """Grants double with what is spent of them, so of thousands of requests in a second a handful asks Firestore.
    What one costs is measured by `make bench`."""
    limited(rate_read=16_000_000)
    monkeypatch.setattr(rates, "POCKET_SHARE", 0.0)
    monkeypatch.setattr(rates, "clock", _Time([1_700_000_000.0], 0.0))
    asked = counted(monkeypatch)
    assert spend(someone(), 4_000) == 4_000
    # Grants of 1, 2, 4, … make 4,095 with the twelfth.
    assert len(asked) == 12


def test_callers_do_not_share_a_limit(limited: Limited) -> None:
    """One user's requests leave another's untouched."""
    limited(rate_read=32)
    assert spend(someone(), 60) <= 32
    assert spend(someone(), 10) == 10


# The shared document -----------------------------------------------------------------------------

Questions = st.lists(
    st.tuples(
        st.floats(0, 30, allow_nan=False),
        st.integers(1, 40),
        st.integers(0, 40),
        st.floats(-0.2, 0.2, allow_nan=False),
    ),
    min_size=1,
    max_size=60,
)


@given(questions=Questions, shared=st.integers(1, 200))
def test_grants_never_exceed_the_limit_in_any_window(
    questions: list[tuple[float, int, int, float]], shared: int
) -> None:
    """Whatever is asked when, by clocks that differ a little, and given back: what is spent within a second
    of its grant stays at the limit in every window of a minute."""
    document: dict[str, Any] | None = None
    now, spent_at = 1_700_000_000.0, []
    with pytest.MonkeyPatch.context() as patch:
        unspent, slot = 0, 0
        for pause, want, back, skew in questions:
            now += pause
            patch.setattr(rates, "clock", _Time([now], skew))
            document, grant = rates.granted(document, shared=shared, want=want, unspent=unspent, slot=slot)
            used = max(0, grant.tokens - back)
            unspent, slot = grant.tokens - used, grant.slot
            # As late as the holder may.
            spent_at += [now + rates.SLOT_SECONDS] * used
    assert most_in_a_window(spent_at) <= shared


def test_two_bursts_a_minute_apart_do_not_meet_in_one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """All is granted at the end of a second and spent a second later: for 60 s after that nothing is granted."""
    start = 1_700_000_000.0
    monkeypatch.setattr(rates, "clock", _Time([start], 0.99))
    document, first = rates.granted(None, shared=10, want=10, unspent=0, slot=0)
    last_spent = start + 0.99 + rates.SLOT_SECONDS
    granted_at = []
    for second in range(1, 70):
        monkeypatch.setattr(rates, "clock", _Time([start], second))
        if rates.granted(document, shared=10, want=1, unspent=0, slot=0)[1].tokens:
            granted_at.append(start + second)
    assert first.tokens == 10
    assert last_spent + rates.WINDOW_SECONDS <= granted_at[0] <= last_spent + rates.WINDOW_SECONDS + 1


def test_what_is_not_spent_is_given_back() -> None:
    """A grant that was not needed can be granted again in the same window."""
    document, first = rates.granted(None, shared=10, want=10, unspent=0, slot=0)
    assert first.tokens == 10
    _, second = rates.granted(document, shared=10, want=10, unspent=7, slot=first.slot)
    assert second.tokens == 7


def test_a_clock_far_ahead_does_not_stop_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds that nobody can have seen yet are ignored."""
    monkeypatch.setattr(rates, "clock", _Time([1_700_003_600.0], 0.0))
    document, _ = rates.granted(None, shared=10, want=10, unspent=0, slot=0)
    monkeypatch.setattr(rates, "clock", _Time([1_700_000_000.0], 0.0))
    assert rates.granted(document, shared=10, want=10, unspent=0, slot=0)[1].tokens == 10


def test_a_token_that_was_not_spent_in_time_is_gone(
    limited: Limited, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its second an instance asks again, however many tokens it still has."""
    limited(rate_read=16_000)
    who, asked, now = someone(), counted(monkeypatch), [1_700_000_000.0]
    monkeypatch.setattr(rates, "clock", _Time(now, 0.0))
    # The pocket money, then grants that grow with what is spent.
    spend(who, 100 + 1 + 2 + 4 + 1)
    assert len(asked) == 4
    spend(who, 1)
    assert len(asked) == 4
    now[0] += rates.SLOT_SECONDS
    spend(who, 1)
    assert len(asked) == 5


@pytest.mark.parametrize(
    ("forwarded", "hops", "same_as"),
    [
        ("6.6.6.6, 9.9.9.9", 1, "9.9.9.9"),
        ("1.2.3.4, 9.9.9.9, 10.0.0.1", 2, "9.9.9.9"),
        ("6.6.6.6", 0, "127.0.0.1"),
        ("", 1, "127.0.0.1"),
        ("9.9.9.9", 2, "127.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", 1, "2001:db8:1:2::1"),
        ("junk", 1, "other junk"),
    ],
)
def test_an_address_is_the_one_that_our_own_proxy_wrote(
    limited: Limited, monkeypatch: pytest.MonkeyPatch, forwarded: str, hops: int, same_as: str
) -> None:
    """What a client puts into X-Forwarded-For changes nothing, and a network of IPv6 is one caller."""
    from werkzeug.test import EnvironBuilder
    from werkzeug.wrappers import Request

    from shared.platform.edge import throttle

    def key(header: str, number: int, remote: str = "127.0.0.1") -> str:
        from shared.platform import settings as module

        monkeypatch.setenv("BRIDGE_PROXY_HOPS", str(number))
        module.settings.cache_clear()
        builder = EnvironBuilder(headers={"X-Forwarded-For": header}, environ_base={"REMOTE_ADDR": remote})
        return throttle.address_key(Request(builder.get_environ()))

    assert key(forwarded, hops) == key("", 0, same_as)
    assert key("9.9.9.9", 1) != key("9.9.9.8", 1)
