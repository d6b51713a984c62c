"""Dashboards through the gateway, with the queue, the events and the warehouse of the laptop's cloud."""

from __future__ import annotations

import textwrap
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.patience import until

pytestmark = pytest.mark.stack


def departures(slug: str, connection: str) -> str:
    """A dashboard over the demo data."""
    return textwrap.dedent(
        f"""\
        version: 1
        kind: dashboard
        slug: {slug}
        title: Departures from New York
        connection: {connection}
        filters:
          - {{id: period, type: date_range, default: {{start: "2013-01-01", end: "2013-12-31"}}}}
          - {{id: carrier, type: multi_select, options_query: carriers}}
        queries:
          - id: carriers
            sql: SELECT DISTINCT carrier FROM nycflights.flights ORDER BY carrier
          - id: monthly
            sql: |
              SELECT DATE_TRUNC(flight_date, MONTH) AS month, carrier, COUNT(*) AS flights
              FROM nycflights.flights
              WHERE (@period_start IS NULL OR flight_date >= @period_start)
                AND (@period_end IS NULL OR flight_date <= @period_end)
                AND (ARRAY_LENGTH(@carrier) = 0 OR carrier IN UNNEST(@carrier))
              GROUP BY month, carrier ORDER BY month, carrier
          - id: total
            sql: SELECT SUM(flights) AS flights FROM {{{{ ref('monthly') }}}}
        layout:
          - {{id: all, type: kpi, query: total, title: Flights, options: {{value: flights, compare: previous_year}}}}
          - {{id: trend, type: chart, query: monthly, options: {{mark: line, x: month, y: flights, series: carrier}}}}
          - {{id: list, type: table, query: monthly}}
        """
    )


@pytest.fixture
def slug() -> str:
    return f"departures-{uuid.uuid4().hex[:8]}"


def save(world: Any, slug: str, **options: Any) -> Any:
    body = {"team_id": world.team_id, "yaml_content": departures(slug, world.connection_id)}
    answer = world.post("/v1/dashboards", body, **options)
    assert answer.status == 201, answer.content
    return answer.json


def test_a_dashboard_is_saved_warmed_and_served_from_the_cache(world: Any, slug: str) -> None:
    """Save, the queue warms it, the first reader finds it cached; all 336,776 flights are counted."""
    saved = save(world, slug)
    path = f"/v1/dashboards/{slug}"
    data = until(lambda: (found := world.get(f"{path}/data").json)["cached"] and found)
    assert data["queries"]["total"]["rows"] == [[336776]]
    assert data["queries"]["monthly"]["metadata"]["bytes_scanned"] > 0
    assert data["queries"]["carriers"]["rows"][0] == ["9E"]
    half = world.get(f"{path}/data?carrier=UA&period=2013-01-01..2013-06-30").json
    assert {row[1] for row in half["queries"]["monthly"]["rows"]} == {"UA"}
    page = world.get(path).json
    assert (page["version"], page["generation"]) == (1, str(saved["generation"]))
    assert world.delete(path).status == 204
    assert world.get(path).status == 404
    assert world.delete(path).status == 204


def test_a_file_put_into_the_bucket_is_found_by_its_event(world: Any, slug: str) -> None:
    """The bucket's finalize event makes the row: a valid one, or an invalid one that says why."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    client = storage.Client(
        project="bridge-local",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": world.stack.env["STORAGE_EMULATOR_HOST"]},
    )
    bucket = client.bucket("bridge-local-dashboards")
    path = f"/v1/dashboards/{slug}"
    text = departures(slug, world.connection_id)
    bucket.blob(f"{world.team_id}/{slug}.yaml").upload_from_string(text.replace("y: flights", "y: nothing"))
    invalid = until(lambda: (found := world.get(path)).status == 200 and found.json)
    assert invalid["status"] == "invalid"
    assert invalid["errors"][0]["message"] == "The result has no column nothing."
    bucket.blob(f"{world.team_id}/{slug}.yaml").upload_from_string(text)
    until(lambda: world.get(path).json["status"] == "ready")
    assert world.get(f"{path}/data").json["queries"]["total"]["rows"] == [[336776]]


def test_many_cold_readers_of_one_dashboard_all_get_their_rows(world: Any, slug: str) -> None:
    """Two workers, many threads, new filter values: nobody waits for ever and nobody gets an error."""
    save(world, slug)

    def read(_n: int) -> Any:
        return world.__class__(world.stack).get(f"/v1/dashboards/{slug}/data?period=2013-02-01..2013-03-31")

    with ThreadPoolExecutor(16) as workers:
        answers = list(workers.map(read, range(32)))
    assert {answer.status for answer in answers} == {200}
    assert {str(answer.json["queries"]["total"]["rows"]) for answer in answers} == {"[[53785]]"}


def test_strangers_and_members_of_other_teams_find_nothing(world: Any, slug: str) -> None:
    """Every route of the dashboard answers as if it did not exist."""
    save(world, slug)
    stranger = world.person("stranger")
    world.team(stranger)
    path = f"/v1/dashboards/{slug}"
    for method, place in [
        ("GET", path), ("GET", f"{path}/yaml"), ("GET", f"{path}/data"), ("GET", f"{path}/plan"),
        ("GET", f"{path}/versions"), ("GET", f"{path}/query/total/data"), ("DELETE", path),
        ("POST", f"{path}/precompute"), ("POST", f"{path}/purge"),
    ]:  # fmt: skip
        assert world.request(method, place, as_=stranger).status == 404, place
        assert world.request(method, place, as_=None).status == 401, place
