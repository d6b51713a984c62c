"""What conversations left in the lake and nobody will read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.agents import reconciling
from shared.agents.conversation import log, sessions
from shared.platform import clock
from shared.platform.cloud import objects
from shared.platform.ids import new_id
from shared.platform.postgres import pool

pytestmark = pytest.mark.usefixtures("ground")


@pytest.fixture
def tomorrow(ground: dict[str, str], owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day and an hour have passed; the bucket is empty of what other tests left."""
    for stored in objects.listing("sessions", ""):
        objects.delete("sessions", stored.name)
    owner.run("DELETE FROM sweeps")
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + timedelta(hours=25))


@pytest.fixture
def owner(stores: dict[str, str]) -> Any:
    from urllib.parse import urlsplit

    from pg8000.native import Connection

    url = urlsplit(stores["MIGRATIONS_DATABASE_URL"])
    made = Connection(
        url.username or "", password=url.password, host="127.0.0.1", port=url.port, database=url.path[1:]
    )
    yield made
    made.close()


def names() -> list[str]:
    return [stored.name for stored in objects.listing("sessions", "")]


def session(me: Any) -> str:
    made = sessions.create(me.team, me.user, id=new_id(), provider="builtin", model="m")
    return made.session_id


def test_a_conversation_that_is_gone_leaves_nothing_and_the_others_everything(
    me: Any, tomorrow: None
) -> None:
    """Its purge was lost; a day later its objects go."""
    living, gone = session(me), new_id()
    for id in (living, gone):
        objects.put("sessions", log.chunk_name(id, 1), b"{}\n")
    assert reconciling.reconcile()["changed"] == 1
    assert names() == [log.chunk_name(living, 1)]


def test_a_turns_own_piece_goes_when_the_turn_is_over(me: Any, tomorrow: None, owner: Any) -> None:
    """A process died between composing and tidying; the piece of a turn that runs stays."""
    living = session(me)
    running, over = new_id(), new_id()
    with pool.transaction(me.team) as tx:
        tx.run(
            "INSERT INTO turns (id, team_id, session_id, user_id, ask_sha256, owner, lease_until)"
            " VALUES (:id, :team, :session, :user, 'x', :owner, now())",
            id=running,
            team=me.team,
            session=living,
            user=me.user,
            owner=new_id(),
        )
    pieces = [objects.safe_name(living, "turns", f"{turn}-1.jsonl") for turn in (running, over)]
    for piece in pieces:
        objects.put("sessions", piece, b"{}\n")
    assert reconciling.reconcile()["changed"] == 1
    assert names() == [pieces[0]]


def test_many_lost_conversations_are_an_alarm(
    me: Any, tomorrow: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A directory that is not this bucket's must not empty it."""
    monkeypatch.setattr(reconciling, "MOST_SESSIONS", 2)
    for _ in range(3):
        objects.put("sessions", log.chunk_name(new_id(), 1), b"{}\n")
    assert reconciling.reconcile()["changed"] == 0
    assert len(names()) == 3
    assert '"severity":"ERROR"' in capsys.readouterr().out


def test_what_is_of_today_is_left_alone(me: Any) -> None:
    """Somebody may still be at work on it."""
    name = log.chunk_name(new_id(), 1)
    objects.put("sessions", name, b"{}\n")
    reconciling.reconcile()
    assert name in names()
    objects.delete("sessions", name)
