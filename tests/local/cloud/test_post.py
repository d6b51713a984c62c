"""One delivery: what counts as an answer, and how long it may take."""

import socket
import threading

import pytest

from local.cloud.serving import post
from tests.local.dispatching import Call, receiving


def test_a_handler_that_does_not_answer_in_time_has_not_answered() -> None:
    """The deadline ends the wait; the outcome is no status, and the handler was reached."""
    given_up, answered = threading.Event(), list[bool]()
    with receiving() as receiver:

        def slow(_call: Call) -> int:
            answered.append(given_up.wait(60))
            return 200

        receiver.script = slow
        answer = post.send("POST", receiver.url(), {}, b"", 0.3, post.DeliveryFaults())
        assert answered == []
        given_up.set()
    assert (answer.status, answer.ok, answer.reached) == (None, False, True)
    assert "0.3 s" in answer.reason


def test_a_refused_connection_reaches_nobody() -> None:
    """Nobody listens: that is told apart from a handler that failed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        answer = post.send(
            "POST", f"http://127.0.0.1:{probe.getsockname()[1]}/", {}, b"", 1.0, post.DeliveryFaults()
        )
    assert (answer.status, answer.reached) == (None, False)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8080/x", True),
        ("http://127.1.2.3/x", True),
        ("http://localhost/x", True),
        ("http://[::1]/x", True),
        ("http://127.0.0.1@example.com/", False),
        ("http://localhost.example.com/", False),
        ("http://0.0.0.0/", False),
        ("http://169.254.169.254/", False),
        ("http:///x", False),
    ],
)
def test_only_loopback_is_loopback(url: str, loopback: bool) -> None:
    """Addresses decide, not how a host name looks."""
    assert post.is_loopback(url) is loopback
