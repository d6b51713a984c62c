"""Data comes from the nearest cache that may answer, and is computed once however many ask."""

from __future__ import annotations

import gzip
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.warehouses.declared import QueryInvalid
from tests.apart import Apart


@pytest.fixture
def forget() -> Any:
    """Makes this process a new instance."""
    import sys

    return next(
        module.forget_memory
        for name, module in sys.modules.items()
        if name.endswith("conftest") and hasattr(module, "forget_memory")
    )


def test_the_second_load_comes_from_the_cache(board: Any, forget: Any) -> None:
    """From memory in this instance and from the shared entries in another; the rows are the same."""
    board.save()
    first = board.data()
    executed = len(board.warehouse.executions)
    second = board.data()
    forget()
    third = board.data()
    assert (first["cached"], second["cached"], third["cached"]) == (False, True, True)
    assert len(board.warehouse.executions) == executed == 3
    for later in (second, third):
        assert later["queries"]["monthly"]["rows"] == first["queries"]["monthly"]["rows"]
        assert later["loaded_at"] == first["loaded_at"]
        assert later["queries"]["monthly"]["metadata"]["cached"] is True
    assert first["queries"]["monthly"]["rows"][0] == ["2013-01-01", "AA", 104, 30.0]
    assert first["queries"]["monthly"]["columns"][0] == {"name": "month", "type": "DATE"}


