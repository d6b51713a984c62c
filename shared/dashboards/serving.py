"""Data for a dashboard: memory, then shared entries, then the warehouse.

    request ─► composed answer in memory? ──yes──► bytes as they are
                 └─no─► entries (one round trip) ─► fresh: use
                                                   ├─ soft-stale: use, and promise one refresh
                                                   └─ missing: lease ─► warehouse ─► entry
                                                               └─ held by another: wait for its entry

A cached load costs two short transactions (who is asking; which dashboard) and nothing else.
"""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.dashboards import store
from shared.dashboards.compiling import filters
from shared.dashboards.compiling.compiler import Plan
from shared.dashboards.compiling.filters import Clock, Values
from shared.dashboards.results import refreshing
from shared.dashboards.results.entries import Entry
from shared.dashboards.results.memory import ANSWER_BYTES, Answer
from shared.dashboards.results.settling import Settled, settle_all
from shared.dashboards.results.sources import Source, source_of
from shared.dashboards.store import Head
from shared.platform import clock
from shared.platform.background import outbox
from shared.platform.caches import Bounded, recent
from shared.platform.edge import Call, Reply
from shared.platform.errors import InvalidCursor, NotFound
from shared.platform.ids import TeamId
from shared.platform.leases.single_flight import Done, Flight, NotInTime
from shared.platform.paging import cursor
from shared.platform.postgres import pool
from shared.platform.telemetry import context as telemetry
from shared.platform.telemetry import recording
from shared.platform.telemetry.bookkeeping import bookkeeping
from shared.platform.text import strict_json

Given = Mapping[str, str | Sequence[str]]


class _Views:
    """Views of one dashboard that this instance has not written down yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gathered, self._wait_until = 0, clock.monotonic()

    def seen(self) -> int:
        """Count one more; answers how many are to be written now."""
        with self._lock:
            self._gathered += 1
            if clock.monotonic() < self._wait_until:
                return 0
            views, self._gathered = self._gathered, 0
            self._wait_until = clock.monotonic() + COUNT_SECONDS
            return views

    def give_back(self, views: int) -> None:
        """They were not written."""
        with self._lock:
            self._gathered += views


STALE_ANSWER_SECONDS = 1.0
COUNT_SECONDS = 10.0
MOST_COUNTED = 10_000
OWN_SECONDS = 1.0
"""Left for a request that waited in vain to answer with what is there."""

_answers: Bounded[tuple[Any, ...], Answer] = recent(ANSWER_BYTES, lambda answer: answer.weight)
_flight: Flight[Answer] = Flight()
_views: Bounded[str, _Views] = recent(MOST_COUNTED)


@dataclass(frozen=True)
class _Question:
    """A dashboard as it is now, with the reader's choices at this hour."""

    team: TeamId
    head: Head
    given: Given
    clock: Clock

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for questions that have the same answer."""
        chosen = tuple(
            (name, value if isinstance(value, str) else tuple(value))
            for name, value in sorted(self.given.items())
        )
        head = self.head
        return (
            head["id"],
            head["version"],
            head["cache_epoch"],
            head["credentials_generation"],
            head["catalog_version"],
            head["connection_status"],
            chosen,
            self.clock,
        )


def data(call: Call, head: Head, given: Given) -> Reply:
    """Everything that the page needs, as bytes that were compressed once."""
    question = _question(call.team, head, given)
    with telemetry.span("data.serve", dashboard_slug=head["slug"]) as span:
        answer = _answers.get(question.key)
        span["cache_hit"] = answer is not None
        recording.count("bridge.cache.reads", cache="answers", hit=answer is not None)
        if answer is None or answer.fresh_until <= clock.epoch():
            answer = _composed(question, call)
    _count_view(call.team, head["id"])
    return as_reply(answer, call.headers.get("Accept-Encoding", ""))


def query_data(
    call: Call, head: Head, query: str, given: Given, *, limit: int, after: str | None
) -> dict[str, Any]:
    """A page of one query's rows, with what a tile's data says of itself."""
    question = _question(call.team, head, given)
    source = source_of(call.team, head)
    values = filters.read(source.prepared.document, given, question.clock)
    plan = source.plan(values, question.clock)
    planned = plan.query(query)
    if planned is None and query in plan.failed:
        raise plan.failed[query]
    if planned is None:
        raise NotFound(f"The dashboard has no query {query[:63]}.")
    done, packed = _rows(source, plan, query, call)
    entry = done.entry
    start = _start(after, entry)
    content = strict_json.loads(b"{" + gzip.decompress(packed) + b"}")
    rows = content["rows"]
    page = rows[start : start + limit]
    more = start + limit < len(rows)
    return {
        "columns": content["columns"],
        "rows": page,
        "metadata": _metadata(done),
        "error": entry.error,
        "has_more": more,
        "next_cursor": cursor(start + limit, str(entry.metadata["executed_at"])) if more else None,
        "version": head["version"],
        "filters": values.shown,
    }


def _rows(source: Source, plan: Plan, query: str, call: Call) -> tuple[Settled, bytes]:
    """The result of one query with all its rows; one whose rows are gone from their bucket is computed anew."""
    done = settle_all(source, plan, only=[query], patience=call.remaining())[query]
    try:
        return done, source.rows_of(done.entry) or done.entry.shown
    except NotFound:
        telemetry.log("the rows of a kept result are gone", "WARNING", query=query)
    anew = {"patience": call.remaining(), "computed_before": clock.epoch()}
    done = settle_all(source, plan, only=[query], **anew)[query]
    return done, source.rows_of(done.entry) or done.entry.shown


def as_reply(answer: Answer, accept_encoding: str) -> Reply:
    """The stored bytes as they are, or unpacked for a client that can't read gzip."""
    headers = {"Cache-Control": "private, no-cache", "Vary": "Accept-Encoding, Cookie, Authorization"}
    if _takes_gzip(accept_encoding):
        return Reply(answer.body, headers=headers | {"Content-Encoding": "gzip"}, etag=answer.etag)
    return Reply(gzip.decompress(answer.body), headers=headers, etag=answer.etag)


