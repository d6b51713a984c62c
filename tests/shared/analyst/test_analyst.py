"""The built-in analyst at work on an invented shop: what it plans, proves, repairs, asks and refuses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

import shared.analyst.builtin as builtin_package


def of(talk: Any, sql: str) -> list[tuple[Any, ...]]:
    """What an independent query over the shop says."""
    return list(talk.world.db.execute(sql.replace("{", "acme.").replace("}", "")).fetchall())


def test_it_works_in_the_order_of_a_careful_person(talk: Any) -> None:
    """Catalog, shapes, profiles and proofs, dry runs of every query, previews, validation, saving."""
    talk.say("Show monthly revenue by category")
    tools = list(dict.fromkeys(talk.tools()))
    assert tools[:3] == ["search_catalog", "list_tables", "get_table_schema"]
    assert (
        tools.index("run_dry_run_query")
        < tools.index("validate_dashboard_yaml")
        < tools.index("save_dashboard_yaml")
    )
    assert talk.tools().count("run_dry_run_query") == len(talk.dashboard["queries"])


def test_the_same_conversation_goes_the_same_way(shop: Any, talk: Any) -> None:
    """Same input, same output: words, calls and their ids."""
    talk.say("Show monthly revenue by category")
    first = talk.messages
    again = type(talk)(type(shop)(shop.tables, shop.partitions))
    again.say("Show monthly revenue by category")
    assert again.messages == first


def test_a_join_goes_to_the_table_that_names_the_key(talk: Any) -> None:
    """Codes become names, and the sums are those of the joined tables."""
    talk.say("Top 5 customers by revenue")
    expected = of(
        talk,
        "SELECT c.name, sum(o.amt_usd) FROM {sales.orders} o JOIN {sales.customers} c ON c.id = o.customer_id GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5",
    )
    (query,) = [tile["query"] for tile in talk.charts() if tile["title"].startswith("The 5 customers")]
    rows = talk.rows(query)
    assert [(row["customer"], round(float(row["total_order_amount"]), 2)) for row in rows] == [
        (name, round(float(total), 2)) for name, total in expected
    ]


def test_every_joined_table_was_proven_not_to_multiply_rows(shop: Any, talk: Any) -> None:
    """A lookup in which one key stands twice would count its orders twice: it is not joined."""
    shop.db.execute(
        "INSERT INTO acme.sales.customers SELECT id, name || ' again', region FROM acme.sales.customers WHERE id = 7"
    )
    talk.say("Orders by customer")
    total = sum(row["order_count"] for row in talk.rows("customer_table"))
    assert total == of(talk, "SELECT count(*) FROM {sales.orders}")[0][0]


def test_a_member_with_a_value_restricts_the_rows(talk: Any) -> None:
    """ "Returned" is no column: it is looked up among the values."""
    talk.say("Which products are returned most?")
    expected = of(talk, "SELECT count(*) FROM {sales.orders} WHERE status = 'returned'")[0][0]
    assert talk.rows("totals")[0]["order_count"] == expected


def test_an_empty_value_can_be_what_is_counted(talk: Any) -> None:
    """The description says that a missing delivery time means a lost order."""
    said = talk.say("Lost orders by week")
    expected = of(talk, "SELECT count(*) FROM {sales.orders} WHERE delivery_days IS NULL")[0][0]
    assert talk.rows("totals")[0]["lost_orders"] == expected
    assert "as its description says" in said


def test_two_tables_of_events_meet_by_the_calendar_without_counting_twice(talk: Any) -> None:
    """Each is brought to one row a month first: a join of the rows would multiply both."""
    talk.say("Orders per month and the visitors that month")
    expected = of(
        talk,
        "SELECT m, o, v FROM (SELECT date_trunc('month', order_date) m, count(*) o FROM {sales.orders} GROUP BY 1)"
        " JOIN (SELECT date_trunc('month', visit_date) m, sum(visitors) v FROM {web.visits} GROUP BY 1) USING (m) ORDER BY 1",
    )
    (query,) = [entry["id"] for entry in talk.dashboard["queries"] if "beside" in entry["id"]]
    rows = talk.rows(query)
    assert [(row["order_count"], row["total_visitors"]) for row in rows] == [
        (orders, visitors) for _, orders, visitors in expected
    ]


def test_a_relative_range_counts_back_from_the_data_and_says_so(talk: Any) -> None:
    """The data ends in 2024, whatever today is."""
    said = talk.say("Revenue last 30 days")
    (period,) = [entry for entry in talk.dashboard["filters"] if entry["type"] == "date_range"]
    assert period["default"] == {"start": "2024-12-02", "end": "2024-12-31"}
    assert "last date of the data" in said


def test_without_a_range_the_end_stays_open(talk: Any) -> None:
    """Rows that arrive later belong to the dashboard too."""
    talk.say("Monthly orders by status")
    (period,) = [entry for entry in talk.dashboard["filters"] if entry["type"] == "date_range"]
    assert period["default"] == {"start": "2024-01-01"}


def test_every_query_restricts_the_partition_and_binds_its_filters(talk: Any) -> None:
    """No value is pasted: the range and the choices are parameters, and the partition's column is always restricted."""
    talk.say("Show monthly revenue by category")
    choices = {entry.get("options_query") for entry in talk.dashboard["filters"]}
    figures = [query for query in talk.dashboard["queries"] if query["id"] not in choices]
    assert figures
    for query in figures:
        tree = sqlglot.parse_one(query["sql"], dialect="bigquery")
        ranged = [
            where
            for where in tree.find_all(exp.Where)
            if any(column.name == "order_date" for column in where.find_all(exp.Column))
        ]
        assert ranged, query["id"]
        assert {"@period_start", "@period_end"} <= {
            parameter.sql(dialect="bigquery") for parameter in tree.find_all(exp.Parameter)
        }


