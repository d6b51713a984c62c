"""Sealed credentials without a connection: removed after a day, never in crowds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.connections import reconciling
from shared.platform import clock
from shared.platform.cloud import objects
from shared.platform.ids import new_id

pytestmark = pytest.mark.slow


@pytest.fixture
def tomorrow(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day and an hour have passed; the bucket is empty of what other tests left."""
    for stored in objects.listing("credentials", ""):
        objects.delete("credentials", stored.name)
    cloud.sql("DELETE FROM sweeps")
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + timedelta(hours=25))


def names() -> set[str]:
    return {stored.name for stored in objects.listing("credentials", "")}


def test_credentials_without_a_connection_go_after_a_day_and_the_others_stay(
    cloud: Any, tomorrow: None
) -> None:
    """What a creation left that died before its row; an earlier version stays in the bucket."""
    person = cloud.person()
    team = cloud.team(person)
    kept = f"{team}/{cloud.connection(team, person, validated=False)}.json.enc"
    orphan = objects.put("credentials", f"{team}/{new_id()}.json.enc", b"sealed")
    assert reconciling.reconcile()["changed"] == 1
    assert names() == {kept}
    assert objects.get("credentials", orphan.name, generation=orphan.generation)[0] == b"sealed"


def test_credentials_of_today_are_left_alone(cloud: Any) -> None:
    """Their creation may be under way."""
    orphan = f"{new_id()}/{new_id()}.json.enc"
    objects.put("credentials", orphan, b"sealed")
    reconciling.reconcile()
    assert orphan in names()


def test_many_orphans_at_once_are_an_alarm_and_no_rubbish(
    cloud: Any, tomorrow: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """A directory that is not this bucket's must not empty it."""
    for _ in range(reconciling.MOST_REMOVED + 1):
        objects.put("credentials", f"{new_id()}/{new_id()}.json.enc", b"sealed")
    assert reconciling.reconcile()["changed"] == 0
    assert len(names()) == reconciling.MOST_REMOVED + 1
    assert '"severity":"ERROR"' in capsys.readouterr().out
