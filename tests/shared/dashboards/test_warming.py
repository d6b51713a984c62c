"""The cache is warmed after a save, when it is due, and by hand; each once."""

from __future__ import annotations

from typing import Any


def test_a_save_promises_a_warming_and_the_first_reader_finds_it_done(board: Any) -> None:
    """The message leaves with the row; delivered twice it computes once."""
    board.save()
    (message,) = board.sent("dashboards-warm-dashboard")
    assert board.step("dashboards-warm-dashboard", message) == 204
    executed = len(board.warehouse.executions)
    assert executed == 3
    assert board.step("dashboards-warm-dashboard", message) == 204
    assert len(board.warehouse.executions) == executed
    assert board.data()["cached"] is True
    assert board.row()["last_warmed_at"] is not None


def test_precompute_counts_what_it_ran_and_what_was_there(board: Any) -> None:
    """Admins only; a second call finds everything fresh."""
    board.save()
    path = "/v1/dashboards/flights/precompute"
    first = board.call("POST", path).json
    second = board.call("POST", path).json
    assert (first["success"], first["queries_executed"], first["cache_hits"]) == (True, 3, 0)
    assert (second["success"], second["queries_executed"], second["cache_hits"]) == (True, 0, 3)
    assert first["cache_key"] == second["cache_key"]
    assert board.call("POST", path, as_=board.member()).status == 403


def test_precompute_tells_which_query_failed(board: Any) -> None:
    """By id, with its code."""
    board.save()
    board.warehouse.bytes_scanned = 100_000_000
    done = board.call("POST", "/v1/dashboards/flights/precompute").json
    assert done["success"] is False
    assert {error["query"] for error in done["errors"]} == {"monthly", "total", "total__previous_year"}
    assert {error["code"] for error in done["errors"]} == {"BYTES_CAP_EXCEEDED"}


def test_due_dashboards_are_found_across_teams_and_queued_once(board: Any) -> None:
    """Two ticks at once do not queue a dashboard twice; one that nobody opened for weeks is left alone."""
    from shared.dashboards import warming

    board.save()
    other = board.cloud.person("other")
    team = board.cloud.team(other)
    board.connect(team, other)
    text = board.call("GET", "/v1/dashboards/flights/yaml").content.decode()
    board.call("POST", "/v1/dashboards", {"team_id": team, "yaml_content": text}, as_=other)
    board.cloud.sql(
        "UPDATE dashboards SET next_warm_at = NULL WHERE team_id NOT IN (:a, :b)", a=board.team, b=team
    )
    board.cloud.sql(
        "UPDATE dashboards SET next_warm_at = now() WHERE team_id IN (:a, :b)", a=board.team, b=team
    )
    assert [warming.warm_due(), warming.warm_due()] == [2, 0]
    assert board.sent("dashboards-warm-dashboard")[-1]["occasion"].startswith("due ")
    board.cloud.sql(
        "UPDATE dashboards SET next_warm_at = now(), created_at = now() - interval '20 days' WHERE team_id = :t",
        t=board.team,
    )
    assert warming.warm_due() == 0


def test_a_due_warming_computes_fresh_results_again(board: Any) -> None:
    """A schedule promises the data of that hour, however long the ttl is; a redelivery does not repeat it."""
    board.save()
    board.data()
    board.cloud.sql("UPDATE dashboards SET next_warm_at = NULL WHERE team_id <> :t", t=board.team)
    board.cloud.sql("UPDATE dashboards SET next_warm_at = now() WHERE team_id = :t", t=board.team)
    from shared.dashboards import warming

    assert warming.warm_due() == 1
    message = board.sent("dashboards-warm-dashboard")[-1]
    executed = len(board.warehouse.executions)
    assert board.step("dashboards-warm-dashboard", message) == 204
    assert len(board.warehouse.executions) == executed + 3
    board.cloud.sql("DELETE FROM attempts WHERE step = 'dashboards-warm-dashboard'")
    assert board.step("dashboards-warm-dashboard", message) == 204
    assert len(board.warehouse.executions) == executed + 3
    assert board.row()["next_warm_at"] > board.row()["last_warmed_at"]


def test_a_version_that_is_gone_is_not_warmed(board: Any) -> None:
    """The step ends well and asks the warehouse nothing."""
    board.save()
    (message,) = board.sent("dashboards-warm-dashboard")
    assert board.step("dashboards-warm-dashboard", message | {"version": 9}) == 204
    board.call("DELETE", "/v1/dashboards/flights")
    assert board.step("dashboards-warm-dashboard", message) == 204
    assert board.warehouse.executions == []
