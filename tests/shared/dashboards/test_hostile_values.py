"""Values that are easily misread, through the real doors: kept as they are, or refused with field and reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

HARD = ["null", "NULL", "Null", "a,b", "{}", '"', "\\", '\\"', "'", " ", "{null}", "é😀"]
NOTHING_FITS = "ALTER TABLE dashboards ADD CONSTRAINT refused_by_a_test CHECK (title <> 'Refused') NOT VALID"
ALL_FITS = "ALTER TABLE dashboards DROP CONSTRAINT refused_by_a_test"


@pytest.fixture
def picky(board: Any) -> Iterator[Any]:
    """A directory that refuses the row of a dashboard called Refused, after its object was written."""
    board.cloud.sql(NOTHING_FITS)
    yield board
    board.cloud.sql(ALL_FITS)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def test_tags_are_the_texts_that_the_author_wrote(board: Any, document_text: str) -> None:
    """In the list, on the dashboard and as a filter, whatever they look like to a database."""
    tags = ", ".join(quoted(tag) for tag in HARD)
    assert board.save(document_text.replace("[flights]", f"[{tags}]")).status == 201
    (line,) = board.call("GET", f"/v1/dashboards?team_id={board.team}").json["dashboards"]
    assert line["tags"] == HARD
    assert board.call("GET", "/v1/dashboards/flights").json["tags"] == HARD
    found = board.call("GET", f"/v1/dashboards?team_id={board.team}&tag=null").json["dashboards"]
    assert [line["slug"] for line in found] == ["flights"]


@pytest.mark.parametrize(
    ("old", "new", "path", "reason"),
    [
        ("ttl_seconds: 3600", "ttl_seconds: 3600, schedule: '0 0 31 2 *'", "refresh.schedule", "never fires"),
        ("ttl_seconds: 3600", "ttl_seconds: 3600, schedule: '0 6 30-31 feb *'", "refresh.schedule", "never fires"),
        ("mark: line, x: month, y: flights, series: carrier", f"vega_lite: {{mark: bar, width: 0x{'f' * 9_000}}}", "yaml_content", "longer than 400"),
        ("compare: previous_year", f"compare: 0x{'f' * 9_000}", "yaml_content", "longer than 400"),
        ("compare: previous_year", f"compare: 1{':0' * 173}:0.0", "yaml_content", "out of range"),
        ("title: By month", 'title: "\\ud800"', "yaml_content", "surrogate"),
    ],
)  # fmt: skip
def test_what_can_not_be_saved_is_refused_and_leaves_nothing(
    board: Any, document_text: str, old: str, new: str, path: str, reason: str
) -> None:
    """By validation and by the save, with the place; and the slug is free for the next save."""
    text = document_text.replace(old, new)
    body = {"team_id": board.team, "yaml_content": text}
    report = board.call("POST", "/v1/dashboards/validate", body)
    assert (report.status, report.json["valid"]) == (200, False)
    refused = board.save(text)
    assert (refused.status, refused.error["code"], refused.error["field"]) == (422, "DASHBOARD_INVALID", path)
    assert reason in refused.error["message"]
    assert board.call("GET", "/v1/dashboards/flights").status == 404
    assert board.save(document_text).status == 201


def test_a_new_object_whose_row_is_refused_is_taken_back(picky: Any, document_text: str) -> None:
    """The slug is free again, as GET says, and the event of the object that is gone finds nothing to do."""
    from shared.platform.cloud import objects

    written: list[Any] = []
    put = objects.put

    def seen(*arguments: Any, **options: Any) -> Any:
        written.append(put(*arguments, **options))
        return written[-1]

    objects.put = seen
    try:
        refused = picky.save(document_text.replace("Flights of 2013", "Refused"))
    finally:
        objects.put = put
    assert refused.status == 500
    assert [stored.name for stored in written] == [f"{picky.team}/flights.yaml"]
    assert objects.head("dashboards", written[0].name) is None
    assert picky.call("GET", "/v1/dashboards/flights").status == 404
    assert picky.finalized(written[0]) == 204
    assert picky.row() is None
    again = picky.save(document_text)
    assert (again.status, again.json["version"]) == (201, 1)
    assert picky.call("GET", "/v1/dashboards/flights").json["title"] == "Flights of 2013"


def test_a_replacement_whose_row_is_refused_leaves_the_dashboard_as_it_was(
    picky: Any, document_text: str
) -> None:
    """Its text is the current one, its page and its text name one generation, and it can be saved over."""
    from shared.platform.cloud import objects

    first = picky.save().json
    before = picky.call("GET", "/v1/dashboards/flights/yaml").content

    def replace(text: str) -> Any:
        now = picky.call("GET", "/v1/dashboards/flights/yaml").headers["ETag"]
        return picky.call(
            "PUT", "/v1/dashboards/flights/yaml", {"yaml_content": text}, headers={"If-Match": now}
        )

    assert replace(document_text.replace("Flights of 2013", "Refused")).status == 500
    page = picky.call("GET", "/v1/dashboards/flights").json
    text = picky.call("GET", "/v1/dashboards/flights/yaml")
    assert (page["title"], page["status"], page["version"]) == ("Flights of 2013", "ready", 1)
    assert text.content == before
    assert text.headers["ETag"] == f'"{page["generation"]}"' != f'"{first["generation"]}"'
    current = objects.head("dashboards", f"{picky.team}/flights.yaml")
    assert picky.finalized(current) == 204
    assert picky.row()["version"] == 1
    assert picky.call("GET", "/v1/dashboards/flights/versions/1").content == before
    assert replace(document_text.replace("Flights of 2013", "Better")).json["version"] == 2
    assert picky.call("GET", "/v1/dashboards/flights").json["title"] == "Better"


def test_an_object_that_a_stranger_to_the_api_put_there_ends_as_a_visible_row(
    picky: Any, document_text: str
) -> None:
    """Nobody takes it back, so its row says that it could not be indexed, and the next object heals it."""
    stored = picky.put_object("flights.yaml", document_text.replace("Flights of 2013", "Refused"))
    assert picky.finalized(stored, tries=7) == 204
    assert picky.row()["status"] == "invalid"
    assert picky.finalized(picky.put_object("flights.yaml", document_text)) == 204
    assert picky.row()["status"] == "ready"


@pytest.mark.parametrize(
    "number", ["⁰", "²", "١", "１", "-1", "+1", "1_0", "0x1", "9" * 30, "2147483648", "1.0", "0"]
)
def test_a_version_that_there_is_not_is_not_found(board: Any, number: str) -> None:
    """Also one in digits of another script."""
    board.save()
    assert board.call("GET", f"/v1/dashboards/flights/versions/{number}").status == 404


@pytest.mark.parametrize("etag", ['"²"', "²", '"' + "9" * 5_000 + '"', '"-1"', '"1_0"', "*", '""'])
def test_a_generation_that_is_no_number_is_refused(board: Any, document_text: str, etag: str) -> None:
    """With the header's name, and nothing is written."""
    board.save()
    answer = board.call(
        "PUT", "/v1/dashboards/flights/yaml", {"yaml_content": document_text}, headers={"If-Match": etag}
    )
    assert (answer.status, answer.error["field"]) == (400, "If-Match")
    assert board.row()["version"] == 1


def test_a_range_at_the_beginning_of_the_calendar_has_no_period_before(
    board: Any, document_text: str
) -> None:
    """The page gets its data; the figure is compared with nothing."""
    board.save(document_text.replace("compare: previous_year", "compare: previous_period"))
    for span in ("0001-01-01..0001-01-02", "0001-01-01..9999-12-31", "9999-12-01..9999-12-31"):
        queries = board.data(query=f"period={span}")["queries"]
        assert queries["total"]["error"] is None
        assert ("total__previous_period" in queries) == span.startswith("9999")


@pytest.mark.parametrize(
    "query", ["period=٢٠١٣-01-01..", "period=last_٣_days", "period=2013-W01-1..", "period=0000-01-01.."]
)
def test_a_day_in_another_script_or_form_is_refused_with_its_field(board: Any, query: str) -> None:
    """As an address may hold anything."""
    board.save()
    answer = board.call("GET", f"/v1/dashboards/flights/data?{query}")
    assert (answer.status, answer.error["field"]) == (400, "period")
