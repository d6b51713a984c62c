"""Snapshots whose event was lost, found in the bucket and told again."""

from __future__ import annotations

from typing import Any

import pytest

from shared.catalog import reconciling
from shared.platform.cloud import objects
from shared.platform.ops import sweep
from tests.shared.conftest import WEATHER, Delivery

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _at_once(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is too young to be looked at, and the bucket is empty of what other tests left."""
    monkeypatch.setattr(sweep, "GRACE_SECONDS", 0.0)
    for stored in objects.listing("catalog", ""):
        objects.delete("catalog", stored.name)
    cloud.sql("DELETE FROM sweeps")


@pytest.fixture
def scan(cloud: Any, shop: Any) -> tuple[Any, str, list[Delivery]]:
    """A scan whose snapshots are written and whose events nobody has delivered: person, job, events."""
    person = cloud.person()
    connection = cloud.connection(cloud.team(person), person)
    started = cloud.call("POST", "/v1/onboarding/catalog/scan", {"connection_id": connection}, as_=person)
    for step in cloud.pending():
        assert cloud.deliver(step) == 204
    events = cloud.pending()
    assert len(events) == 3
    return person, started.json["job_id"], events


@pytest.mark.parametrize("weather", WEATHER, ids=lambda weather: weather.__name__)
def test_a_scan_whose_events_were_lost_ends_well(cloud: Any, scan: Any, weather: Any) -> None:
    """Each snapshot's event is sent as a message of ours; in any weather the scan ends as if none was lost."""
    person, job, _lost = scan
    assert reconciling.reconcile()["changed"] == 3
    cloud.drain(weather)
    found = cloud.job(job, person)
    assert (found["state"], found["progress"]["done"]) == ("completed", 3)


def test_what_is_on_its_way_is_not_sent_twice(cloud: Any, scan: Any) -> None:
    """A second look sees the message of the first; the lost events that come late after all do nothing."""
    person, job, lost = scan
    assert reconciling.reconcile()["changed"] == 3
    again = reconciling.reconcile()
    assert (again["changed"], again["under_way"]) == (0, 3)
    cloud.drain()
    for event in lost:
        assert cloud.deliver(event) == 204
    assert cloud.job(job, person)["progress"]["done"] == 3
    assert reconciling.reconcile()["done"] >= 3


def test_an_event_that_is_being_worked_on_is_left_alone(cloud: Any, scan: Any) -> None:
    """A living lease, and a step that died and waits for an administrator, are no lost events."""
    from shared.platform.background import ledger, outbox

    _, _, lost = scan
    keys = [outbox.event_key(event.body) for event in lost]
    held = ledger.claim("catalog-index-snapshot", keys[0], 60)
    buried = ledger.claim("catalog-index-snapshot", keys[1], 60)
    assert held is not None
    assert buried is not None
    ledger.bury(buried, ledger.Letter(buried.step, keys[1], "event", "catalog", {}, "X", "x"))
    found = reconciling.reconcile()
    assert (found["under_way"], found["dead"], found["changed"]) == (1, 1, 1)


def test_a_sweep_goes_on_where_it_stopped(cloud: Any, scan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is bounded; the next one begins behind it, also after a crash, and the end leads to the beginning."""
    monkeypatch.setattr(sweep, "BATCH", 2)
    monkeypatch.setattr(sweep, "MOST_OBJECTS", 2)
    names: list[str] = []
    real = sweep.tell_again

    def watch(step: str, found: Any, **options: Any) -> Any:
        names.extend(stored.name for stored in found)
        return real(step, found, **options)

    monkeypatch.setattr(reconciling, "tell_again", watch)

    class Died(BaseException):
        pass

    def die(*_: Any, **__: Any) -> None:
        raise Died

    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(reconciling, "tell_again", die)
        reconciling.reconcile()
    everything = [stored.name for stored in objects.listing("catalog", "")]
    for _ in range(len(everything) // 2 + 1):
        reconciling.reconcile()
    assert sorted(set(names)) == everything
    assert len(names) == len(everything)
