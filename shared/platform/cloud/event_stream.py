"""An append-only stream of events in Firestore that one writer at a time may extend.

A head document names the writer's fence and counts the batches; each batch is a document of its own.
Both are written in one commit whose precondition is the head's last update time:

    writer, fence 1:  append ─ append ─ (stalls) ───────────────── append → precondition fails → Superseded
    writer, fence 2:                       open ─ append ─ append

so a writer that was thought dead finds out instead of mixing its events in, and an append costs one
round trip. Readers ask for the next batch by its number.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from shared.platform.cloud import documents
from shared.platform.errors import Unavailable
from shared.platform.ids import new_id
from shared.platform.text import strict_json

HEADS, BATCHES = "turns", "turn_events"
TTL_SECONDS = 86_400.0
_MOST_BYTES = 700_000
_READ_AHEAD = 20


class Superseded(Exception):
    """Another writer has this stream now."""


class Writer:
    """The right to append to a stream. Not for two threads at once."""

    def __init__(self, name: str, fence: int, opener: str | None = None) -> None:
        """Take the stream over from any writer with a smaller fence; raises Superseded for one that is not.

        `opener` is made by the caller before its first try: a repetition, because nobody knows whether the
        stream was opened, finds that it was.
        """
        self._name, self._fence, self._opener = name, fence, opener or new_id()
        self._stamp, self._batches = self._open()

    def append(self, events: list[Any]) -> None:
        """Add the events, in order. Raises Superseded, or Unavailable (then the same call may be repeated)."""
        for part in _parts(events):
            self._commit(part)

    def _open(self) -> tuple[Any, int]:
        from google.api_core.exceptions import Conflict, FailedPrecondition

        reference = documents.reference(HEADS, self._name)
        for _ in range(10):
            with documents.translated():
                snapshot = reference.get()
                head = snapshot.to_dict() or {}
                batches = int(head.get("batches", 0))
                if (head.get("fence"), head.get("opener")) == (self._fence, self._opener):
                    return snapshot.update_time, batches
                if head.get("fence", 0) >= self._fence:
                    raise Superseded
                document = {
                    "fence": self._fence,
                    "opener": self._opener,
                    "batches": batches,
                    "expires_at": documents.end(TTL_SECONDS),
                }
                try:
                    if snapshot.exists:
                        option = documents.client().write_option(last_update_time=snapshot.update_time)
                        result = reference.update(document, option=option)
                    else:
                        result = reference.create(document)
                except (Conflict, FailedPrecondition):
                    continue
            return result.update_time, batches
        raise Unavailable("The event stream is contended.", retry_after=1)

    def _commit(self, payload: str) -> None:
        from google.api_core.exceptions import Conflict, FailedPrecondition, NotFound

        number = self._batches
        head = documents.reference(HEADS, self._name)
        end = documents.end(TTL_SECONDS)
        with documents.translated():
            batch = documents.client().batch()
            option = documents.client().write_option(last_update_time=self._stamp)
            batch.update(head, {"batches": number + 1, "expires_at": end}, option=option)
            batch.set(
                documents.reference(BATCHES, _key(self._name, number)), {"events": payload, "expires_at": end}
            )
            try:
                results = batch.commit()
            except (Conflict, FailedPrecondition, NotFound):
                # An answer that was lost on the way looks like this too: then the head already counts it.
                snapshot = head.get()
                current = snapshot.to_dict() or {}
                if current.get("fence") != self._fence or current.get("batches") != number + 1:
                    raise Superseded from None
                self._stamp, self._batches = snapshot.update_time, number + 1
                return
        self._stamp, self._batches = results[0].update_time, number + 1


def read(name: str, first: int) -> Iterator[list[Any]]:
    """The batches from number `first` on, as far as they are written now."""
    ahead = 1
    while True:
        keys = [_key(name, first + step) for step in range(ahead)]
        found = documents.get_many(BATCHES, keys)
        for key in keys:
            if key not in found:
                return
            yield json.loads(found[key]["events"])
        first, ahead = first + ahead, _READ_AHEAD


def _key(name: str, number: int) -> str:
    return f"{name}.{number:06d}"


def _parts(events: list[Any]) -> Iterator[str]:
    """Documents are at most 1 MiB: the events as JSON texts below that."""
    part: list[str] = []
    size = 0
    for event in events:
        text = strict_json.dumps(event).decode()
        length = len(text.encode())
        if part and size + length > _MOST_BYTES:
            yield f"[{','.join(part)}]"
            part, size = [], 0
        part.append(text)
        size += length
    if part:
        yield f"[{','.join(part)}]"
