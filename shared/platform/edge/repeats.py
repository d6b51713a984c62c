"""Idempotency keys of endpoints: the same key and body give the first answer again.

    request 1: claim ── works ── keeps the answer
    request 2:    claim fails ── waits ── finds the answer, replays it
    request 3 (other body): 422 IDEMPOTENCY_KEY_REUSED

A key belongs to a person, a function and the reach of a credential (`Principal.reach`): a token that may less
never meets the answer, or the ids, that one of the same person who may more was given.

Only successes are kept: after an error the key is free again. A holder keeps the key by beats. Soon after it
died the next request with the key takes over; ids derived from the key are the same, so what was half made is
met again and not made twice.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any, Protocol

from flask import Response

from shared.platform import clock
from shared.platform.edge.call import Call
from shared.platform.errors import IdempotencyKeyReused, RequestInProgress, Unavailable
from shared.platform.ids import new_id
from shared.platform.leases.heartbeat import beating
from shared.platform.postgres import pool, sql
from shared.platform.telemetry import context as telemetry
from shared.platform.text import strict_json

Q = sql.load(__file__)

WAIT_SECONDS = 8.0
LEASE_SECONDS, BEAT_SECONDS = 12.0, 3.0
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
    body_sha = _asked(call)
    owner = new_id()
    give_up = clock.monotonic() + WAIT_SECONDS
    lost = False

    def look() -> tuple[pool.Row | None, pool.Row | None]:
        with pool.transaction() as tx:
            claimed = None
            if not lost:
                claimed = tx.find(
                    Q.claim_idempotency_key, **who, body_sha=body_sha, owner=owner, lease=LEASE_SECONDS
                )
            return claimed, None if claimed else tx.find(Q.read_idempotency_key, **who)

    while True:
        claimed, known = pool.surely(look)
        if claimed is not None:
            call.key_created_ms = int(claimed["created_ms"])
            with beating(
                lambda: _renewed(who, owner), every=BEAT_SECONDS, at_most=at_most, what="an idempotency key"
            ):
                response = _first(run, who, owner, keeper)
            if response is not None:
                return response
            lost = True  # And never taken back: two that stall would take it from each other without end.
            continue
        if known is not None:
            if known["body_sha256"] != body_sha:
                raise IdempotencyKeyReused(field="Idempotency-Key", reason="first used with another body")
            if known["status"] is not None:
                return _replay(known, keeper.read(known["body"] or "", _bound(who)))
        if clock.monotonic() > give_up:
            raise RequestInProgress(retry_after=2)
        clock.sleep(0.1)


def _renewed(who: dict[str, str], owner: str) -> bool:
    with pool.transaction() as tx:
        return tx.run(Q.renew_idempotency_key, **who, owner=owner, lease=LEASE_SECONDS) > 0


def _asked(call: Call) -> str:
    """The hash of all that was asked: the body, and what path and query name."""
    query = None if call.query is None else call.query.model_dump(mode="json")
    return hashlib.sha256(
        call.raw_body + repr(sorted(call.path.items())).encode() + strict_json.canonical(query)
    ).hexdigest()


def _bound(who: dict[str, str]) -> str:
    return f"answer {strict_json.canonical(who).decode()}"


def _first(run: Callable[[], Response], who: dict[str, str], owner: str, keeper: Keeper) -> Response | None:
    """The answer; None when this request stalled for so long that another took the key, whose answer counts."""
    kept = False
    try:
        response = run()
        if 200 <= response.status_code < 300 and not response.is_streamed:
            headers = {
                name: value
                for name, value in response.headers.items()
                if name in ("Content-Type", "ETag", "Location")
            }
            try:
                body = keeper.keep(response.get_data(), _bound(who))
            except Unavailable as error:
                # It is done, and who asked shall know; a repetition does it again instead of finding this.
                telemetry.log_exception("an answer could not be kept", error, route=who["route"])
                return response
            answer = {"status": response.status_code, "headers": headers, "body": body}
            kept = pool.surely(lambda: _kept(who, owner, answer))
            if not kept:
                return None
        return response
    finally:
        if not kept:
            with pool.transaction() as tx:
                tx.run(Q.release_idempotency_key, **who, owner=owner)


def _kept(who: dict[str, str], owner: str, answer: dict[str, Any]) -> bool:
    """Keep the answer; False where another has the key now."""
    with pool.transaction() as tx:
        return tx.run(Q.keep_answer, **who, owner=owner, **answer) > 0


def _replay(known: pool.Row, body: bytes) -> Response:
    response = Response(body, known["status"])
    response.headers.update(known["headers"] or {})
    response.headers[REPLAYED] = "true"
    return response
