"""Turns: begin one, watch one, stop one, continue one whose process died.

start ─► row, lease and ResumeTurn in one transaction
  └─ stream ─► a thread works on the turn; its events go to the client and to the turn's stream
       client gone ─► the thread works on; the client comes back with `follow`
       process gone ─► the lease ends; ResumeTurn takes the turn over (`resume`)
       cancel ─► the thread stops its model call, keeps what was said, and ends the turn
       the user leaves the team, their token is revoked ─► the same, as failed (ACCESS_ENDED)
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from shared.agents import store
from shared.agents.declared import BadMessage, SessionArchived, TurnInProgress
from shared.agents.flow import ResumeTurn
from shared.agents.loop.agent import Agent
from shared.agents.protocol import redact
from shared.agents.turn.lease import PROMISE_SECONDS, TERMS, Hold
from shared.agents.turn.state import Ask, Turn
from shared.agents.turns import runner
from shared.agents.turns.publisher import Published, Publisher
from shared.platform import clock, threads
from shared.platform.background import outbox
from shared.platform.clock import iso
from shared.platform.cloud import event_stream
from shared.platform.edge import Event
from shared.platform.errors import (
    BridgeError,
    IdempotencyKeyReused,
    NotFound,
    Unavailable,
)
from shared.platform.ids import TeamId, UserId
from shared.platform.limits import budgets
from shared.platform.postgres import pool
from shared.platform.text import numerals

Assemble = Callable[[Turn], Agent]

FIRST_CHECK_SECONDS = 20.0
ABANDONED_SECONDS = 900.0
"""A turn whose lease ended this long ago was lost by the queue too; the next message closes it."""
MOST_EPOCHS = 5
POLL_SECONDS = 0.1
LAST_WRITE_SECONDS = 3.0
"""How long after a turn's end the last events of its stream may still be on their way."""
AWAY_SECONDS = 20.0
"""How long a follower waits for a directory that does not answer."""
_QUIET_SECONDS = 1.0
_LAST_FLUSH_SECONDS = 5.0
MOST_MESSAGE = 32_000

_here: dict[str, Hold] = {}
"""Turns that this process works on: a cancel that lands here need not wait for a beat."""


class CancelAccepted(BaseModel):
    """The answer of a cancel: the turn ends with its own last events."""

    turn_id: str
    state: Literal["cancelling"] = "cancelling"


@dataclass(frozen=True)
class Started:
    """A turn that was begun, or that a repeated request found. `hold` is there for the one that began it."""

    turn: Turn
    hold: Hold | None
    teams: tuple[TeamId, ...] = ()


def start(
    *,
    team: TeamId,
    user: UserId,
    session_id: str,
    turn_id: str,
    ask: Ask,
    credential: str | None = None,
) -> Started:
    """Begin a turn: its row, its lease and the promise to look after it, or none of them.

    The turn ends when its user leaves the team, or when somebody revokes the credential: the id of the session
    or token that it is begun with. One that merely expires meanwhile does not end it.

    The same turn id again finds the first turn. Raises NotFound, TurnInProgress while another turn of
    the session runs, SessionArchived, QuotaExceeded, and IdempotencyKeyReused for the same id with another ask.
    """
    if len(ask.message) > MOST_MESSAGE or not ask.message.strip():
        raise BadMessage(
            f"A message has 1 to {MOST_MESSAGE} characters, not {len(ask.message)}.",
            field="message",
            reason="too long" if ask.message.strip() else "empty",
        )
    ask = Ask(redact.text(ask.message), ask.connection_id, ask.tools, ask.purpose, ask.options)
    hold = Hold(team, turn_id)
    return pool.surely(
        lambda: budgets.without_the_dead(team, lambda: _begin(hold, user, session_id, ask, credential))
    )


