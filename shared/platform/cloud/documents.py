"""Firestore: short-lived state that instances share. Anything here may be lost.

Collections are flat, and rooms declare them (`declared.py`) with the longest life of a document. Each document
carries `expires_at`, on which the database's TTL policy works. TTL deletion is late by hours, so readers also
compare the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar

from shared.platform import clock, deadline
from shared.platform.errors import Unavailable
from shared.platform.registry.gathered import COLLECTIONS
from shared.platform.settings import settings

TIMEOUT_SECONDS = 10
T = TypeVar("T")


class Contended(Unavailable):
    """Too many change this at the same time; try again shortly."""


def get(collection: str, key: str) -> dict[str, Any] | None:
    """The document, or None when it is absent or has expired."""
    with translated():
        return _alive(reference(collection, key).get())


def get_many(collection: str, keys: list[str]) -> dict[str, dict[str, Any]]:
    """The documents that are there and alive, by key, in one round trip."""
    if not keys:
        return {}
    with translated():
        snapshots = client().get_all([reference(collection, key) for key in keys])
        found = {snapshot.id: _alive(snapshot) for snapshot in snapshots}
    return {key: value for key, value in found.items() if value is not None}


@dataclass(frozen=True)
class Seen:
    """A document as it was at one moment."""

    value: dict[str, Any] | None
    """None when it was absent or had expired."""
    at: float
    """The moment, in seconds since 1970 by Firestore's own clock: the same for all instances that compare it."""


def see(*wanted: tuple[str, str]) -> list[Seen]:
    """Documents, each by collection and key, in one round trip and without a transaction: nobody waits for it."""
    references = [reference(collection, key) for collection, key in wanted]
    with translated():
        found = {snapshot.reference.path: snapshot for snapshot in client().get_all(references)}
    return [_seen(found[reference.path]) for reference in references]


def glance(collection: str, key: str, *, seconds: float) -> Seen:
    """Like `see`, asked once and no longer than this: for what one can do without. Raises Unavailable."""
    with translated(seconds):
        return _seen(reference(collection, key).get(retry=None))


def put(collection: str, key: str, value: dict[str, Any], *, ttl_seconds: float) -> None:
    """Write the document whole. Raises ValueError for a life that is longer than the collection's."""
    document, expires_at = reference(collection, key), _end_in(collection, ttl_seconds)
    with translated():
        document.set(value | {"expires_at": expires_at})


def delete(collection: str, *keys: str) -> None:
    """Remove documents; absent ones are no error."""
    with translated():
        batch = client().batch()
        for key in keys:
            batch.delete(reference(collection, key))
        batch.commit()


def change(
    collection: str,
    key: str,
    decide: Callable[[dict[str, Any] | None], tuple[dict[str, Any] | None, T]],
    *,
    ttl_seconds: float,
    timeout_seconds: float = TIMEOUT_SECONDS,
    attempts: int = 20,
) -> T:
    """Read, decide and write one document atomically.

    `decide` gets the live document or None and answers (the new document or None for no write, the result).
    It may run several times, so it must have no effect of its own. Raises Contended when others changed the
    document at each of the attempts.
    """
    return change_seen(
        collection,
        key,
        lambda seen: decide(seen.value),
        ttl_seconds=ttl_seconds,
        timeout_seconds=timeout_seconds,
        attempts=attempts,
    )


def change_seen(
    collection: str,
    key: str,
    decide: Callable[[Seen], tuple[dict[str, Any] | None, T]],
    *,
    ttl_seconds: float,
    timeout_seconds: float = TIMEOUT_SECONDS,
    attempts: int = 20,
) -> T:
    """Like `change`; `decide` also gets the moment of reading, by Firestore's clock."""
    from google.cloud import firestore

    document = reference(collection, key)
    _end_in(collection, ttl_seconds)

    @firestore.transactional  # type: ignore[untyped-decorator]
    def attempt(transaction: Any) -> T:
        seen = _seen(document.get(transaction=transaction))
        new, result = decide(seen)
        if new is not None:
            ends = datetime.fromtimestamp(seen.at + ttl_seconds, UTC)
            transaction.set(document, new | {"expires_at": ends})
        return result

    with translated(timeout_seconds):
        return attempt(client().transaction(max_attempts=attempts))  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def client() -> Any:
    """This instance's Firestore client."""
    from shared.platform.cloud import documents_client

    return documents_client.Client(project=settings().project)


def reference(collection: str, key: str) -> Any:
    """A document of a known collection; raises ValueError for a key that could be a path."""
    if collection not in COLLECTIONS:
        raise KeyError(f"{collection!r} is not a known collection")
    if not key or "/" in key or len(key) > 1400:
        raise ValueError(f"{key[:80]!r} is not a valid document key")
    return client().collection(collection).document(key)


def end(ttl_seconds: float) -> Any:
    """The value of `expires_at`, from now."""
    return clock.now() + timedelta(seconds=ttl_seconds)


def _end_in(collection: str, ttl_seconds: float) -> Any:
    if not 0 < ttl_seconds <= COLLECTIONS[collection]:
        raise ValueError(
            f"a document of {collection!r} lives for {COLLECTIONS[collection]:.0f} s at the longest"
        )
    return end(ttl_seconds)


def _seen(snapshot: Any) -> Seen:
    return Seen(_alive(snapshot), clock.of_server(snapshot.read_time).timestamp())


def _alive(snapshot: Any) -> dict[str, Any] | None:
    if not snapshot.exists:
        return None
    value: dict[str, Any] = snapshot.to_dict()
    expires_at = value.pop("expires_at", None)
    return None if expires_at is not None and expires_at <= clock.of_server(snapshot.read_time) else value


@contextmanager
def translated(seconds: float = TIMEOUT_SECONDS) -> Iterator[None]:
    """One operation, which ends within so many seconds. Raises our Unavailable for what the client raises."""
    from google.api_core.exceptions import GoogleAPICallError, RetryError

    away = (GoogleAPICallError, RetryError, deadline.TimeIsOver)
    with deadline.operation(seconds):
        try:
            yield
        except away as error:
            raise Unavailable("Firestore is not reachable.", retry_after=1) from error
        except ValueError as error:
            # The library rolls back what never began, and raises that in the place of the cause.
            if isinstance(error.__context__, away):
                raise Unavailable("Firestore is not reachable.", retry_after=1) from error.__context__
            if "Failed to commit transaction" not in str(error):
                raise
            raise Contended("Firestore is contended.", retry_after=1) from error
