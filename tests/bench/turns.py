"""Conversation turns: how soon something is seen, and how long until the dashboard stands.

The four questions of the quickstart go to the built-in analyst, through chat's own door. What counts as
our overhead is the time to the first token without the provider's part, which the turn itself records
in `model_calls` (first token of its first call). The provider's own time is not ours to promise.

Rounds take turns: in one each turn begins when the dashboard of the one before is indexed and warm, in the next
right after its `complete`, while those steps still run in the same two processes and on the same cores.

Each question is asked again in new sessions: the same question must give the same number of tool calls.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.bench import wire
from tests.bench.ground import Ground, Meter, NotThere, Options
from tests.bench.report import Table, Target, median, percentile, spread

QUESTIONS = (
    "Show monthly flights and average departure delay by carrier",
    "Which destinations have the worst arrival delays? top 10",
    "Daily cancellations in 2013 and the weather that day",
    "Compare JFK, LGA and EWR by delay and distance",
)
REST_SECONDS = 1.5
"""After a turn its dashboard is indexed and its queries are warmed; on two cores that takes about a second."""
PARTS = ("gateway", "bigquery", "firestore", "storage", "postgres")


@dataclass
class Heard:
    """What a client saw of one turn; milliseconds after it sent the request."""

    first_byte: float = 0.0
    started: float = 0.0
    token: float = 0.0
    done: float = 0.0
    turn: str = ""
    events: list[str] = field(default_factory=list)
    slug: str = ""


def run(ground: Ground, options: Options) -> list[Table]:
    """Every question several times, in turns."""
    if not ground.serves("POST", "/v1/chat/sessions/{session_id}/stream"):
        raise NotThere("the function POST /v1/chat/sessions/{session_id}/stream")
    rounds = options.pick(5, 1)
    with ThreadPoolExecutor(6) as pool:
        # A worker's first turn imports what turns need (see the cold starts): let both have one.
        list(pool.map(lambda index: _ask(ground, QUESTIONS[index % len(QUESTIONS)]), range(6)))
    heard: dict[str, list[Heard]] = {question: [] for question in QUESTIONS}
    rested: list[Heard] = []
    at_once: list[Heard] = []
    meter = Meter(ground, PARTS)
    meter.start()
    for turn in range(2 * rounds):
        for question in QUESTIONS:
            if not turn % 2:
                time.sleep(REST_SECONDS)
            one = _ask(ground, question)
            heard[question].append(one)
            (at_once if turn % 2 else rested).append(one)
        print(f"  round {turn + 1} of {2 * rounds}", file=sys.stderr, flush=True)
    spent = meter.spent()
    provider = _provider_first_token(ground, [one.turn for one in rested + at_once])
    alone = _seen("How soon a turn shows something", rested, provider)
    table = _seen("The same, right after another turn", at_once, provider)
    target = Target(
        "first token, our own overhead, p95", percentile(_overhead(rested, provider), 95), 50, "ms"
    )
    alone.targets = [target]
    return [alone, table, _whole(heard, spent, len(rested + at_once))]


def _overhead(every: list[Heard], provider: dict[str, float]) -> list[float]:
    return [one.token - provider[one.turn] for one in every if one.turn in provider]


def _seen(title: str, every: list[Heard], provider: dict[str, float]) -> Table:
    table = Table(
        f"{title} ({len(every)} turns, one at a time)",
        ("moment", "p50 ms", "p95 ms", "p99 ms", "largest ms", "x base"),
    )
    base = [one.first_byte for one in every]
    parts = {
        "first byte of the answer (base)": base,
        "turn_started": [one.started for one in every],
        "first token": [one.token for one in every],
        "provider's part of the first token": [provider[one.turn] for one in every if one.turn in provider],
        "first token without the provider's part": _overhead(every, provider),
    }
    for name, values in parts.items():
        table.add(name, *spread(values), round(median(values) / median(base), 2))
    return table


def _whole(heard: dict[str, list[Heard]], spent: dict[str, float], turns: int) -> Table:
    table = Table(
        "Whole turns by question, until `complete`",
        ("question", "n", "p50 s", "p95 s", "largest s", "events", "tool calls", "dashboard"),
    )
    for question, answers in heard.items():
        calls = sorted({one.events.count("tool_call") for one in answers})
        done = [one.done / 1000 for one in answers]
        table.add(
            question, len(answers), median(done), percentile(done, 95), max(done),
            int(median([float(len(one.events)) for one in answers])),
            " or ".join(map(str, calls)), "yes" if all(one.slug for one in answers) else "no",
        )  # fmt: skip
    parts = ", ".join(f"{name} {value / turns:.0f} ms" for name, value in spent.items())
    table.notes = [f"CPU of one turn (mean over all): {parts}."]
    return table


def _ask(ground: Ground, question: str) -> Heard:
    session = ground.api.post(
        "/v1/chat/sessions",
        {"team_id": ground.stack.team_id, "provider": "builtin"},
    )["session_id"]
    body = {"message": question, "connection_id": ground.connection["id"]}
    message = ground.message(
        "POST", f"/v1/chat/sessions/{session}/stream", body, {"Accept": "text/event-stream"}
    )
    heard, begun = Heard(), time.perf_counter()
    for at, name, data in _events(wire.Line(ground.server, timeout=120), message):
        now = (at - begun) * 1000
        heard.first_byte = heard.first_byte or now
        heard.events.append(name)
        if name == "turn_started":
            heard.started, heard.turn = now, str(data.get("turn_id", ""))
        elif name == "token":
            heard.token = heard.token or now
        elif name == "dashboard_created":
            heard.slug = str(data.get("slug", ""))
        elif name == "error":
            raise RuntimeError(f"{question!r} ended in an error: {data}")
    heard.done = (time.perf_counter() - begun) * 1000
    if heard.events[-1:] != ["complete"]:
        raise RuntimeError(f"{question!r} ended with {heard.events[-3:]}")
    return heard


def _events(line: wire.Line, message: bytes) -> Iterator[tuple[float, str, dict[str, Any]]]:
    """Server-sent events with the moment at which each was there."""
    kept = b""
    for at, data in line.stream(message):
        kept += data
        *whole, kept = kept.split(b"\n\n")
        for block in whole:
            fields = dict(
                text.split(": ", 1) for text in block.decode().splitlines() if ": " in text and text[0] != ":"
            )
            if "data" in fields:
                yield at, fields.get("event", "message"), json.loads(fields["data"])


def _provider_first_token(ground: Ground, turns: list[str]) -> dict[str, float]:
    """By turn: milliseconds from the first call of the provider to its first token, as the turn recorded."""
    from pg8000.native import Connection

    url = urlsplit(ground.stack.env["MIGRATIONS_DATABASE_URL"])
    directory = Connection(
        url.username or "", password=url.password, host="127.0.0.1", port=url.port or 5432,
        database=url.path.lstrip("/"), ssl_context=None,
    )  # fmt: skip
    try:
        rows = directory.run(
            "SELECT DISTINCT ON (turn_id) turn_id::text, first_token_ms FROM model_calls "
            "WHERE turn_id = ANY(CAST(:turns AS uuid[])) AND first_token_ms IS NOT NULL ORDER BY turn_id, created_at",
            turns=turns,
        )
    finally:
        directory.close()
    return {turn: float(value) for turn, value in rows or []}
