"""Dashboards over real servers: Postgres, Cloud Storage, KMS and Firestore, with a warehouse that counts."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules.get(name) or importlib.util.module_from_spec(spec)
    if name not in sys.modules:
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return module


DOCUMENT = textwrap.dedent(
    """\
    # A comment that must survive a save.
    version: 1
    kind: dashboard
    slug: flights
    title: Flights of 2013
    description: How many, how late.
    tags: [flights]
    connection: Warehouse
    refresh: {ttl_seconds: 3600, stale_while_revalidate_seconds: 7200}
    filters:
      - id: period
        type: date_range
        default: {start: "2013-01-01", end: "2013-12-31"}
      - {id: carrier, type: multi_select, options: [AA, DL, UA]}
    queries:
      - id: monthly
        sql: |
          SELECT DATE_TRUNC(day, MONTH) AS month, carrier, COUNT(*) AS flights, AVG(delay) AS delay
          FROM flights.flights
          WHERE (@period_start IS NULL OR day >= @period_start) AND (@period_end IS NULL OR day <= @period_end)
            AND (ARRAY_LENGTH(@carrier) = 0 OR carrier IN UNNEST(@carrier))
          GROUP BY month, carrier ORDER BY month, carrier
      - id: total
        sql: SELECT SUM(flights) AS flights FROM {{ ref('monthly') }}
    layout:
      - {id: all, type: kpi, query: total, title: Flights, options: {value: flights, compare: previous_year}}
      - {id: trend, type: chart, query: monthly, title: By month,
         options: {mark: line, x: month, y: flights, series: carrier}}
      - {id: list, type: table, query: monthly}
    """
)


class Board:
    """A team with a connection, and the doors of dashboards."""

    def __init__(self, cloud: Any, warehouse: Any) -> None:
        self.cloud, self.warehouse = cloud, warehouse
        self.post_office = sys.modules[type(cloud).__module__]
        known = {door.__bridge__.name for door in cloud.doors}
        for path in sorted((ROOT / "functions" / "dashboards").glob("*/main.py")):
            module = importlib.import_module(f"functions.dashboards.{path.parent.name}.main")
            door = getattr(module, path.parent.name)
            if door.__bridge__.name not in known:
                cloud.doors.append(door)
        self.admin = cloud.person("admin")
        self.team = cloud.team(self.admin)
        self.connection = self.connect(self.team, self.admin)

    def connect(self, team: str, of: Any) -> str:
        """A validated connection with one scanned dataset."""
        id = str(self.cloud.connection(team, of, validated=False))
        self.cloud.sql("UPDATE connections SET status = 'validated' WHERE id = :id", id=id)
        self.cloud.sql(
            "INSERT INTO datasets (id, team_id, connection_id, name, fully_qualified_name)"
            " VALUES (gen_random_uuid(), :team, :id, 'flights', 'demo.flights')",
            team=team,
            id=id,
        )
        return id

    def member(self, team: str | None = None) -> Any:
        """A member who is no admin."""
        someone = self.cloud.person("member")
        self.cloud.join(team or self.team, someone)
        return someone

    def call(self, method: str, path: str, body: Any = None, *, as_: Any = "admin", **options: Any) -> Any:
        return self.cloud.call(method, path, body, as_=self.admin if as_ == "admin" else as_, **options)

    def save(self, text: str = DOCUMENT, **options: Any) -> Any:
        return self.call("POST", "/v1/dashboards", {"team_id": self.team, "yaml_content": text}, **options)

    def data(self, slug: str = "flights", query: str = "", **options: Any) -> dict[str, Any]:
        answer = self.call("GET", f"/v1/dashboards/{slug}/data?{query}", **options)
        assert answer.status == 200, answer.content
        return dict(answer.json)

    def put_object(self, name: str, text: str, team: str | None = None) -> Any:
        """Write the bucket behind the API's back."""
        from shared.platform.cloud import objects

        return objects.put("dashboards", f"{team or self.team}/{name}", text.encode())

    def finalized(self, stored: Any, tries: int = 0) -> int:
        """Deliver the finalize event of an object; answers the status."""
        body = {
            "bucket": stored.bucket,
            "name": stored.name,
            "generation": str(stored.generation),
            "size": "1",
        }
        return int(
            self.cloud.deliver(
                self.post_office.Delivery("dashboards-index-dashboard", body, event=True), tries=tries
            )
        )

    def step(self, name: str, body: dict[str, Any]) -> int:
        """Deliver a task."""
        return int(self.cloud.deliver(self.post_office.Delivery(name, body, event=False)))

    def sent(self, step: str) -> list[dict[str, Any]]:
        """The messages to a step, oldest first."""
        rows = self.cloud.sql(
            "SELECT payload FROM outbox WHERE step = :step AND payload->>'team' = :team ORDER BY created_at, id",
            step=step,
            team=self.team,
        )
        return [
            row["payload"] if isinstance(row["payload"], dict) else json.loads(row["payload"]) for row in rows
        ]

    def row(self, slug: str = "flights") -> dict[str, Any] | None:
        rows = self.cloud.sql(
            "SELECT * FROM dashboards WHERE team_id = :team AND slug = :slug", team=self.team, slug=slug
        )
        return rows[0] if rows else None


@pytest.fixture
def board(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    """A team over the servers, with this instance's memory empty."""
    from shared.connections import credentials
    from shared.platform import settings
    from shared.platform.cloud import documents

    # 8 gunicorn threads and the pool of an instance: tests that ask at once need as many.
    monkeypatch.setenv("BRIDGE_POOL_SIZE", "16")
    settings.settings.cache_clear()
    documents.client.cache_clear()
    warehouse = _load("duck_warehouse").DuckWarehouse()
    monkeypatch.setattr(credentials, "warehouse", _Opened(warehouse))
    forget_memory()
    yield Board(cloud, warehouse)
    with contextlib.suppress(Exception):
        documents.client().close()
    documents.client.cache_clear()


class _Opened:
    """Opens the one warehouse for every connection; the cache that it stands for can be cleared."""

    def __init__(self, warehouse: Any) -> None:
        self.warehouse = warehouse

    def __call__(self, *_connection: Any) -> Any:
        return self.warehouse

    def cache_clear(self) -> None:
        """There is nothing to forget."""


def forget_memory() -> None:
    """What a new instance knows: nothing."""
    from shared.dashboards import serving
    from shared.dashboards.results import sources

    for cache in (serving._answers, serving._views, sources._sources):
        cache.clear()


@pytest.fixture
def document_text() -> str:
    """A small dashboard that uses every kind of reference."""
    return DOCUMENT


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Settings for what needs caps and no server."""
    from shared.platform import settings

    for name, value in {
        "BRIDGE_ENV": "local",
        "BRIDGE_BASE_URL": "http://127.0.0.1:1",
        "BRIDGE_STEP_URL": "http://127.0.0.1:1/{name}",
        "GOOGLE_CLOUD_PROJECT": "bridge-local",
        "DATABASE_URL": "postgresql://a:b@127.0.0.1/c",
        "BRIDGE_BUCKET_PREFIX": "bridge-local",
        "BRIDGE_KMS_KEY": "projects/p/locations/l/keyRings/k/cryptoKeys/c",
        "BRIDGE_STEP_SERVICE_ACCOUNT": "a@b.c",
        "BRIDGE_EVENTS_SERVICE_ACCOUNT": "a@b.c",
    }.items():
        monkeypatch.setenv(name, value)
    settings.settings.cache_clear()
    yield
    settings.settings.cache_clear()
