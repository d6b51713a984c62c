"""The public keys of the token issuer: known ones serve while newer ones are fetched, or can't be.

    key known, fresh ──► served
    key known, older ──► served; a thread asks the issuer meanwhile
    key not known ─────► the caller waits for one question; there is at most one in ASK_AGAIN_SECONDS
    issuer away ───────► known keys serve on, for LONGEST_SECONDS at the most

No lock is held while the issuer is asked. One thread asks; callers that can't go on without its answer wait
for it, each as long as its own request may.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shared.platform import clock, deadline, threads
from shared.platform.errors import Unavailable
from shared.platform.telemetry import context as telemetry

FRESH_SECONDS = 3600.0
ASK_AGAIN_SECONDS = 30.0
"""Least time between two questions: callers with made-up key ids can't make us flood the issuer."""
FIRST_AGAIN_SECONDS = 1.0
"""The same while no key is known at all."""
LONGEST_SECONDS = 86_400.0
"""How long keys serve without news of the issuer. A key that it took back must end some time."""
ASK_SECONDS = 5.0


@dataclass(frozen=True)
class _Known:
    keys: Mapping[str, str]
    at: float


class IssuerKeys:
    """Keys by their ids, fetched by `ask`, which raises Unavailable where the issuer can't be reached."""

    def __init__(self, ask: Callable[[], Mapping[str, str]]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._known = _Known({}, float("-inf"))
        self._begun = float("-inf")
        self._question: threading.Event | None = None
        self._failed = False

    def get(self, kid: str | None = None) -> Mapping[str, str]:
        """The keys to check a token of this key id with, without it where the issuer has none of that id.

        Raises Unavailable where no key is known, or where the issuer can't be asked about this one.
        """
        if not self._lasting() or (kid is not None and kid not in self._known.keys):
            question = self._begin(ASK_AGAIN_SECONDS if self._known.keys else FIRST_AGAIN_SECONDS)
            if question is not None:
                clock.wait(question, deadline.within(ASK_SECONDS))
            if not self._lasting() or (self._failed and kid is not None and kid not in self._known.keys):
                raise Unavailable("The keys of the token issuer are not reachable.", retry_after=2)
        elif clock.monotonic() - self._known.at >= FRESH_SECONDS:
            self._begin(ASK_AGAIN_SECONDS)
        return self._known.keys

    def _lasting(self) -> bool:
        return clock.monotonic() - self._known.at < LONGEST_SECONDS

    def _begin(self, every: float) -> threading.Event | None:
        """The question that is under way, or a new one; None where the last began less than `every` seconds
        ago.
        """
        with self._lock:
            if self._question is not None:
                return self._question
            if clock.monotonic() - self._begun < every:
                return None
            self._begun = clock.monotonic()
            self._question = question = threading.Event()
        threads.start("issuer", self._fetch, question)
        return question

    def _fetch(self, question: threading.Event) -> None:
        try:
            keys = self._ask()
        except Exception as error:
            telemetry.log_exception("the issuer's keys can't be read", error, known=len(self._known.keys))
            self._failed = True
        else:
            self._known, self._failed = _Known(dict(keys), clock.monotonic()), False
        finally:
            with self._lock:
                self._question = None
            question.set()
