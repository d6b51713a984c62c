"""The bucket of documents and the directory, brought together while people save."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.dashboards import reconciling, service
from shared.platform.cloud import objects as object_store
from shared.platform.ops import sweep
from tests.shared.conftest import WEATHER

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _at_once(board: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is too young to be looked at; what other tests left behind is not this one's."""
    monkeypatch.setattr(sweep, "GRACE_SECONDS", 0.0)
    board.cloud.sql("DELETE FROM sweeps")
    while reconciling.reconcile()["changed"]:
        pass
    board.cloud.pending()


def renamed(text: str, slug: str) -> str:
    return text.replace("slug: flights", f"slug: {slug}")


def events(board: Any) -> list[Any]:
    return [
        item for item in board.cloud.pending() if item.event and item.function == "dashboards-index-dashboard"
    ]


@pytest.mark.parametrize("weather", WEATHER, ids=lambda weather: weather.__name__)
def test_a_document_whose_event_was_lost_is_indexed(board: Any, document_text: str, weather: Any) -> None:
    """A save that died behind its object, or another writer of the bucket: one row, one version, in any weather."""
    stored = board.put_object("flights.yaml", document_text)
    assert reconciling.reconcile()["changed"] == 1
    weather(board.cloud, events(board))
    row = board.row()
    assert (row["status"], row["version"], row["object_generation"]) == ("ready", 1, stored.generation)
    assert reconciling.reconcile()["changed"] == 0


def test_an_overwrite_whose_event_was_lost_is_indexed(board: Any, document_text: str) -> None:
    """The row is older than the object."""
    board.save(document_text)
    newer = board.put_object("flights.yaml", document_text.replace("title: ", "title: New ", 1))
    assert board.row()["object_generation"] < newer.generation
    reconciling.reconcile()
    for event in events(board):
        assert board.cloud.deliver(event) == 204
    assert board.row()["object_generation"] == newer.generation
    assert board.row()["version"] == 2


def test_a_row_that_was_lost_comes_back_although_its_event_was_handled(
    board: Any, document_text: str
) -> None:
    """A directory that was restored from before the save: the ledger says done, and the directory knows better."""
    stored = board.put_object("flights.yaml", document_text)
    assert board.finalized(stored) == 204
    board.cloud.sql("DELETE FROM dashboards WHERE team_id = :t", t=board.team)
    assert reconciling.reconcile()["changed"] == 1
    for event in events(board):
        assert board.cloud.deliver(event) == 204
    assert board.row()["status"] == "ready"


def test_what_was_deleted_on_purpose_does_not_come_back(board: Any, document_text: str) -> None:
    """A zombie's object of before the deletion, or a late listing: the tombstone knows its generation."""
    board.save(document_text)
    assert board.call("DELETE", "/v1/dashboards/flights").status == 204
    board.cloud.sql(
        "UPDATE dashboard_tombstones SET object_generation = 9223372036854775807 WHERE team_id = :t",
        t=board.team,
    )
    board.put_object("flights.yaml", document_text)
    assert reconciling.reconcile()["changed"] == 0
    assert events(board) == []


def test_a_row_without_its_object_is_marked_and_never_removed(board: Any, document_text: str) -> None:
    """Its page says what happened; versions and history stay; the object's return makes it whole again."""
    board.save(document_text)
    before = board.row()
    object_store.delete("dashboards", f"{board.team}/flights.yaml")
    assert reconciling.reconcile()["changed"] == 1
    marked = board.row()
    assert (marked["id"], marked["status"]) == (before["id"], "invalid")
    assert marked["errors"][0]["code"] == "DOCUMENT_MISSING"
    assert reconciling.reconcile()["changed"] == 0
    board.put_object("flights.yaml", document_text)
    reconciling.reconcile()
    for event in events(board):
        assert board.cloud.deliver(event) == 204
    whole = board.row()
    assert (whole["id"], whole["status"], whole["version"]) == (before["id"], "ready", before["version"] + 1)


def test_reconciling_in_the_middle_of_a_save_changes_nothing_of_it(
    board: Any, document_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The object is there, the row is not: the sweep tells the event, its step indexes, and the save still answers."""
    from shared.dashboards import indexing

    real, inside = indexing.keep, threading.Event()

    def keep(*args: Any, **options: Any) -> Any:
        if not inside.is_set():
            inside.set()
            assert reconciling.reconcile()["changed"] == 1
            (event,) = events(board)
            assert board.cloud.deliver(event) == 204
        return real(*args, **options)

    monkeypatch.setattr(indexing, "keep", keep)
    saved = board.save(document_text)
    assert saved.status == 201, saved.content
    assert inside.is_set()
    row = board.row()
    assert (saved.json["version"], row["version"], row["status"]) == (1, 1, "ready")
    assert row["owner_id"] == board.admin.id or str(row["owner_id"]) == board.admin.id
    versions = board.cloud.sql("SELECT version FROM dashboard_versions WHERE team_id = :t", t=board.team)
    assert versions == [{"version": 1}]


def test_a_row_that_is_saved_while_the_sweep_looks_is_not_marked(
    board: Any, document_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listing is older than the row: the object is looked for before anything is said of it."""
    real, done = reconciling._rows, threading.Event()

    def rows(stretch: Any) -> Any:
        if not done.is_set():
            done.set()
            assert board.save(document_text).status == 201
        return real(stretch)

    monkeypatch.setattr(reconciling, "_rows", rows)
    assert reconciling.reconcile()["changed"] == 0
    assert board.row()["status"] == "ready"


def test_saves_deletes_and_sweeps_at_the_same_time_end_in_agreement(board: Any, document_text: str) -> None:
    """Eight dashboards are saved and half of them deleted while four sweeps run: rows and objects are the same."""
    slugs = [f"board-{number}" for number in range(8)]

    def work(slug: str) -> None:
        assert board.save(renamed(document_text, slug)).status == 201
        if slug[-1] in "0246":
            service.delete(board.team, slug, user=board.admin.id, admin=True)

    with ThreadPoolExecutor(6) as people:
        sweeps = [people.submit(reconciling.reconcile) for _ in range(4)]
        list(people.map(work, slugs))
    for found in sweeps:
        found.result()
    for item in events(board):
        assert board.cloud.deliver(item) == 204
    objects = {
        stored.name.split("/")[1].removesuffix(".yaml")
        for stored in object_store.listing("dashboards", f"{board.team}/")
    }
    rows = board.cloud.sql("SELECT slug, status FROM dashboards WHERE team_id = :t", t=board.team)
    assert (
        {row["slug"] for row in rows if row["status"] == "ready"}
        == objects
        == {s for s in slugs if s[-1] in "1357"}
    )
    assert {row["status"] for row in rows} == {"ready"}


def test_a_document_that_could_not_be_checked_is_checked_again_when_its_event_is_replayed(
    board: Any, document_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row said why it was not ready; afterwards it is the same version, ready."""
    from shared.dashboards import indexing
    from shared.platform.errors import Unavailable

    stored = board.put_object("flights.yaml", document_text)

    def refuse(*_: Any) -> Any:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(indexing, "examine", refuse)
        assert board.finalized(stored, tries=7) == 204
    assert (board.row()["status"], board.row()["version"]) == ("invalid", 1)
    board.cloud.sql("UPDATE attempts SET state = 'released' WHERE strpos(key, :name) > 0", name=stored.name)
    assert board.finalized(stored) == 204
    assert (board.row()["status"], board.row()["version"]) == ("ready", 1)