def test_a_cached_load_costs_two_short_transactions_and_nothing_else(
    board: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is asking, and which dashboard: no Firestore, no object, no warehouse, no write."""
    from shared.platform.cloud import documents, objects
    from shared.platform.postgres import pool

    board.save()
    board.data()
    calls: list[str] = []
    for module, name in (
        (pool, "transaction"),
        (documents, "get_many"),
        (documents, "change"),
        (objects, "get"),
        (objects, "put"),
    ):
        real = getattr(module, name)

        def counted(*args: Any, _real: Any = real, _name: str = name, **options: Any) -> Any:
            calls.append(_name)
            return _real(*args, **options)

        monkeypatch.setattr(module, name, counted)
    before = len(board.warehouse.executions), board.warehouse.dry_runs
    assert board.data()["cached"] is True
    assert calls == ["transaction", "transaction"]
    assert (len(board.warehouse.executions), board.warehouse.dry_runs) == before


def test_a_comparison_runs_the_same_query_over_the_year_before(board: Any) -> None:
    """There were no flights in 2012; without a closed range there is nothing to compare with."""
    board.save()
    assert board.data()["queries"]["total__previous_year"]["rows"] == [[None]]
    half = board.data(query="period=2013-07-01..2013-12-31")
    assert half["queries"]["total"]["rows"] == [[1840]]
    assert "total__previous_year" not in board.data(query="period=")["queries"]


def test_filters_are_bound_and_remembered_apart(board: Any) -> None:
    """Each choice has its own results; the order of the choices does not matter."""
    board.save()
    some = board.data(query="carrier=DL&carrier=AA")
    assert {row[1] for row in some["queries"]["monthly"]["rows"]} == {"AA", "DL"}
    assert some["filters"]["carrier"] == ["AA", "DL"]
    executed = len(board.warehouse.executions)
    board.data(query="carrier=AA&carrier=DL")
    assert len(board.warehouse.executions) == executed


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("carier=AA", "carier"),
        ("carrier=ZZ", "carrier"),
        ("period=yesterdayish", "period"),
        ("period=2013-02-01..2013-01-01", "period"),
        ("period=today&period=yesterday", "period"),
        ("carrier=AA%27%20OR%201%3D1", "carrier"),
    ],
)
def test_a_bad_filter_is_refused_by_name(board: Any, query: str, field: str) -> None:
    """400 with the field, whatever was sent; nothing reaches the warehouse."""
    board.save()
    answer = board.call("GET", f"/v1/dashboards/flights/data?{query}")
    assert (answer.status, answer.error["field"]) == (400, field)
    assert board.warehouse.executions == []


def test_two_hundred_cold_requests_execute_each_query_once(
    board: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads of many instances ask at once: one lease a key, one execution, everybody gets rows."""
    from shared.dashboards import serving
    from shared.dashboards.results import settling

    board.save()
    board.warehouse.delay = 0.3
    for module in (serving, settling):
        monkeypatch.setattr(module, "_flight", Apart())
    with ThreadPoolExecutor(16) as workers:
        answers = list(workers.map(lambda _n: board.data(), range(200)))
    assert len(board.warehouse.executions) == len(set(answers[0]["queries"])) == 3
    assert all(answer["queries"]["total"]["rows"] == [[3650]] for answer in answers)


def test_threads_of_one_instance_share_one_answer(board: Any) -> None:
    """The first composes, the others wait for it and look nothing up."""
    board.save()
    board.warehouse.delay = 0.2
    with ThreadPoolExecutor(12) as workers:
        answers = list(workers.map(lambda _n: board.data(), range(24)))
    assert len(board.warehouse.executions) == 3
    assert {json.dumps(answer["queries"]["total"]["rows"]) for answer in answers} == {"[[3650]]"}


def test_one_failing_query_does_not_take_the_others_down(board: Any, document_text: str) -> None:
    """Its tile gets the reason; the rest gets rows; it is not asked again at every load."""
    board.save()
    board.warehouse._database.execute("ALTER TABLE demo.flights.flights RENAME delay TO lateness")
    text = document_text.replace("slug: flights", "slug: parts").replace(", AVG(delay) AS delay", "")
    board.save(text)
    data = board.data()
    assert data["queries"]["monthly"]["error"]["code"] == "QUERY_INVALID"
    assert data["queries"]["monthly"]["rows"] == []
    runs = board.warehouse.dry_runs
    assert board.data()["queries"]["monthly"]["error"]["code"] == "QUERY_INVALID"
    assert board.warehouse.dry_runs == runs
    assert board.data("parts")["queries"]["total"]["rows"] == [[3650]]


def test_a_stale_result_is_served_while_one_refresh_is_promised(board: Any, forget: Any) -> None:
    """Many readers of a soft-stale result queue one step; after it the data is new."""
    board.save()
    board.data()
    age(board, fresh=-10, serve=+600)
    forget()
    already = len(board.sent("dashboards-warm-dashboard"))
    readings = []
    for _ in range(3):
        readings.append(board.data())
        forget()
    assert [reading["stale"] for reading in readings] == [True, True, True]
    assert readings[0]["queries"]["total"]["rows"] == [[3650]]
    promised = board.sent("dashboards-warm-dashboard")[already:]
    assert len(promised) == 1
    executed = len(board.warehouse.executions)
    assert board.step("dashboards-warm-dashboard", promised[0]) == 204
    assert len(board.warehouse.executions) == executed + 3
    forget()
    assert board.data()["stale"] is False


def test_a_hard_stale_result_is_never_served(board: Any, forget: Any) -> None:
    """Past its window a result counts as absent, also where the warehouse is down."""
    board.save()
    board.data()
    age(board, fresh=-20, serve=-10)
    forget()
    board.warehouse.fall_over()
    data = board.data()
    assert data["queries"]["total"]["error"]["code"] == "WAREHOUSE_UNAVAILABLE"
    assert data["queries"]["total"]["rows"] == []


def test_a_failed_refresh_keeps_the_stale_result_and_is_not_repeated_at_once(board: Any, forget: Any) -> None:
    """The lease is given back, readers keep their rows, nobody hammers a warehouse that is down."""
    board.save()
    board.data()
    age(board, fresh=-10, serve=+600)
    forget()
    board.data()
    promised = board.sent("dashboards-warm-dashboard")[-1]
    board.warehouse.fall_over()
    assert board.step("dashboards-warm-dashboard", promised) == 503
    forget()
    data = board.data()
    assert (data["stale"], data["queries"]["total"]["rows"]) == (True, [[3650]])
    assert board.sent("dashboards-warm-dashboard")[-1] == promised
    board.warehouse.broken = None
    assert board.step("dashboards-warm-dashboard", promised) == 204


def test_an_unchanged_answer_is_304_and_bytes_are_sent_as_they_lie(board: Any) -> None:
    """One ETag for the cold and the cached answer; gzip for who takes it, plain for who does not."""
    board.save()
    path = "/v1/dashboards/flights/data"
    cold = board.call("GET", path)
    warm = board.call("GET", path, headers={"Accept-Encoding": "br, gzip;q=0.8"})
    refused = board.call("GET", path, headers={"Accept-Encoding": "gzip;q=0"})
    assert cold.headers["ETag"] == warm.headers["ETag"]
    assert warm.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(warm.content)) == refused.json
    assert "Content-Encoding" not in refused.headers
    assert "no-store" not in warm.headers["Cache-Control"]
    same = board.call("GET", path, headers={"If-None-Match": warm.headers["ETag"]})
    assert (same.status, same.content) == (304, b"")


