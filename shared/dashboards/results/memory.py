"""What one instance keeps: composed answers bounded by bytes, prepared documents bounded by number.

Everything here is rebuilt at any time; keys name versions, so nothing is ever out of date by a change
of the dashboard, only by its own age.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from shared.platform import clock

T = TypeVar("T")

ANSWER_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """A composed answer, ready to be sent."""

    body: bytes
    """gzip of the JSON."""
    etag: str
    fresh_until: float


class Bounded(Generic[T]):
    """A least-recently-used map, bounded by the sum of its values' weights."""

    def __init__(self, most: int, weight: Callable[[T], int]) -> None:
        self._most, self._weight = most, weight
        self._items: OrderedDict[Hashable, T] = OrderedDict()
        self._sum = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> T | None:
        """The value, which is now the most recently used."""
        with self._lock:
            value = self._items.get(key)
            if value is not None:
                self._items.move_to_end(key)
            return value

    def put(self, key: Hashable, value: T) -> None:
        """Keep a value, letting go of the least recently used."""
        weight = self._weight(value)
        with self._lock:
            self._drop(key)
            if weight > self._most:
                return
            self._items[key] = value
            self._sum += weight
            while self._sum > self._most:
                self._drop(next(iter(self._items)))

    def _drop(self, key: Hashable) -> None:
        old = self._items.pop(key, None)
        if old is not None:
            self._sum -= self._weight(old)


class Together(Generic[T]):
    """Threads that want the same thing at once: the first makes it, the others wait and share it."""

    def __init__(self) -> None:
        self._making: dict[Hashable, _Making[T]] = {}
        self._lock = threading.Lock()

    def do(self, key: Hashable, make: Callable[[], T], *, patience: float) -> T:
        """The shared result; a failure is shared too. A waiter out of patience makes its own."""
        with self._lock:
            making = self._making.get(key)
            first = making is None
            if making is None:
                making = self._making[key] = _Making()
        if not first:
            if not clock.wait(making.done, patience):
                return make()
            if making.error is not None:
                raise making.error
            return making.value  # type: ignore[return-value]
        try:
            making.value = make()
            return making.value
        except BaseException as error:
            making.error = error
            raise
        finally:
            with self._lock:
                self._making.pop(key, None)
            making.done.set()


class _Making(Generic[T]):
    def __init__(self) -> None:
        self.done = threading.Event()
        self.value: T | None = None
        self.error: BaseException | None = None
