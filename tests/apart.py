"""Callers of one process as if each were an instance of its own, which shares nothing but the stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shared.platform.leases.single_flight import Done, Later, Outcome, persevere


class Apart:
    """In the place of a module's Flight: no caller waits for another of this process."""

    def run(
        self, key: object, attempt: Callable[[], Done[Any] | Later], *, remaining: Callable[[], float]
    ) -> Outcome[Any]:
        return Outcome(persevere(attempt, remaining).value, led=True)
