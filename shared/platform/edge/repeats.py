"""Idempotency keys of endpoints: the same key and body give the first answer again.

    request 1: claim ── works ── keeps the answer
    request 2:    claim fails ── waits ── finds the answer, replays it
    request 3 (other body): 422 IDEMPOTENCY_KEY_REUSED

Only successes are kept: after an error the key is free again. When the first holder dies, the next
request with the key takes over; ids derived from the key are the same, so what was half made is met
again and not made twice.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from pathlib import Path

from flask import Response

from shared.platform import clock, pg, sql, strict_json
from shared.platform.edge.call import Call
from shared.platform.errors import IdempotencyKeyReused, RequestInProgress
from shared.platform.ids import new_id

Q = sql.load(str(Path(__file__).parent))

WAIT_SECONDS = 8.0
REPLAYED = "Idempotency-Replayed"


def once(call: Call, lease_seconds: int, run: Callable[[], Response]) -> Response:
    """Run under the call's key, or replay what the first run answered."""
    if call.idempotency_key is None:
        return run()
    who = {"user": call.user, "route": call.route, "key": call.idempotency_key}
    body_sha = _asked(call)
    owner = new_id()
    give_up = clock.monotonic() + WAIT_SECONDS
    while True:
        with pg.transaction() as tx:
            claimed = tx.find(
                Q.claim_idempotency_key, **who, body_sha=body_sha, owner=owner, lease=lease_seconds
            )
            known = None if claimed else tx.find(Q.read_idempotency_key, **who)
        if claimed is not None:
            call.key_created_ms = int(claimed["created_ms"])
            return _first(run, who, owner)
        if known is not None:
            if known["body_sha256"] != body_sha:
                raise IdempotencyKeyReused(field="Idempotency-Key", reason="first used with another body")
            if known["status"] is not None:
                return _replay(known)
        if clock.monotonic() > give_up:
            raise RequestInProgress(retry_after=2)
        time.sleep(0.1)


def _asked(call: Call) -> str:
    """The hash of all that was asked: the body, and what path and query name."""
    query = None if call.query is None else call.query.model_dump(mode="json")
    return hashlib.sha256(
        call.raw_body + repr(sorted(call.path.items())).encode() + strict_json.canonical(query)
    ).hexdigest()


def _first(run: Callable[[], Response], who: dict[str, str], owner: str) -> Response:
    kept = False
    try:
        response = run()
        if 200 <= response.status_code < 300 and not response.is_streamed:
            headers = {
                name: value
                for name, value in response.headers.items()
                if name in ("Content-Type", "ETag", "Location")
            }
            with pg.transaction() as tx:
                tx.run(
                    Q.keep_answer,
                    **who,
                    owner=owner,
                    status=response.status_code,
                    headers=headers,
                    body=base64.b64encode(response.get_data()).decode(),
                )
            kept = True
        return response
    finally:
        if not kept:
            with pg.transaction() as tx:
                tx.run(Q.release_idempotency_key, **who, owner=owner)


def _replay(known: pg.Row) -> Response:
    response = Response(base64.b64decode(known["body"] or ""), known["status"])
    response.headers.update(known["headers"] or {})
    response.headers[REPLAYED] = "true"
    return response
