"""Rows of conversations, of an age: what the test of retention removes and keeps."""

import uuid
from typing import Any

from tests.shared.platform.retained import Row


def _journal(cloud: Any, id: str, days: int, *, team: str, user: str) -> None:
    session = str(uuid.uuid4())
    cloud.sql(
        "INSERT INTO sessions (id, team_id, user_id, provider, model, gcs_messages_uri)"
        " VALUES (:session, :team, :user, 'p', 'm', '')",
        session=session, team=team, user=user,
    )  # fmt: skip
    cloud.sql(
        "INSERT INTO turns (id, team_id, session_id, user_id, state, ask_sha256, owner, lease_until, finished_at)"
        " VALUES (:id, :team, :session, :user, 'failed', '', gen_random_uuid(), now(),"
        " now() - make_interval(days => :days))",
        id=id, days=days, session=session, team=team, user=user,
    )  # fmt: skip
    cloud.sql(
        "INSERT INTO turn_journal (turn_id, number, team_id, kind, entry, last_event)"
        " VALUES (:id, 1, :team, 'tools', '{}', 1)",
        id=id, team=team,
    )  # fmt: skip


ROWS = {"journals of turns": Row("turn_journal", "turn_id::text", _journal)}
