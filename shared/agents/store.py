"""Rows of conversations: sessions, turns and their journals, model calls, facts, cached tool results."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from shared.platform.leases.contract import Lease
from shared.platform.leases.postgres import Rows
from shared.platform.postgres import pool, sql

Q = sql.load(__file__)
TURNS = Rows(take=Q.take_turn_over, renew=Q.beat, release=Q.release_turn, left=Q.turn_lease)
TOOL_RESULTS = Rows(
    take=Q.claim_tool_result,
    renew=Q.renew_tool_result,
    release=Q.give_tool_result_up,
    left=Q.tool_result_lease,
)


class LostTurn(Exception):
    """Another process has this turn now, or it is over: nothing more may be written for it."""


# Sessions


def add_session(tx: pool.Tx, **values: Any) -> None:
    """Insert a session; the same id again changes nothing."""
    tx.run(Q.add_session, **values)


def get_session(tx: pool.Tx, session_id: str, user: str) -> pool.Row:
    """The session of this user, among the teams of the transaction; raises NotFound."""
    return tx.one(Q.find_session, id=session_id, user=user)


def list_sessions(
    tx: pool.Tx, user: str, *, status: str | None, after: list[Any], most: int, offset: int = 0
) -> list[pool.Row]:
    """The user's sessions, newest message first."""
    at, id = after
    return tx.all(
        Q.list_sessions, user=user, status=status, after_at=at, after_id=id, most=most, offset=offset
    )


def archive_session(tx: pool.Tx, session_id: str, user: str) -> bool:
    """Archive; False where there is no such session."""
    return tx.run(Q.archive_session, id=session_id, user=user) > 0


def remove_session(tx: pool.Tx, session_id: str, user: str) -> str:
    """Delete with everything that hangs on it; answers its team. Raises NotFound."""
    return str(tx.one(Q.remove_session, id=session_id, user=user)["team_id"])


def link_dashboard(tx: pool.Tx, team: str, session_id: str, dashboard_id: str) -> None:
    """Point the session at the dashboard that it made."""
    tx.run(Q.link_dashboard, id=session_id, team=team, dashboard=dashboard_id)


def use_connection(tx: pool.Tx, team: str, session_id: str, connection_id: str) -> None:
    """Remember which connection the conversation is about."""
    tx.run(Q.use_connection, id=session_id, team=team, connection=connection_id)


def count_messages(tx: pool.Tx, team: str, session_id: str, **counts: Any) -> None:
    """Add to the message counts and move the pointer to the newest chunk."""
    tx.run(Q.count_messages, session=session_id, team=team, **counts)


# Turns


def begin_turn(tx: pool.Tx, **values: Any) -> bool:
    """Insert a running turn; False where the id exists. UniqueViolation of `turns_one_running` where the
    session has a running one.
    """
    return tx.find(Q.begin_turn, **values) is not None


def close_abandoned_turn(tx: pool.Tx, team: str, session_id: str, grace_seconds: float) -> None:
    """End a running turn that nothing continued."""
    tx.run(Q.close_abandoned_turn, session=session_id, team=team, grace=grace_seconds)


def find_turn(tx: pool.Tx, turn_id: str) -> pool.Row | None:
    """The turn, among the teams of the transaction."""
    return tx.find(Q.find_turn, id=turn_id)


def find_turn_before(tx: pool.Tx, team: str, session_id: str, turn_id: str) -> str | None:
    """The turn of the session before this one."""
    row = tx.find(Q.find_turn_before, session=session_id, team=team, turn=turn_id)
    return None if row is None else str(row["id"])


def get_turn_of_user(tx: pool.Tx, turn_id: str, session_id: str, user: str) -> pool.Row:
    """The user's own turn in their own session; raises NotFound."""
    return tx.one(Q.find_turn_of_user, id=turn_id, session=session_id, user=user)


def take_turn_over(tx: pool.Tx, team: str, turn_id: str, owner: str, lease_seconds: float) -> int | None:
    """Become the owner of a turn whose lease has ended; answers the new epoch, or None."""
    lease = TURNS.take(tx, lease_seconds, owner=owner, id=turn_id, team=team)
    return None if lease is None else int(lease.row["epoch"])


def beat(tx: pool.Tx, team: str, turn_id: str, owner: str, lease_seconds: float) -> pool.Row:
    """Keep the lease; answers whether a cancel was asked for (`cancelled`), and what of the user's right to go on
    is gone (`gone`: membership, credential or None). Raises LostTurn.
    """
    row = tx.find(Q.beat, id=turn_id, team=team, owner=owner, lease=lease_seconds)
    if row is None:
        raise LostTurn
    return row


def release_turn(tx: pool.Tx, team: str, turn_id: str, owner: str) -> None:
    """Give the turn back at once."""
    tx.run(Q.release_turn, id=turn_id, team=team, owner=owner)


def request_cancel(tx: pool.Tx, session_id: str, user: str) -> pool.Row | None:
    """Mark the running turn for stopping."""
    return tx.find(Q.request_cancel, session=session_id, user=user)


def hold_turn(tx: pool.Tx, team: str, turn_id: str, owner: str) -> None:
    """The fence: lock the turn for this transaction, or raise LostTurn."""
    if tx.find(Q.hold_turn, id=turn_id, team=team, owner=owner) is None:
        raise LostTurn


def add_to_journal(
    tx: pool.Tx, team: str, turn_id: str, number: int, kind: str, entry: Mapping[str, Any], last_event: int
) -> None:
    """Keep one finished piece of the turn; the same piece again changes nothing.

    Raises LostTurn where another piece has this number: somebody else has gone on with the turn.
    """
    kept = tx.find(
        Q.add_to_journal,
        turn=turn_id,
        team=team,
        number=number,
        kind=kind,
        entry=dict(entry),
        last_event=last_event,
    )
    if kept is None:
        raise LostTurn


