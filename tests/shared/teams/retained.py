"""Rows of teams, of an age: what the test of retention removes and keeps."""

from typing import Any

from tests.shared.platform.retained import Row


def _session(cloud: Any, id: str, days: int, *, user: str, **_: str) -> None:
    cloud.sql(
        "INSERT INTO auth_sessions (id, user_id, token_sha256, expires_at)"
        " VALUES (:id, :user, CAST(gen_random_uuid() AS text), now() - make_interval(days => :days))",
        id=id, days=days, user=user,
    )  # fmt: skip


ROWS = {"browser sessions": Row("auth_sessions", "id::text", _session)}
