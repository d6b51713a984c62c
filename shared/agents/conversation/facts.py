"""What a session has proven: this query passed a dry run, this document was validated.

Tools that must not act before a check ask here, not the conversation: what a model says of itself is no
proof, and a process that takes a turn over knows what the one before it knew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from shared.agents import store
from shared.platform.ids import TeamId
from shared.platform.postgres import pool


def record(
    team: TeamId, session_id: str, kind: str, sha: str, value: Mapping[str, Any] | None = None
) -> None:
    """Remember that the thing with this hash has the quality `kind` in this session."""
    with pool.transaction(team) as tx:
        store.record_fact(tx, team, session_id, kind, sha, dict(value or {}))


def known(team: TeamId, session_id: str, kind: str, shas: Collection[str]) -> set[str]:
    """Those of the hashes that are known to have the quality."""
    with pool.transaction(team) as tx:
        return store.known_facts(tx, team, session_id, kind, list(shas))


def value(team: TeamId, session_id: str, kind: str, sha: str) -> Mapping[str, Any] | None:
    """What was recorded with the fact, or None where it is not known."""
    with pool.transaction(team) as tx:
        return store.find_fact(tx, team, session_id, kind, sha)
