"""Dashboards are kept once, whoever writes, however often, and wherever a writer dies."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest


def test_a_saved_dashboard_can_be_opened_and_its_text_read_back(board: Any, document_text: str) -> None:
    """The row, the page and the object say the same; the author's comment and order survive the stamps."""
    saved = board.save()
    assert saved.status == 201, saved.content
    assert saved.json["version"] == 1
    assert (
        saved.json["gcs_path"]
        == f"gs://{os.environ['BRIDGE_BUCKET_PREFIX']}-dashboards/{board.team}/flights.yaml"
    )
    page = board.call("GET", "/v1/dashboards/flights").json
    assert [tile["id"] for tile in page["tiles"]] == ["all", "trend", "list"]
    assert page["status"] == "ready"
    assert page["can_edit"] is True
    text = board.call("GET", "/v1/dashboards/flights/yaml")
    assert text.headers["ETag"] == f'"{saved.json["generation"]}"'
    lines = text.content.decode().splitlines()
    assert lines[0] == "# A comment that must survive a save."
    assert [line for line in lines if not line.startswith(("owner_email", "created_at", "updated_at"))] == (
        document_text.splitlines()
    )


def test_a_repeated_request_makes_one_version(board: Any) -> None:
    """The same Idempotency-Key answers the same; nothing is written twice."""
    headers = {"Idempotency-Key": "save-once"}
    first, second = (board.save(headers=headers) for _ in range(2))
    assert (first.status, second.status) == (201, 201)
    assert first.json == second.json
    assert board.row()["version"] == 1