def compose(
    source: Source, version: int, values: Values, settled: Mapping[str, Settled], order: Sequence[str]
) -> tuple[Answer, Answer]:
    """The answer for the one who waited for it, and the same as it is kept for those who come later."""
    parts = {id: settled[id] for id in order if id in settled}
    marks = [
        [id, done.entry.metadata.get("query_hash"), done.entry.metadata.get("executed_at"), done.entry.error]
        for id, done in parts.items()
    ]
    refused = {id: _problem(error) for id, error in source.prepared.failed.items()}
    mark = strict_json.canonical([version, values.shown, marks, refused, source.epoch])
    etag = f'W/"{hashlib.sha256(mark).hexdigest()[:32]}"'
    stale = any(done.stale for done in parts.values())
    times = [str(done.entry.metadata["executed_at"]) for done in parts.values() if done.entry.metadata]
    tail = (
        b',"stale":'
        + strict_json.dumps(stale)
        + b',"loaded_at":'
        + strict_json.dumps(min(times, default=clock.iso(clock.now())))
        + b',"version":'
        + strict_json.dumps(version)
        + b',"filters":'
        + strict_json.dumps(values.shown)
        + b"}"
    )
    fresh_until = min((done.entry.fresh_until for done in parts.values()), default=clock.epoch() + 60)
    if stale:
        fresh_until = clock.epoch() + STALE_ANSWER_SECONDS
    whole = all(done.cached for done in parts.values()) and bool(parts)
    now = Answer(_body(parts, refused, tail, cached=whole, later=False), etag, fresh_until)
    if whole:
        return now, now
    return now, Answer(_body(parts, refused, tail, cached=True, later=True), etag, fresh_until)


def _composed(question: _Question, call: Call) -> Answer:
    """The answer that the threads of this instance make together, or one of this request's own when time is short."""
    try:
        return _flight.run(
            question.key,
            lambda: _compose(question, call.remaining()),
            remaining=lambda: call.remaining() - OWN_SECONDS,
        ).value
    except NotInTime:
        return _compose(question, call.remaining()).value


