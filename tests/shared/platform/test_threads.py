"""Threads that carry the context of whoever starts them."""

import json

import pytest

from shared.platform import deadline, threads
from shared.platform.telemetry import context as telemetry


def test_a_thread_has_the_deadline_and_the_request_of_its_starter() -> None:
    """Its calls end with the request, and its log lines name it."""
    found: list[tuple[float | None, str]] = []

    def look() -> None:
        found.append((deadline.left(), telemetry.context().correlation_id))

    with telemetry.request_context("f", "correlation-1", None), deadline.over(60):
        threads.start("look", look).join()
        with threads.Pool(2, "look") as pool:
            pool.submit(look).result()
            list(pool.map(lambda _n: look(), range(2)))
    assert [correlation for _, correlation in found] == ["correlation-1"] * 4
    assert all(left is not None and left <= 60 for left, _ in found)


def test_what_a_thread_changes_of_the_context_stays_there() -> None:
    """Each piece of work begins with a copy: the next one on the same thread does not meet its deadline."""

    def hurry() -> None:
        deadline.over(1).__enter__()

    with threads.Pool(1, "one") as pool:
        pool.submit(hurry).result()
        assert pool.submit(deadline.left).result() is None


def test_an_error_that_nobody_handles_is_logged_and_ends_only_the_thread(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the name of the thread; a pool hands its errors to who asks for the result instead."""

    def fail() -> None:
        raise ValueError("no")

    thread = threads.start("failing", fail)
    thread.join()
    assert thread.daemon
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["severity"], line["error_type"], line["thread"]) for line in lines] == [
        ("ERROR", "ValueError", "failing")
    ]
    with threads.Pool(1, "failing") as pool, pytest.raises(ValueError, match="no"):
        pool.submit(fail).result()