def test_a_new_version_or_a_purge_makes_old_results_unreachable(
    board: Any, forget: Any, document_text: str
) -> None:
    """On every instance at once, since the version and the epoch are in every key."""
    saved = board.save().json
    board.data()
    assert board.call("POST", "/v1/dashboards/flights/purge").json == {"purged": True}
    assert board.data()["cached"] is False
    text = document_text.replace("COUNT(*) AS flights", "COUNT(*) * 2 AS flights")
    match = {"If-Match": f'"{saved["generation"]}"'}
    assert (
        board.call("PUT", "/v1/dashboards/flights/yaml", {"yaml_content": text}, headers=match).status == 200
    )
    assert board.data()["queries"]["total"]["rows"] == [[7300]]
    assert board.data()["version"] == 2


def test_what_was_read_with_other_credentials_is_not_served(board: Any) -> None:
    """A rotation can lead to another project: neither memory nor the shared entries answer for it."""
    board.save()
    board.data()
    assert board.data()["cached"] is True
    board.cloud.sql(
        "UPDATE connections SET credentials_generation = credentials_generation + 1 WHERE id = :id",
        id=board.connection,
    )
    assert board.data()["cached"] is False


def test_a_connection_that_lost_its_validation_serves_nothing_from_memory(board: Any) -> None:
    """Its data is not shown any longer than it may be read."""
    board.save()
    board.data()
    board.cloud.sql("UPDATE connections SET status = 'failed' WHERE id = :id", id=board.connection)
    refused = board.call("GET", "/v1/dashboards/flights/data")
    assert (refused.status, refused.error["code"]) == (409, "CONNECTION_NOT_VALIDATED")


def test_a_removed_member_gets_nothing_more_cached_or_not(board: Any) -> None:
    """Membership is read at each request, before the cache."""
    board.save()
    member = board.member()
    assert board.data(as_=member)["version"] == 1
    board.cloud.sql("DELETE FROM team_members WHERE user_id = :u", u=member.id)
    assert board.call("GET", "/v1/dashboards/flights/data", as_=member).status == 404


def test_the_same_slug_in_two_teams_never_shares_results(board: Any) -> None:
    """The team is in the key, and the other team's connection too."""
    board.save()
    board.data()
    other = board.cloud.person("other")
    team = board.cloud.team(other)
    board.connect(team, other)
    text = board.call("GET", "/v1/dashboards/flights/yaml").content.decode()
    made = board.call("POST", "/v1/dashboards", {"team_id": team, "yaml_content": text}, as_=other)
    assert made.status == 201, made.content
    executed = len(board.warehouse.executions)
    assert board.data(as_=other)["cached"] is False
    assert len(board.warehouse.executions) == executed + 3


