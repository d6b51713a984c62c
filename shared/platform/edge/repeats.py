"""Idempotency keys of endpoints: the same key and body give the first answer again.

    request 1: claim ── works ── keeps the answer
    request 2:    claim fails ── waits ── finds the answer, replays it
    request 3 (other body): 422 IDEMPOTENCY_KEY_REUSED

A key belongs to a person, a function and the reach of a credential (`Principal.reach`): a token that may less
never meets the answer, or the ids, that one of the same person who may more was given.

Only successes are kept: after an error the key is free again. A holder keeps the key by a heartbeat. Soon after it
died the next request with the key takes over; ids derived from the key are the same, so what was half made is
met again and not made twice.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from flask import Response

from shared.platform import clock
from shared.platform.edge.call import Call
from shared.platform.errors import IdempotencyKeyReused, RequestInProgress
from shared.platform.ids import new_id
from shared.platform.leases.contract import Lease, Terms
from shared.platform.leases.heartbeat import Heartbeat
from shared.platform.leases.postgres import Rows
from shared.platform.leases.single_flight import Done, Flight, Later, NotInTime
from shared.platform.postgres import pool, sql
from shared.platform.telemetry.bookkeeping import bookkeeping
from shared.platform.text import strict_json

Q = sql.load(__file__)
KEYS = Rows(
    take=Q.claim_idempotency_key,
    renew=Q.renew_idempotency_key,
    release=Q.release_idempotency_key,
    left=Q.read_idempotency_key,
)

WAIT_SECONDS = 8.0
TERMS = Terms(seconds=12.0, heartbeat=3.0, at_most=600.0)
"""Who repeats a request whose worker died waits once in vain, is told to come again, and is served then."""
REPLAYED = "Idempotency-Replayed"


class Keeper(Protocol):
    """How the body of an answer is kept; `bound_to` names whose it is."""

    def keep(self, body: bytes, bound_to: str, /) -> str:
        """The text to keep."""

    def read(self, kept: str, bound_to: str, /) -> bytes:
        """The body again."""


class _Plain:
    def keep(self, body: bytes, _: str, /) -> str:
        return base64.b64encode(body).decode()

    def read(self, kept: str, _: str, /) -> bytes:
        return base64.b64decode(kept)


PLAIN = _Plain()


def once(call: Call, at_most: float, run: Callable[[], Response], keeper: Keeper = PLAIN) -> Response:
    """Run under the call's key, kept for at most so many seconds, or replay what the first run answered."""
    if call.idempotency_key is None:
        return run()
    who = {"user": call.user, "route": f"{call.route} {call.who.reach}", "key": call.idempotency_key}
    request = _Request(call, who, _asked(call), at_most, run, keeper)
    give_up = clock.monotonic() + WAIT_SECONDS
    try:
        return _flight.run(
            (*who.values(), request.body_sha),
            request.attempt,
            remaining=lambda: give_up - clock.monotonic(),
        ).value
    except NotInTime:
        raise RequestInProgress(retry_after=2) from None


_flight: Flight[Response] = Flight(shares=lambda _error: False)


@dataclass
class _Request:
    """One request under a key."""

    call: Call
    who: dict[str, str]
    body_sha: str
    at_most: float
    run: Callable[[], Response]
    keeper: Keeper
    owner: str = field(default_factory=new_id)
    """Of this request alone: a transaction whose answer was lost finds what it took."""
    stalled: bool = False
    """This request lost the key to another, whose answer counts. It never takes the key back: two that stall would
    take it from each other without end."""
    waits: bool = False

    def attempt(self) -> Done[Response] | Later:
        """Run where nobody has the key, replay what is kept, or say how long the holder's lease lasts.

        An answer is of one request alone, so those that wait in this instance look for themselves.
        """
        lease, known = pool.surely(self._look)
        self.waits = True
        if lease is not None:
            self.call.key_created_ms = int(lease.row["created_ms"])
            response = self._first(lease)
            if response is not None:
                return Done(response, shared=False)
            self.stalled = True
            return self.attempt()
        if known is None:
            return Later(0.0)
        if known["body_sha256"] != self.body_sha:
            raise IdempotencyKeyReused(field="Idempotency-Key", reason="first used with another body")
        if known["status"] is not None:
            body = self.keeper.read(known["body"] or "", _bound(self.who))
            return Done(_replay(known, body), shared=False)
        return Later(float(known["left"]))

    def _look(self) -> tuple[Lease | None, pool.Row | None]:
        """The key's lease, or what is known of it: who waits reads first, and takes only what looks free."""
        with pool.transaction() as tx:
            known = tx.find(Q.read_idempotency_key, **self.who) if self.waits else None
            if self.stalled or (known is not None and (known["status"] is not None or known["left"] > 0)):
                return None, known
            lease = KEYS.take(tx, TERMS.seconds, owner=self.owner, **self.who, body_sha=self.body_sha)
            return lease, None if lease else tx.find(Q.read_idempotency_key, **self.who)

    def _first(self, lease: Lease) -> Response | None:
        """The answer; None when this request stalled for so long that another took the key, whose answer counts."""
        kept = False
        with Heartbeat(lambda: self._renew(lease), TERMS.lasting(self.at_most), "an idempotency key"):
            try:
                response = self.run()
                if response.is_streamed or not 200 <= response.status_code < 300:
                    return response
                with bookkeeping("the answer to a key", "a repetition does it again") as written:
                    kept = self._keep(lease, response)
                # What could not be kept is done all the same, and who asked shall know.
                return response if kept or not written.ok else None
            finally:
                if not kept:
                    with bookkeeping("the end of a lease", "it ends by itself", what="an idempotency key"):
                        self._release(lease)

    def _keep(self, lease: Lease, response: Response) -> bool:
        """Keep the answer; False where another has the key now."""
        headers = {
            name: value
            for name, value in response.headers.items()
            if name in ("Content-Type", "ETag", "Location")
        }
        body = self.keeper.keep(response.get_data(), _bound(self.who))
        answer = {"status": response.status_code, "headers": headers, "body": body}

        def keep() -> bool:
            with pool.transaction() as tx:
                return tx.run(Q.keep_answer, **self.who, owner=lease.owner, **answer) > 0

        return pool.surely(keep)

    def _renew(self, lease: Lease) -> bool:
        with pool.transaction() as tx:
            return KEYS.renew(tx, lease, TERMS.seconds, **self.who)

    def _release(self, lease: Lease) -> None:
        with pool.transaction() as tx:
            KEYS.release(tx, lease, **self.who)


def _asked(call: Call) -> str:
    """The hash of all that was asked: the body, and what path and query name."""
    query = None if call.query is None else call.query.model_dump(mode="json")
    return hashlib.sha256(
        call.raw_body + repr(sorted(call.path.items())).encode() + strict_json.canonical(query)
    ).hexdigest()


def _bound(who: dict[str, str]) -> str:
    return f"answer {strict_json.canonical(who).decode()}"


def _replay(known: pool.Row, body: bytes) -> Response:
    response = Response(body, known["status"])
    response.headers.update(known["headers"] or {})
    response.headers[REPLAYED] = "true"
    return response
