"""Loads that do not flatter: open loop by the clock, and a crowd that arrives at once.

A closed loop (send, wait, send) stops asking while the server is slow and so leaves the slow moments
out of its figures ("coordinated omission", Gil Tene). Here each request has the moment at which it
should leave; its latency counts from that moment, whether or not a connection was free.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.bench.wire import Broken, Line, Response

MOST_RATE, MOST_SECONDS, MOST_AT_ONCE = 500.0, 120.0, 400


@dataclass(frozen=True)
class Sample:
    """One request. Times are milliseconds."""

    latency: float
    """From the intended start to the last byte of the answer."""
    exchange: float
    """From sending to the last byte."""
    status: int
    size: int


def open_loop(
    server: tuple[str, int],
    make: Callable[[int], bytes],
    *,
    rate: float,
    seconds: float,
    connections: int = 32,
    lines: Sequence[Line] | None = None,
) -> list[Sample]:
    """`rate` requests a second for so long, evenly spaced; `make(i)` gives the i-th request's bytes.

    A connection that breaks is a sample with status 0, never an omission.
    """
    if not (0 < rate <= MOST_RATE and 0 < seconds <= MOST_SECONDS):
        raise ValueError(f"at most {MOST_RATE:g} requests/s for {MOST_SECONDS:g} s")
    lines = lines or [Line(server) for _ in range(connections)]
    messages = [make(index) for index in range(round(rate * seconds))]
    waiting: queue.SimpleQueue[tuple[int, float] | None] = queue.SimpleQueue()
    samples: list[Sample | None] = [None] * len(messages)

    def work(line: Line) -> None:
        while (job := waiting.get()) is not None:
            index, intended = job
            samples[index] = _timed(line, messages[index], intended)

    threads = [threading.Thread(target=work, args=(line,), daemon=True) for line in lines]
    for thread in threads:
        thread.start()
    begun = time.perf_counter() + 0.05
    for index in range(len(messages)):
        intended = begun + index / rate
        pause = intended - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
        waiting.put((index, intended))
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join()
    return [sample for sample in samples if sample is not None]


def crowd(server: tuple[str, int], messages: Sequence[bytes], timeout: float = 60.0) -> list[Sample]:
    """All of them at one moment, each on a connection of its own; latency counts from that moment."""
    if len(messages) > MOST_AT_ONCE:
        raise ValueError(f"at most {MOST_AT_ONCE} requests at once")
    samples: list[Sample | None] = [None] * len(messages)
    gate = threading.Barrier(len(messages) + 1)
    start = [0.0]

    def work(index: int) -> None:
        line = Line(server, timeout)
        gate.wait()
        samples[index] = _timed(line, messages[index], start[0])
        line.close()

    threads = [threading.Thread(target=work, args=(index,), daemon=True) for index in range(len(messages))]
    for thread in threads:
        thread.start()
    while gate.n_waiting < len(messages):
        time.sleep(0.005)
    start[0] = time.perf_counter()
    gate.wait()
    for thread in threads:
        thread.join()
    return [sample for sample in samples if sample is not None]


def one_by_one(line: Line, messages: Sequence[bytes]) -> list[Sample]:
    """One after the other on one connection: what an answer costs when nothing else happens."""
    return [_timed(line, message, time.perf_counter()) for message in messages]


def _timed(line: Line, message: bytes, intended: float) -> Sample:
    sent = time.perf_counter()
    try:
        answer = line.exchange(message)
    except (Broken, OSError):
        line.close()
        answer = Response(0, {}, b"")
    done = time.perf_counter()
    return Sample((done - intended) * 1000, (done - sent) * 1000, answer.status, len(answer.body))
