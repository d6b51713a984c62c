"""What a dashboard's queries scan is taken from the team's quota of bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.platform.registry.gathered import RATES


def used(board: Any) -> tuple[int, int]:
    """Bytes used and reserved of the team's day."""
    rows = board.cloud.sql(
        "SELECT used, reserved FROM spend_counters WHERE team_id = :team AND name = 'warehouse_bytes'",
        team=board.team,
    )
    return (int(rows[0]["used"]), int(rows[0]["reserved"])) if rows else (0, 0)


def limit(monkeypatch: pytest.MonkeyPatch, **limits: int) -> None:
    from shared.platform import settings

    monkeypatch.setenv("BRIDGE_LIMITS", json.dumps(dict.fromkeys(RATES, 1_600_000) | limits))
    settings.settings.cache_clear()


def test_a_load_spends_what_its_queries_scan_and_a_cached_one_nothing(board: Any) -> None:
    """Three executions of a thousand bytes each; the second load comes from the cache."""
    board.save()
    board.data()
    assert used(board) == (len(board.warehouse.executions) * 1_000, 0) == (3_000, 0)
    board.data()
    assert used(board) == (3_000, 0)


def test_a_query_beyond_the_quota_is_not_run(board: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tile says so, with what to do; nothing is executed and nothing stays reserved."""
    board.save()
    limit(monkeypatch, warehouse_bytes=999)
    queries = board.data()["queries"]
    assert {query["error"]["code"] for query in queries.values()} == {"QUOTA_EXCEEDED"}
    assert "administrator" in queries["monthly"]["error"]["message"]
    assert board.warehouse.executions == []
    assert used(board) == (0, 0)
    limit(monkeypatch)
    answer = board.call("GET", "/v1/dashboards/flights/data?carrier=AA")
    assert answer.json["queries"]["monthly"]["error"] is None


def test_a_query_that_fails_gives_its_bytes_back(board: Any) -> None:
    """What was promised for it can be spent by the next."""
    from shared.warehouses.declared import WarehouseUnavailable

    board.save()
    board.warehouse.broken = WarehouseUnavailable()
    board.data()
    assert used(board) == (0, 0)