def read_journal(tx: pool.Tx, team: str, turn_id: str) -> list[pool.Row]:
    """The finished pieces, in order."""
    return tx.all(Q.read_journal, turn=turn_id, team=team)


def finish_turn(
    tx: pool.Tx, team: str, turn_id: str, owner: str, state: str, message_id: str, closing: Mapping[str, Any]
) -> tuple[pool.Row, bool]:
    """End the turn and drop its journal; answers its totals, and whether it is this call that ended it.

    A repetition of the same end by the same owner changes nothing. Raises LostTurn.
    """
    this = {"id": turn_id, "team": team, "owner": owner, "state": state, "message": message_id}
    row = tx.find(Q.finish_turn, **this, closing=dict(closing))
    if row is not None:
        tx.run(Q.drop_journal, turn=turn_id, team=team)
        return row, True
    if (known := tx.find(Q.find_finished_turn, **this)) is None:
        raise LostTurn
    return known, False


# Model calls


def add_model_call(tx: pool.Tx, **values: Any) -> bool:
    """Add one line to the ledger of model calls; False where this id is in it."""
    return tx.find(Q.add_model_call, **values) is not None


def add_to_totals(
    tx: pool.Tx, team: str, turn_id: str, tokens: int, cost: Decimal | None
) -> tuple[int, Decimal]:
    """Add to the totals of turn and session; answers those of the turn, nothing for one that is deleted."""
    return _totals(tx.find(Q.add_to_totals, turn=turn_id, team=team, tokens=tokens, cost=cost))


def turn_totals(tx: pool.Tx, team: str, turn_id: str) -> tuple[int, Decimal]:
    """What the turn has used and cost; nothing for one that is deleted."""
    return _totals(tx.find(Q.turn_totals, turn=turn_id, team=team))


def _totals(row: pool.Row | None) -> tuple[int, Decimal]:
    return (0, Decimal(0)) if row is None else (int(row["total_tokens"]), row["total_cost_usd"])


# Facts


def record_fact(
    tx: pool.Tx, team: str, session_id: str, kind: str, sha: str, value: Mapping[str, Any]
) -> None:
    """Keep a fact; again replaces its value."""
    tx.run(Q.record_fact, session=session_id, team=team, kind=kind, sha=sha, value=dict(value))


def known_facts(tx: pool.Tx, team: str, session_id: str, kind: str, shas: list[str]) -> set[str]:
    """Those of the hashes that are recorded."""
    rows = tx.all(Q.known_facts, session=session_id, team=team, kind=kind, shas=shas)
    return {row["sha256"] for row in rows}


def find_fact(tx: pool.Tx, team: str, session_id: str, kind: str, sha: str) -> dict[str, Any] | None:
    """The value of a fact, or None."""
    row = tx.find(Q.find_fact, session=session_id, team=team, kind=kind, sha=sha)
    return None if row is None else dict(row["value"])


# Cached tool results


def hit_tool_cache(tx: pool.Tx, team: str, key: str) -> pool.Row | None:
    """The live entry, counted as a hit, or None."""
    return tx.find(Q.hit_tool_cache, team=team, key=key)


def tool_result_left(tx: pool.Tx, team: str, key: str) -> float:
    """Seconds until whoever makes the result must have renewed its lease; nought where nobody makes it."""
    return TOOL_RESULTS.left(tx, team=team, key=key)


def claim_tool_result(
    tx: pool.Tx, team: str, key: str, *, tool: str, ttl: int, lease_seconds: float
) -> Lease | None:
    """Become the one that makes the result; None where somebody makes it, or has made it."""
    return TOOL_RESULTS.take(tx, lease_seconds, team=team, key=key, tool=tool, ttl=ttl)


def renew_tool_result(tx: pool.Tx, team: str, key: str, lease: Lease, lease_seconds: float) -> bool:
    """Go on making the result; False when another maker has replaced this one."""
    return TOOL_RESULTS.renew(tx, lease, lease_seconds, team=team, key=key)


def keep_tool_result(tx: pool.Tx, team: str, key: str, lease: Lease, *, uri: str, size: int) -> bool:
    """Publish the result and give the lease back; False when another maker has replaced this one."""
    return tx.run(Q.keep_tool_result, team=team, key=key, owner=lease.owner, uri=uri, size=size) > 0


def give_tool_result_up(tx: pool.Tx, team: str, key: str, lease: Lease) -> bool:
    """Let the next caller make it; False when another maker has replaced this one."""
    return TOOL_RESULTS.release(tx, lease, team=team, key=key)


def expire_tool_result(tx: pool.Tx, team: str, key: str) -> None:
    """Make the entry a miss: its payload is not there any more."""
    tx.run(Q.expire_tool_result, team=team, key=key)


# What there is of all teams


def known_sessions(tx: pool.Tx, ids: list[str]) -> set[str]:
    """Which of these conversations there are."""
    return {str(row["session_id"]) for row in tx.all(Q.known_sessions, ids=ids)}


def running_turns(tx: pool.Tx, ids: list[str]) -> set[str]:
    """Which of these turns have not ended."""
    return {str(row["turn_id"]) for row in tx.all(Q.running_turns, ids=ids)}


# Prompt blocks


def active_blocks(tx: pool.Tx, names: list[str]) -> list[pool.Row]:
    """The active version of each named block."""
    return tx.all(Q.active_blocks, names=names)