def _compose(question: _Question, patience: float) -> Done[Answer]:
    source = source_of(question.team, question.head)
    values = filters.read(source.prepared.document, question.given, question.clock)
    plan = source.plan(values, question.clock)
    settled = settle_all(source, plan, patience=patience)
    wanting = [id for id, done in settled.items() if done.stale and done.wants_refresh]
    if wanting:
        _promise_refresh(question, source)
    order = [id for stage in plan.stages for id in stage]
    answer, kept = compose(source, question.head["version"], values, settled, order)
    if not any(done.entry.error for done in settled.values()):
        _answers.put(question.key, kept)
    # Another request may have the time that this one lacked.
    return Done(answer, shared=not any(done.late for done in settled.values()))


def _promise_refresh(question: _Question, source: Source) -> None:
    """Queue one refresh of these results; whoever gets the lease queues it, the others serve and go.

    What can't be promised now is promised by a later reader: the results are there and are shown.
    """
    with bookkeeping("a promised refresh", "a later reader promises it", slug=source.slug):
        slot = refreshing.turn(source, question.given)
        lease = slot.take(refreshing.REFRESH_SECONDS)
        if lease is None:
            return
        try:
            message = refreshing.message(
                source, question.given, occasion=f"stale at {int(clock.epoch()) // 60}"
            )
            with pool.transaction(question.team) as tx:
                outbox.send(tx, message)
        except BaseException:
            slot.release(lease)
            raise


def _question(team: TeamId, head: Head, given: Given) -> _Question:
    return _Question(team, head, given, Clock.at(clock.now(), head["timezone"]))


def _body(
    parts: Mapping[str, Settled], refused: Mapping[str, Any], tail: bytes, *, cached: bool, later: bool
) -> bytes:
    queries = [
        strict_json.dumps(id)
        + b":{"
        + gzip.decompress(done.entry.shown)
        + b',"metadata":'
        + strict_json.dumps(_metadata(done, later=later))
        + b',"error":'
        + strict_json.dumps(done.entry.error)
        + b"}"
        for id, done in parts.items()
    ]
    queries += [
        strict_json.dumps(id)
        + b':{"columns":[],"rows":[],"metadata":{"row_count":0,"cached":false,"stale":false},"error":'
        + strict_json.dumps(error)
        + b"}"
        for id, error in refused.items()
    ]
    head = b'{"queries":{' + b",".join(queries) + b'},"cached":' + strict_json.dumps(cached)
    return gzip.compress(head + tail, 5, mtime=0)


def _metadata(done: Settled, *, later: bool = False) -> dict[str, Any]:
    plain = done.entry.metadata or {"row_count": 0, "warnings": []}
    shown = {name: value for name, value in plain.items() if name != "computed"}
    return shown | {"cached": done.cached or later, "stale": done.stale}


def _problem(error: Any) -> dict[str, Any]:
    return {"code": error.code, "message": error.message, "retryable": error.retryable}


def _start(after: str | None, entry: Entry) -> int:
    if after is None:
        return 0
    from shared.platform.paging import Page

    start, executed_at = Page(cursor=after).after("number", "text")
    if executed_at != entry.metadata.get("executed_at"):
        raise InvalidCursor(field="cursor", reason="the data was refreshed since; start again without it")
    return int(start)


def _takes_gzip(accept_encoding: str) -> bool:
    """Whether the header names gzip (or anything) without ruling it out."""
    for part in accept_encoding.lower().split(","):
        name, _, parameters = part.strip().partition(";")
        if name.strip() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _count_view(team: TeamId, id: str) -> None:
    """Gather views and write them down at most every COUNT_SECONDS: a view must not cost a write.

    What can't be written is written with a later view of the dashboard on this instance.
    """
    views = _views.obtain(id, _Views).seen()
    if not views:
        return
    with bookkeeping("a count of views", "it is written with a later one") as written:
        with pool.transaction(team) as tx:
            store.count_views(tx, team, id, views)
    if not written.ok:
        _views.obtain(id, _Views).give_back(views)
