"""Every place where the product keeps leases, as slots that one suite of races can try."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shared.agents import store
from shared.platform.background import ledger
from shared.platform.cloud import documents
from shared.platform.edge import repeats
from shared.platform.ids import new_id
from shared.platform.leases.contract import Slot
from shared.platform.leases.firestore import COLLECTION, DocumentSlot
from shared.platform.postgres import pool


@dataclass(frozen=True)
class Backend:
    """One slot that nobody holds, and how what is kept of it vanishes."""

    slot: Slot
    vanish: Callable[[], None]


def of_firestore(cloud: Any) -> Backend:
    slot = DocumentSlot(f"race:{new_id()}")
    return Backend(slot, lambda: documents.delete(COLLECTION, slot.key))


def of_attempts(cloud: Any) -> Backend:
    at = {"step": "race", "key": new_id()}
    return Backend(
        ledger.ROWS.slot(pool.transaction, at, {"message": None}),
        lambda: cloud.sql("DELETE FROM attempts WHERE key = :key", key=at["key"]),
    )


def of_idempotency_keys(cloud: Any) -> Backend:
    at = {"user": cloud.person().id, "route": "POST /race", "key": new_id()}
    return Backend(
        repeats.KEYS.slot(pool.transaction, at, {"body_sha": "same"}),
        lambda: cloud.sql("DELETE FROM idempotency_keys WHERE key = :key", key=at["key"]),
    )


def of_tool_results(cloud: Any) -> Backend:
    at = {"team": cloud.team(cloud.person()), "key": new_id()}
    return Backend(
        store.TOOL_RESULTS.slot(lambda: pool.transaction(at["team"]), at, {"tool": "race", "ttl": 60}),
        lambda: cloud.sql("DELETE FROM tool_cache WHERE cache_key = :key", key=at["key"]),
    )


def of_turns(cloud: Any) -> Backend:
    person = cloud.person()
    team, session, turn = cloud.team(person), new_id(), new_id()
    cloud.sql(
        "INSERT INTO sessions (id, team_id, user_id, provider, model, gcs_messages_uri)"
        " VALUES (:session, :team, :user, 'p', 'm', 'gs://b/o')",
        session=session,
        team=team,
        user=person.id,
    )

    def begin() -> None:
        """A turn whose first process has died."""
        cloud.sql(
            "INSERT INTO turns (id, team_id, session_id, user_id, ask_sha256, owner, lease_until)"
            " VALUES (:turn, :team, :session, :user, '', gen_random_uuid(), bridge_lease_now())",
            turn=turn,
            team=team,
            session=session,
            user=person.id,
        )

    def vanish() -> None:
        cloud.sql("DELETE FROM turns WHERE id = :turn", turn=turn)
        begin()

    begin()
    return Backend(store.TURNS.slot(lambda: pool.transaction(team), {"id": turn, "team": team}, {}), vanish)


BACKENDS = (of_firestore, of_attempts, of_idempotency_keys, of_tool_results, of_turns)