def test_figures_in_prose_come_from_previews(talk: Any) -> None:
    """What it says was in a tool's result of this turn."""
    said = talk.say("Orders by status")
    counts = dict(of(talk, "SELECT status, count(*) FROM {sales.orders} GROUP BY 1"))
    assert counts
    for status, count in counts.items():
        assert f"{status} ({count:,})" in said


def test_too_many_bytes_narrow_the_range_of_a_partitioned_table(shop: Any, talk: Any) -> None:
    """The refusal is repaired by reading fewer partitions, and the person is told."""
    shop.cap = 60_000
    said = talk.say("Show monthly revenue by category")
    (period,) = [entry for entry in talk.dashboard["filters"] if entry["type"] == "date_range"]
    assert period["default"]["start"] > "2024-01-01"
    assert period["default"]["end"] == "2024-12-31"
    assert "more than the cap allows" in said


def test_a_refused_side_query_is_left_out(shop: Any, talk: Any) -> None:
    """The answer stays; what only explains it may go."""
    shop.refuse = "AS status,"
    talk.say("Show monthly revenue by category")
    titles = [tile.get("title", "") for tile in talk.dashboard["layout"]]
    assert any("by month and category" in title for title in titles)
    assert not any("by status" in title for title in titles)


def test_a_refused_main_query_ends_honestly(shop: Any, talk: Any) -> None:
    """Nothing is saved, and the reason is said."""
    shop.refuse = "amt_usd"
    said = talk.say("Show monthly revenue by category")
    assert shop.saved == {}
    assert "No amt_usd today" in said


@pytest.mark.parametrize(
    "goal", ["Show customer churn by region", "Net promoter score by week", "Orders by planet"]
)
def test_what_is_not_there_is_not_invented(talk: Any, goal: str) -> None:
    """A question or a refusal that names what there is; never a dashboard of something else."""
    said = talk.say(goal)
    assert talk.world.saved == {}
    assert {"ask_user", "decline"} & set(talk.tools())
    assert "run_dry_run_query" not in talk.tools()
    assert re.search(r"did not guess|did not make|can’t find", said)


def test_twins_are_asked_about_and_the_answer_settles_it(twins: Any, talk: Any) -> None:
    """Two tables of one name: only the person knows which is meant."""
    talk.world = twins
    asked = talk.say("Revenue by shop")
    assert "Which one do you mean?" in asked
    assert twins.saved == {}
    talk.say("europe.sales")
    queries = talk.dashboard["queries"]
    assert queries
    assert all("`acme`.`europe`.`sales`" in query["sql"] for query in queries)


def test_an_unknown_name_is_asked_about_and_can_be_left_out(talk: Any) -> None:
    """ "Leave it out" goes on without it, and says so."""
    asked = talk.say("Orders by status for EMEA")
    assert "can’t find “EMEA”" in asked
    said = talk.say("Leave it out")
    assert talk.world.saved
    assert "I did not use the words “EMEA”" in said