def test_of_eight_saves_over_the_same_generation_one_wins(
    board: Any, document_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All have looked before the first one writes: the others learn that it was faster, and no change is lost."""
    from shared.platform.cloud import objects

    saved = board.save().json
    write, all_have_looked = objects.put, threading.Barrier(8)

    def put(*arguments: Any, **options: Any) -> Any:
        all_have_looked.wait(60)
        return write(*arguments, **options)

    monkeypatch.setattr(objects, "put", put)
    texts = [document_text.replace("Flights of 2013", f"Title {n}") for n in range(8)]

    def replace(text: str) -> Any:
        return board.call(
            "PUT",
            "/v1/dashboards/flights/yaml",
            {"yaml_content": text},
            headers={"If-Match": f'"{saved["generation"]}"'},
        )

    with ThreadPoolExecutor(8) as workers:
        answers = list(workers.map(replace, texts))
    assert sorted(answer.status for answer in answers) == [200] + [412] * 7
    winner = next(answer for answer in answers if answer.status == 200)
    assert board.row()["title"] == winner.json["title"]
    assert board.row()["version"] == 2


def test_two_people_who_create_the_same_slug_do_not_overwrite_each_other(board: Any) -> None:
    """One gets the dashboard, everybody else SLUG_TAKEN."""
    with ThreadPoolExecutor(6) as workers:
        answers = list(workers.map(lambda _n: board.save(), range(6)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 5
    assert {answer.error["code"] for answer in answers if answer.status == 409} == {"SLUG_TAKEN"}


@pytest.mark.parametrize("effect", range(1, 8))
def test_a_save_that_dies_after_any_effect_is_completed_by_its_repetition(board: Any, effect: int) -> None:
    """The request comes again with its key and meets what the first one left."""
    post = board.post_office
    headers = {"Idempotency-Key": f"dies-{effect}"}
    try:
        with post.dying_after(effect):
            board.save(headers=headers)
    except post.Crash:
        board.cloud.sql("UPDATE idempotency_keys SET lease_until = now() - interval '1 second'")
    again = board.save(headers=headers)
    assert again.status == 201, again.content
    versions = board.cloud.sql(
        "SELECT count(*) AS n FROM dashboard_versions WHERE team_id = :team", team=board.team
    )
    assert (board.row()["version"], versions[0]["n"]) == (1, 1)


def test_the_event_completes_a_save_that_died_between_object_and_row(board: Any) -> None:
    """The object carries the save's id, so the event makes the very version that the save was making."""
    from shared.dashboards import indexing

    real = indexing.keep
    indexing.keep = lambda *_a, **_k: (_ for _ in ()).throw(board.post_office.Crash())
    headers = {"Idempotency-Key": "dies-between"}
    try:
        with pytest.raises(board.post_office.Crash):
            board.save(headers=headers)
    finally:
        indexing.keep = real
    assert board.row() is None
    stored = indexing.objects.head("dashboards", f"{board.team}/flights.yaml")
    assert board.finalized(stored) == 204
    assert board.row()["status"] == "ready"
    assert board.row()["owner_id"] is not None
    board.cloud.sql("UPDATE idempotency_keys SET lease_until = now() - interval '1 second'")
    assert board.save(headers=headers).json["version"] == 1
    assert board.row()["version"] == 1


@pytest.fixture
def died_after_its_object(board: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A save whose process dies between object and row; answers the object that it left, with its lease over."""
    from shared.dashboards import indexing

    def die(send: Any) -> Any:
        with monkeypatch.context() as patched:
            patched.setattr(
                indexing, "keep", lambda *_a, **_k: (_ for _ in ()).throw(board.post_office.Crash())
            )
            with pytest.raises(board.post_office.Crash):
                send()
        board.cloud.sql("UPDATE idempotency_keys SET lease_until = now() - interval '1 second'")
        return indexing.objects.head("dashboards", f"{board.team}/flights.yaml")

    return die


@pytest.mark.parametrize("replaces", [False, True], ids=["create", "replace"])
@pytest.mark.parametrize("moment", ["while it examines", "before its object"])
@pytest.mark.parametrize("then", ["", "saved again", "its warehouse is away"])
def test_a_repetition_that_its_own_event_overtakes_answers_what_was_saved(
    board: Any,
    document_text: str,
    died_after_its_object: Any,
    monkeypatch: pytest.MonkeyPatch,
    replaces: bool,
    moment: str,
    then: str,
) -> None:
    """The event commits the version of this very save while the repetition looks elsewhere.

    No refusal is right then: neither SLUG_TAKEN nor another generation, also where somebody saved over it meanwhile.
    """
    from shared.dashboards import indexing, service
    from shared.platform.cloud import objects

    def send() -> Any:
        key = {"Idempotency-Key": f"overtaken-{replaces}"}
        if not replaces:
            return board.save(headers=key)
        body = {"yaml_content": document_text.replace("Flights of 2013", "Mine")}
        return board.call(
            "PUT", "/v1/dashboards/flights/yaml", body, headers=key | {"If-Match": f'"{first.generation}"'}
        )

    if replaces:
        board.save()
        first = objects.head("dashboards", f"{board.team}/flights.yaml")
    left = died_after_its_object(send)

    def overtake() -> None:
        monkeypatch.setattr(service.validation, "examine", examine)
        monkeypatch.setattr(objects, "put", put)
        assert board.finalized(left) == 204
        if then == "saved again":
            newer = board.put_object("flights.yaml", document_text.replace("Flights of 2013", "Newer"))
            assert board.finalized(newer) == 204
        elif then:
            board.warehouse.fall_over()

    examine, put = service.validation.examine, objects.put

    def examined(team: Any, text: str) -> Any:
        verdict = examine(team, text)
        overtake()
        return verdict if then != "its warehouse is away" else examine(team, text)

    def written(*arguments: Any, **options: Any) -> Any:
        overtake()
        return put(*arguments, **options)

    if moment == "while it examines":
        monkeypatch.setattr(service.validation, "examine", examined)
    else:
        monkeypatch.setattr(objects, "put", written)
    answer = send()
    assert answer.status == (200 if replaces else 201), answer.content
    assert answer.json["version"] == 1 + replaces
    kept = board.cloud.sql("SELECT count(*) AS n FROM dashboard_versions WHERE team_id = :t", t=board.team)
    assert kept[0]["n"] == 1 + replaces + (then == "saved again")
    assert indexing.objects.head("dashboards", left.name) is not None


def test_a_repetition_that_fails_does_not_undo_what_its_event_has_kept(
    board: Any, died_after_its_object: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It took the object of the dead attempt for its own to take back, but the event has made its row meanwhile."""
    from shared.dashboards import indexing
    from shared.platform.errors import ValidationFailed

    def send() -> Any:
        return board.save(headers={"Idempotency-Key": "not-undone"})

    left, keep = died_after_its_object(send), indexing.keep

    def refused(*_arguments: Any, **_options: Any) -> Any:
        monkeypatch.setattr(indexing, "keep", keep)
        assert board.finalized(left) == 204
        raise ValidationFailed("The directory refuses this row.", field="title")

    monkeypatch.setattr(indexing, "keep", refused)
    answer = send()
    assert (answer.status, answer.json["version"]) == (201, 1)
    assert indexing.objects.head("dashboards", left.name).generation == left.generation
    assert board.row()["object_generation"] == left.generation


def test_the_event_of_a_complete_save_finds_nothing_to_do(board: Any) -> None:
    """Also when it is delivered twice."""
    from shared.platform.cloud import objects

    board.save()
    stored = objects.head("dashboards", f"{board.team}/flights.yaml")
    before = board.row()
    dry_runs = board.warehouse.dry_runs
    assert [board.finalized(stored), board.finalized(stored)] == [204, 204]
    assert board.row() == before
    assert board.warehouse.dry_runs == dry_runs


def test_a_file_put_into_the_bucket_becomes_a_dashboard(board: Any, document_text: str) -> None:
    """A git sync needs no API."""
    stored = board.put_object("flights.yaml", document_text)
    assert board.finalized(stored) == 204
    assert board.call("GET", "/v1/dashboards/flights").json["status"] == "ready"
    assert board.data()["queries"]["total"]["rows"] == [[3650]]


def test_an_invalid_file_becomes_a_visible_invalid_row(board: Any, document_text: str) -> None:
    """With its errors and their places, and it heals with the next file."""
    broken = document_text.replace("query: total", "query: totals")
    assert board.finalized(board.put_object("flights.yaml", broken)) == 204
    page = board.call("GET", "/v1/dashboards/flights").json
    assert page["status"] == "invalid"
    assert page["errors"][0]["path"] == "layout[0].query"
    assert page["errors"][0]["hint"] == "Did you mean total?"
    assert board.call("GET", "/v1/dashboards/flights/data").error["code"] == "DASHBOARD_INVALID"
    assert board.finalized(board.put_object("flights.yaml", document_text)) == 204
    assert board.row()["status"] == "ready"
    assert board.row()["version"] == 2


def test_a_file_that_is_no_yaml_or_has_another_name_is_invalid_too(board: Any, document_text: str) -> None:
    """Whatever the bytes are, the event ends and the row says what is wrong."""
    board.finalized(board.put_object("junk.yaml", "\x00{{{"))
    board.finalized(board.put_object("other.yaml", document_text))
    assert board.row("junk")["status"] == "invalid"
    assert "named other.yaml" in str(board.row("other")["errors"])


def test_an_object_that_can_not_be_checked_ends_as_a_visible_row(board: Any, document_text: str) -> None:
    """After the last delivery the row says so; the next object heals it."""
    board.warehouse.fall_over()
    stored = board.put_object("flights.yaml", document_text)
    assert board.finalized(stored) == 503
    assert board.row() is None
    assert board.finalized(stored, tries=7) == 204
    assert board.row()["status"] == "invalid"
    assert "could not be checked" in str(board.row()["errors"])
    board.warehouse.broken = None
    assert board.finalized(board.put_object("flights.yaml", document_text)) == 204
    assert board.row()["status"] == "ready"


def test_an_old_event_does_not_bring_an_old_text_back(board: Any, document_text: str) -> None:
    """Events may come in any order; the newest object decides."""
    old = board.put_object("flights.yaml", document_text)
    new = board.put_object("flights.yaml", document_text.replace("Flights of 2013", "Newer"))
    board.finalized(new)
    board.finalized(old)
    assert board.row()["title"] == "Newer"
    assert board.row()["object_generation"] == new.generation


def test_a_slow_event_does_not_undo_what_was_indexed_while_it_worked(board: Any, document_text: str) -> None:
    """It read the old object; the row of the newer one stays."""
    from shared.dashboards import indexing

    old = board.put_object("flights.yaml", document_text)
    real = indexing.examine

    def overtaken(team: Any, text: str) -> Any:
        indexing.examine = real
        verdict = real(team, text)
        new = board.put_object("flights.yaml", document_text.replace("Flights of 2013", "Newer"))
        assert board.finalized(new) == 204
        return verdict

    indexing.examine = overtaken
    try:
        assert board.finalized(old) == 204
    finally:
        indexing.examine = real
    assert (board.row()["title"], board.row()["version"]) == ("Newer", 1)


def test_deleting_removes_everything_and_can_be_repeated(board: Any) -> None:
    """Object, row, versions and lineage; a late event does not bring it back; the slug is free again."""
    from shared.platform.cloud import objects

    board.save()
    stored = objects.head("dashboards", f"{board.team}/flights.yaml")
    answers = [board.call("DELETE", "/v1/dashboards/flights").status for _ in range(3)]
    assert answers == [204, 204, 204]
    assert board.finalized(stored) == 204
    assert board.row() is None
    assert objects.head("dashboards", stored.name) is None
    assert board.cloud.sql("SELECT 1 FROM lineage_edges WHERE team_id = :t", t=board.team) == []
    assert board.call("GET", "/v1/dashboards/flights").status == 404
    assert board.save().status == 201


def test_a_version_that_is_saved_during_a_delete_is_not_deleted(
    board: Any, document_text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever deletes has not seen it: they are told, and it stays."""
    from shared.platform.cloud import objects

    board.save()
    real, newer = objects.head, list[Any]()

    def replaced_meanwhile(role: str, name: str) -> Any:
        found = real(role, name)
        if not newer:
            newer.append(board.put_object("flights.yaml", document_text.replace("2013", "2014")))
        return found

    monkeypatch.setattr(objects, "head", replaced_meanwhile)
    assert board.call("DELETE", "/v1/dashboards/flights").status == 412
    assert real("dashboards", newer[0].name).generation == newer[0].generation
    assert board.row() is not None


def test_an_event_that_overtakes_a_delete_does_not_bring_the_row_back(board: Any) -> None:
    """The step read the object before it was deleted and writes its row after: the tombstone refuses."""
    from shared.dashboards import indexing
    from shared.platform.cloud import objects

    board.save()
    board.cloud.sql("DELETE FROM dashboards WHERE team_id = :t", t=board.team)
    stored = objects.head("dashboards", f"{board.team}/flights.yaml")
    real = indexing.examine

    def delete_meanwhile(team: Any, text: str) -> Any:
        verdict = real(team, text)
        objects.delete("dashboards", stored.name)
        board.cloud.sql(
            "INSERT INTO dashboard_tombstones (team_id, slug, object_generation) VALUES (:t, 'flights', :g)",
            t=board.team,
            g=stored.generation,
        )
        return verdict

    indexing.examine = delete_meanwhile
    try:
        board.cloud.sql("DELETE FROM attempts WHERE step = 'dashboards-index-dashboard'")
        assert board.finalized(stored) == 204
    finally:
        indexing.examine = real
    assert board.row() is None


def test_only_the_owner_or_an_admin_may_replace_or_delete(board: Any, document_text: str) -> None:
    """A member reads; strangers do not even learn that it exists."""
    saved = board.save().json
    member, stranger = board.member(), board.cloud.person("stranger")
    board.cloud.team(stranger)
    body = {"yaml_content": document_text.replace("2013", "2014", 1)}
    match = {"If-Match": f'"{saved["generation"]}"'}
    path = "/v1/dashboards/flights"
    assert board.call("GET", path, as_=member).json["can_edit"] is False
    assert board.call("PUT", f"{path}/yaml", body, headers=match, as_=member).status == 403
    assert board.call("DELETE", path, as_=member).status == 403
    draft = {"team_id": board.team, "yaml_content": document_text, "expected_generation": saved["generation"]}
    assert board.call("POST", "/v1/dashboards", draft, as_=member).status == 403
    for method, place, sent in (("GET", path, None), ("GET", f"{path}/data", None), ("DELETE", path, None)):
        assert board.call(method, place, sent, as_=stranger).status == 404


def test_a_slug_in_two_of_my_teams_needs_the_team(board: Any) -> None:
    """AMBIGUOUS_SLUG, and ?team_id= settles it."""
    board.save()
    other = board.cloud.team(board.admin)
    board.connect(other, board.admin)
    text = board.call("GET", "/v1/dashboards/flights/yaml").content.decode()
    made = board.call("POST", "/v1/dashboards", {"team_id": other, "yaml_content": text})
    assert made.status == 201, made.content
    answer = board.call("GET", "/v1/dashboards/flights")
    assert answer.error["code"] == "AMBIGUOUS_SLUG"
    assert board.call("GET", f"/v1/dashboards/flights?team_id={other}").json["team_id"] == other


def test_a_replacement_must_name_what_it_replaces_and_keep_its_slug(board: Any, document_text: str) -> None:
    """If-Match is required; another slug is refused by field."""
    saved = board.save().json
    path = "/v1/dashboards/flights/yaml"
    assert board.call("PUT", path, {"yaml_content": document_text}).error["field"] == "If-Match"
    renamed = {"yaml_content": document_text.replace("slug: flights", "slug: others")}
    answer = board.call("PUT", path, renamed, headers={"If-Match": f'"{saved["generation"]}"'})
    assert (answer.status, answer.error["field"]) == (400, "slug")


def test_history_tells_what_changed_and_keeps_every_text(board: Any, document_text: str) -> None:
    """Each version has its summary in words; the first text can still be read."""
    saved = board.save().json
    changed = document_text.replace("COUNT(*) AS flights", "COUNT(1) AS flights").replace(
        "mark: line", "mark: area"
    )
    match = {"If-Match": f'"{saved["generation"]}"'}
    assert (
        board.call("PUT", "/v1/dashboards/flights/yaml", {"yaml_content": changed}, headers=match).status
        == 200
    )
    history = board.call("GET", "/v1/dashboards/flights/versions?limit=1").json
    assert history["versions"][0]["summary"] == ["query monthly: SQL changed", "tile trend: options changed"]
    older = board.call("GET", f"/v1/dashboards/flights/versions?limit=1&cursor={history['next_cursor']}").json
    assert [line["version"] for line in older["versions"]] == [1]
    assert b"COUNT(*)" in board.call("GET", "/v1/dashboards/flights/versions/1").content
    assert board.call("GET", "/v1/dashboards/flights/versions/9").status == 404


def test_lineage_reaches_the_column_where_it_is_plain(board: Any) -> None:
    """Each query's table, the columns it names, and the tiles that show it."""
    board.save()
    edges = board.cloud.sql(
        "SELECT query_id, table_name, column_path, tiles FROM lineage_edges WHERE team_id = :t ORDER BY 1, 3",
        t=board.team,
    )
    assert [(e["query_id"], e["column_path"]) for e in edges if e["query_id"] == "monthly"] == [
        ("monthly", ""),
        ("monthly", "carrier"),
        ("monthly", "day"),
        ("monthly", "delay"),
    ]
    assert {e["table_name"] for e in edges} == {"demo.flights.flights"}
    assert edges[0]["tiles"] == ["list", "trend"]


def test_lists_are_filtered_and_paged(board: Any, document_text: str) -> None:
    """By words, tag, view type and owner; a cursor goes on where the page ended."""
    for n in range(3):
        assert board.save(document_text.replace("slug: flights", f"slug: flights-{n}")).status == 201
    path = f"/v1/teams/{board.team}/dashboards"
    first = board.call("GET", f"{path}?limit=2").json
    rest = board.call("GET", f"{path}?limit=2&cursor={first['next_cursor']}").json
    assert [line["slug"] for line in first["dashboards"] + rest["dashboards"]] == [
        "flights-2",
        "flights-1",
        "flights-0",
    ]
    assert first["dashboards"][0]["tile_count"] == 3
    assert len(board.call("GET", f"{path}?q=HOW MANY&tag=flights").json["dashboards"]) == 3
    assert board.call("GET", f"{path}?tag=other").json["dashboards"] == []
    assert board.call("GET", f"{path}?view_type=strategic").json["dashboards"] == []


def test_a_free_slug_continues_the_wanted_one(board: Any, document_text: str) -> None:
    """flights, flights-2, flights-3."""
    from shared.dashboards import service

    assert service.free_slug(board.team, "flights") == "flights"
    board.save()
    assert service.free_slug(board.team, "flights") == "flights-2"
