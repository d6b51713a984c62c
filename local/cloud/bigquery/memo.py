"""What was worked out from the directory as it is, kept until any data set or table changes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Memo(Generic[T]):
    """The newest answers by key. `generation` counts the directory's changes."""

    def __init__(self, generation: Callable[[], int], most: int = 512) -> None:
        self._generation, self._most = generation, most
        self._lock = threading.Lock()
        self._of, self._known = -1, OrderedDict[Hashable, T]()

    def get(self, key: Hashable, make: Callable[[], T], keeps: Callable[[T], bool] = lambda _: True) -> T:
        """The known answer, or a new one, which is kept if `keeps` says so and nothing changed meanwhile."""
        generation = self._generation()
        with self._lock:
            if generation != self._of:
                self._of = generation
                self._known.clear()
            elif key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        made = make()
        if keeps(made):
            with self._lock:
                if self._of == generation == self._generation():
                    self._known[key] = made
                    while len(self._known) > self._most:
                        self._known.popitem(last=False)
        return made
