"""What an instance remembers: caches with a bound, by cachetools, each with its lock.

Everything in them is rebuilt at any time. `cachetools` decides what goes; its caches are not for several threads at
once, so they are used through this alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import cachetools

from shared.platform import clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Bounded(Generic[K, V]):
    """A bounded cache that threads share."""

    def __init__(self, cache: cachetools.Cache[K, V]) -> None:
        self._cache = cache
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """The value, where it is kept and still holds."""
        with self._lock:
            return self._cache.get(key)

    def put(self, key: K, value: V) -> None:
        """Keep a value, letting go of others; one that is larger than the whole cache is not kept."""
        with self._lock:
            self._cache.pop(key, None)
            try:
                self._cache[key] = value
            except ValueError:
                return  # cachetools: "value too large"

    def obtain(self, key: K, make: Callable[[], V], *, fits: Callable[[V], bool] = lambda _value: True) -> V:
        """The value that is kept and fits, or the one that `make` gives: of threads that want it one makes it.

        `make` must be quick: the others wait for it.
        """
        with self._lock:
            found = self._cache.get(key)
            if found is None or not fits(found):
                self._cache.pop(key, None)
                found = self._cache[key] = make()
            return found

    def drop(self, key: K) -> None:
        """Forget one."""
        with self._lock:
            self._cache.pop(key, None)

    def clear(self) -> None:
        """Begin anew, as a fresh instance does."""
        with self._lock:
            self._cache.clear()

    def __len__(self) -> int:
        with self._lock:
            return len(self._cache)


def recent(most: float, weigh: Callable[[V], float] | None = None) -> Bounded[K, V]:
    """The values that were used most recently: so many, or so much by their weights."""
    return Bounded(cachetools.LRUCache(most, getsizeof=weigh))


def fresh(most: int, seconds: float) -> Bounded[K, V]:
    """At most so many values, each for so many seconds."""
    return Bounded(cachetools.TTLCache(most, ttl=seconds, timer=clock.monotonic))


def fresh_until(most: int, end: Callable[[V], float]) -> Bounded[K, V]:
    """At most so many values, each until the `clock.monotonic` that it names itself."""
    return Bounded(
        cachetools.TLRUCache(most, ttu=lambda _key, value, _now: end(value), timer=clock.monotonic)
    )