def test_names_without_descriptions_and_with_abbreviations_are_understood(bare: Any, talk: Any) -> None:
    """`hrs` of `fct_emp_hrs` by the name of `dept_cd`."""
    talk.world = bare
    talk.say("Average hours by department")
    rows = talk.rows("department_table")
    expected = dict(
        of(talk, "SELECT 'Department ' || substr(dept_cd, 2), avg(hrs) FROM {raw.fct_emp_hrs} GROUP BY 1")
    )
    assert {row["department"]: row["average_hours"] for row in rows} == expected


def test_an_empty_catalog_is_said_to_be_empty(shop: Any, talk: Any) -> None:
    """Nothing to look at is no reason to fail."""
    shop.tables.clear()
    assert "catalog is empty" in talk.say("Orders by status")


def test_a_change_edits_the_dashboard_and_dry_runs_only_what_changed(talk: Any) -> None:
    """ "Make it weekly": the steps, the titles and the tiles' fields follow."""
    talk.say("Show monthly revenue by category")
    before = talk.tools().count("run_dry_run_query")
    said = talk.say("make it weekly")
    changed = talk.tools().count("run_dry_run_query") - before
    assert 0 < changed < len(talk.dashboard["queries"])
    assert len(talk.world.saved) == 1
    assert talk.dashboard["title"].startswith("Weekly")
    assert "month is now week" in said
    expected = of(talk, "SELECT count(DISTINCT date_trunc('week', order_date)) FROM {sales.orders}")[0][0]
    (query,) = {tile["query"] for tile in talk.charts() if "by week and category" in tile["title"]}
    assert len({row["week"] for row in talk.rows(query)}) == expected


def test_only_a_member_restricts_every_query_but_the_choices(talk: Any) -> None:
    """The filter's choices stay complete; everything else is of that member."""
    talk.say("Orders by status")
    talk.say("only North")
    expected = of(
        talk,
        "SELECT count(*) FROM {sales.orders} o JOIN {sales.customers} c ON c.id = o.customer_id WHERE c.region = 'North'",
    )
    if "totals" in {query["id"] for query in talk.dashboard["queries"]} and expected:
        total = talk.rows("totals")[0]["order_count"]
        assert total in (expected[0][0], of(talk, "SELECT count(*) FROM {sales.orders}")[0][0])
    talk.say("only shipped")
    assert (
        talk.rows("totals")[0]["order_count"]
        <= of(talk, "SELECT count(*) FROM {sales.orders} WHERE status = 'shipped'")[0][0]
    )


def test_a_tile_can_be_dropped_with_its_query(talk: Any) -> None:
    """What nothing shows is not run any more."""
    talk.say("Orders by status")
    queries = len(talk.dashboard["queries"])
    talk.say("drop the table")
    assert all(tile["type"] != "table" for tile in talk.dashboard["layout"])
    assert len(talk.dashboard["queries"]) < queries


def test_an_interrupted_call_is_asked_once_more(talk: Any) -> None:
    """A process that died under a call left no answer; the analyst asks again, once."""
    from shared.agents.protocol.model import Message, Text, ToolResult

    talk.messages.append(Message("user", (Text("Orders by status"),)))
    words, calls = talk.step()
    lost = {"error": {"code": "INTERRUPTED", "message": "The call was interrupted."}}
    talk.messages += [
        Message("assistant", (Text(words), *calls)),
        Message("user", tuple(ToolResult(call.id, lost, True) for call in calls)),
    ]
    _, again = talk.step()
    assert [call.name for call in again] == [call.name for call in calls]
    assert {call.id for call in again}.isdisjoint(call.id for call in calls)


def test_the_code_knows_no_data_set() -> None:
    """The analyst is general: names of the demo's tables and columns stand nowhere in it."""
    from local.demo.tables import DATASETS

    names = {
        part
        for dataset in DATASETS
        for table in dataset.tables
        for part in (dataset.name, table.name, *(column[0] for column in table.columns))
    }
    telling = {
        name
        for name in names
        if "_" in name or name in ("tailnum", "faa", "dewp", "visib", "nycflights", "gapminder")
    } - {"age_group"}
    root = Path(next(iter(builtin_package.__path__)))
    paths = sorted(root.rglob("*.py"))
    assert telling
    assert len(paths) > 10
    for path in paths:
        text = path.read_text()
        assert not [name for name in telling if re.search(rf"\b{name}\b", text)], path.name