def _begin(hold: Hold, user: UserId, session_id: str, ask: Ask, credential: str | None) -> Started:
    team, turn_id = hold.team, hold.turn_id
    with pool.meaning(turns_one_running=TurnInProgress(retry_after=2)):
        with pool.transaction(team) as tx:
            session = store.get_session(tx, session_id, user)
            known = store.find_turn(tx, turn_id)
            if known is None:
                if session["status"] == "archived":
                    raise SessionArchived
                store.close_abandoned_turn(tx, team, session_id, ABANDONED_SECONDS)
                begun = store.begin_turn(
                    tx,
                    id=turn_id,
                    team=team,
                    session=session_id,
                    user=user,
                    credential=credential,
                    ask=ask.to_row(),
                    sha=ask.sha256,
                    owner=hold.owner,
                    lease=TERMS.seconds,
                )
                if begun:
                    budgets.take(tx, team, "generations", 1, key=turn_id, lease_seconds=PROMISE_SECONDS)
                    outbox.send(tx, ResumeTurn(team=team, turn=turn_id), delay_seconds=FIRST_CHECK_SECONDS)
                    turn = _fresh(turn_id, team, user, session, ask)
                    return Started(turn, hold, (team,))
                known = store.find_turn(tx, turn_id)
    if known is None or known["session_id"] != session_id or known["user_id"] != user:
        raise NotFound
    if known["ask_sha256"] != ask.sha256:
        raise IdempotencyKeyReused(field="Idempotency-Key", reason="first used with another message")
    if known["owner"] == hold.owner:
        # An earlier try of this very call was kept, and its answer was lost.
        return Started(_fresh(turn_id, team, user, session, ask), hold, (team,))
    return Started(_known(known, session, ask), None, (team,))


def stream(started: Started, assemble: Assemble) -> Iterator[Event | None]:
    """Work on the turn and yield its events; for a turn that somebody else works on, follow it.

    Yields None now and then while there is nothing to say, so that a caller whose client has gone can
    close the iterator. That does not stop the turn: `cancel` does.
    """
    turn, hold = started.turn, started.hold
    last = 0
    if hold is not None:
        live: queue.Queue[Published | None] = queue.Queue()
        threads.start("turn", _work, turn, hold, assemble, live)
        ended_at: float | None = None
        while True:
            try:
                published = live.get(timeout=_QUIET_SECONDS)
            except queue.Empty:
                if ended_at is not None and clock.monotonic() - ended_at > _LAST_FLUSH_SECONDS:
                    return
                yield None
                continue
            if published is None:
                break
            last, kind, data = published
            if kind == "complete":
                # The request is held until the stream is written too: where the platform stops a
                # process between requests, what is written after the answer may never be.
                ended_at = clock.monotonic()
            yield Event(kind, data, str(last))
        if ended_at is not None:
            return
    # Either the turn runs elsewhere, or this process has lost it or left it to its journal: its stream tells the rest.
    yield from _rest(started, last)


def _rest(started: Started, last: int) -> Iterator[Event | None]:
    """What the turn's own stream tells from here on."""
    turn, since = started.turn, clock.monotonic()
    while True:
        try:
            yield from follow(list(started.teams), turn.user, turn.session_id, turn.id, after=last)
            return
        except Unavailable:
            if clock.monotonic() - since > AWAY_SECONDS:
                raise
            yield None
            clock.sleep(_QUIET_SECONDS)


def follow(
    teams: list[TeamId], user: UserId, session_id: str, turn_id: str, after: int = 0
) -> Iterator[Event | None]:
    """The events after the given id: those that were missed, then live ones, until `complete`.

    Yields None while there is nothing new. Raises NotFound for anyone but the owner, and Unavailable where the
    directory is away for long: the turn goes on, and its follower comes back with the last id that it heard.
    """
    row = _row(teams, user, session_id, turn_id)
    batch, last, looked = 0, after, clock.monotonic()
    away_since: float | None = None
    while True:
        over = row["state"] != "running"
        for events in _batches(turn_id, batch):
            batch += 1
            for id, kind, data in events:
                if id > last:
                    last = id
                    yield Event(kind, data, str(id))
                if kind == "complete":
                    return
        if over and float(row["finished_ago"]) > LAST_WRITE_SECONDS:
            # It ended, and the end of its stream is lost or never came: the row knows how it ended.
            closing = row["closing"] or {}
            for kind, data in runner.last_events(
                turn_id, session_id, row["state"], row["message_id"], closing, row
            ):
                last += 1
                yield Event(kind, data, str(last))
            return
        yield None
        clock.sleep(POLL_SECONDS)
        if not over and clock.monotonic() - looked <= _QUIET_SECONDS:
            continue
        try:
            row, looked, away_since = _row(teams, user, session_id, turn_id), clock.monotonic(), None
        except Unavailable:
            # The turn outlives a restart of the directory, and so does who listens; for longer, it comes back.
            away_since = away_since or clock.monotonic()
            if clock.monotonic() - away_since > AWAY_SECONDS:
                raise


def last_event_id(headers: Mapping[str, str]) -> int:
    """The id that a client saw last, from `Last-Event-ID`; one that we did not issue counts as none."""
    given = next((value for name, value in headers.items() if name.lower() == "last-event-id"), "")
    return numerals.whole(given, 10**12) or 0