def test_rows_of_a_query_are_paged_and_large_results_are_cut_for_tiles(
    board: Any, document_text: str
) -> None:
    """A tile gets 100 KB with a warning; the query's own address gives all rows, page by page."""
    text = document_text.replace("slug: flights", "slug: wide").replace(
        "SELECT DATE_TRUNC(day, MONTH) AS month, carrier, COUNT(*) AS flights, AVG(delay) AS delay",
        "SELECT day AS month, carrier, 1 AS flights, REPEAT('x', 60) AS pad",
    )
    text = text.replace("      GROUP BY month, carrier ORDER BY month, carrier\n", "")
    assert board.save(text).status == 201
    monthly = board.data("wide")["queries"]["monthly"]
    assert monthly["metadata"]["row_count"] == 3650
    assert monthly["metadata"]["truncated"] is True
    assert "of 3,650 rows are shown" in monthly["metadata"]["warnings"][0]
    assert len(json.dumps(monthly["rows"], separators=(",", ":"))) <= 100 * 1024
    seen, cursor = 0, ""
    for _ in range(4):
        page = board.call("GET", f"/v1/dashboards/wide/query/monthly/data?limit=1000{cursor}").json
        seen += len(page["rows"])
        cursor = f"&cursor={page['next_cursor']}"
    assert (seen, page["has_more"]) == (3650, False)
    bad = board.call("GET", "/v1/dashboards/wide/query/monthly/data?cursor=WzEsMl0")
    assert bad.error["code"] == "INVALID_CURSOR"
    assert board.call("GET", "/v1/dashboards/wide/query/nothing/data").status == 404


@pytest.mark.parametrize("trouble", ["bytes", "tables"])
def test_the_dry_run_is_asked_before_every_execution(board: Any, trouble: str) -> None:
    """A table that grew over the cap, or a view that leads elsewhere since, is not run."""
    board.save()
    if trouble == "bytes":
        board.warehouse.bytes_scanned = 100_000_000
    else:
        board.warehouse.also_reads = ("demo.secret.people",)
    data = board.data()
    wanted = {"bytes": "BYTES_CAP_EXCEEDED", "tables": "DATASET_NOT_ALLOWED"}[trouble]
    assert {query["error"]["code"] for query in data["queries"].values()} == {wanted}
    assert board.warehouse.executions == []


def test_the_plan_shows_what_would_run(board: Any) -> None:
    """Stages, bound parameters, keys, caps; the clock and filters are parameters, refs are WITH."""
    board.save()
    plan = board.call("GET", "/v1/dashboards/flights/plan?carrier=AA").json
    assert plan["stages"] == [["monthly"], ["total", "total__previous_year"]]
    total = next(query for query in plan["queries"] if query["id"] == "total")
    assert total["sql"].startswith("WITH ref_monthly AS (")
    assert {"name": "carrier", "type": "ARRAY<STRING>", "value": ["AA"]} in total["parameters"]
    assert total["max_bytes"] == 100_000_000
    assert board.warehouse.executions == []


def test_a_lost_firestore_is_an_honest_503(board: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the leases nothing would keep a crowd from the warehouse."""
    from shared.dashboards.results import entries
    from shared.platform.errors import Unavailable

    board.save()

    def lost(*_anything: Any) -> Any:
        raise Unavailable("Firestore is not reachable.", retry_after=1)

    monkeypatch.setattr(entries.documents, "get_many", lost)
    answer = board.call("GET", "/v1/dashboards/flights/data")
    assert (answer.status, answer.error["retryable"]) == (503, True)


def test_an_unexpected_error_of_a_query_is_told_without_its_text(board: Any) -> None:
    """A driver's words stay in the log."""
    board.save()
    board.warehouse.broken = RuntimeError("password=hunter2")
    answer = board.call("GET", "/v1/dashboards/flights/data")
    assert answer.json["queries"]["total"]["error"]["code"] == "INTERNAL"
    assert b"hunter2" not in answer.content
    board.warehouse.broken = QueryInvalid("no such column")


def age(board: Any, *, fresh: float, serve: float) -> None:
    """Let time pass for every entry of the team."""
    from shared.platform.cloud import documents

    now = time.time()
    for found in documents.client().collection("results").stream():
        if f":{board.team}:" in found.id:
            found.reference.update({"fresh_until": now + fresh, "serve_until": now + serve})