def cancel(teams: list[TeamId], user: UserId, session_id: str) -> str:
    """Ask the running turn to stop; answers its id. Raises NotFound where none runs."""
    with pool.transaction(teams) as tx:
        store.get_session(tx, session_id, user)
        row = store.request_cancel(tx, session_id, user)
    if row is None:
        raise NotFound("This conversation is not answering now.")
    if hold := _here.get(row["id"]):
        hold.cancelled.set()
    return str(row["id"])


def resume(step: ResumeTurn, assemble: Assemble) -> None:
    """Look after a turn: nothing if it is over, again later if it is alive, else take it over.

    The next look is promised in the transaction that takes the turn over, under a key of its own, so
    that a process that dies while it continues a turn is itself looked after.
    """
    with pool.transaction(step.team) as tx:
        row = store.find_turn(tx, step.turn)
        if row is None or row["state"] != "running":
            return
        following = ResumeTurn(team=step.team, turn=step.turn, check=step.check + 1)
        taken = _take_over(tx, row)
        left = TERMS.seconds if taken is not None else float(row["lease_left"])
        outbox.send(tx, following, delay_seconds=left + 1)
    if taken is not None:
        turn, hold = taken
        too_often = BridgeError("The turn was interrupted too often.", reason=f"{MOST_EPOCHS} attempts")
        _work(turn, hold, assemble if turn.epoch <= MOST_EPOCHS else _refusing(too_often), None)


def gave_up(step: ResumeTurn, error: BridgeError) -> None:
    """No further look will come: a turn that nobody works on ends here, as failed, with what it has."""
    with pool.transaction(step.team) as tx:
        row = store.find_turn(tx, step.turn)
        taken = None if row is None or row["state"] != "running" else _take_over(tx, row)
    if taken is not None:
        _work(*taken, _refusing(error), None)


def _take_over(tx: pool.Tx, row: pool.Row) -> tuple[Turn, Hold] | None:
    """Become the process that has the turn, if its lease has ended."""
    hold = Hold(TeamId(row["team_id"]), row["id"])
    epoch = store.take_turn_over(tx, hold.team, hold.turn_id, hold.owner, TERMS.seconds)
    if epoch is None:
        return None
    hold.epoch = epoch
    return _taken(row, store.get_session(tx, row["session_id"], row["user_id"]), epoch), hold


def _refusing(error: BridgeError) -> Assemble:
    """In place of an agent: the turn is closed with this error, its message and its journal kept."""

    def refuse(_turn: Turn) -> Agent:
        raise error

    return refuse


def _work(turn: Turn, hold: Hold, assemble: Assemble, live: queue.Queue[Published | None] | None) -> None:
    _here[turn.id] = hold
    try:
        runner.run(turn, hold, Publisher(turn.id, hold.epoch, live=live, superseded=hold.lost.set), assemble)
    finally:
        _here.pop(turn.id, None)


def _row(teams: list[TeamId], user: UserId, session_id: str, turn_id: str) -> pool.Row:
    with pool.transaction(teams) as tx:
        return store.get_turn_of_user(tx, turn_id, session_id, user)


def _batches(turn_id: str, first: int) -> Iterator[list[Any]]:
    try:
        yield from event_stream.read(turn_id, first)
    except Unavailable:
        # The next look may reach it; if the turn ends meanwhile, its row tells how.
        return


def _fresh(turn_id: str, team: TeamId, user: UserId, session: pool.Row, ask: Ask) -> Turn:
    return Turn(
        turn_id,
        team,
        user,
        session["id"],
        ask,
        runner.asked_now(),
        1,
        int(session["log_chunk"]),
        _count(session),
    )


def _taken(row: pool.Row, session: pool.Row, epoch: int) -> Turn:
    return Turn(
        row["id"],
        TeamId(row["team_id"]),
        UserId(row["user_id"]),
        row["session_id"],
        Ask.from_row(row["ask"]),
        str(iso(row["created_at"])),
        epoch,
        int(session["log_chunk"]),
        _count(session),
        fresh=False,
    )


def _known(row: pool.Row, session: pool.Row, ask: Ask) -> Turn:
    return Turn(
        row["id"],
        TeamId(row["team_id"]),
        UserId(row["user_id"]),
        row["session_id"],
        ask,
        str(iso(row["created_at"])),
        int(row["epoch"]),
        int(session["log_chunk"]),
        _count(session),
        fresh=False,
        state=row["state"],
    )


def _count(session: pool.Row) -> int:
    return sum(int(session[f"{role}_messages"]) for role in ("user", "assistant", "tool"))
