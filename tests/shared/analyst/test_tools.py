"""The tools over the real servers: what they refuse whatever the model does, and what they prove."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from shared.agents.conversation import sessions
from shared.agents.loop.toolbox import Toolbox
from shared.agents.protocol.model import ToolContext, ToolFailed, ToolUse
from shared.analyst.tools import offered
from shared.analyst.tools.catalog import GetTableSchema, OneTable
from shared.analyst.tools.dashboards import SaveArguments, SaveDashboardYaml, ValidateDashboardYaml, Yaml
from shared.analyst.tools.queries import (
    ColumnOf,
    DryRunArguments,
    PreviewArguments,
    PreviewQuery,
    ProfileColumn,
    RunDryRunQuery,
)
from shared.platform import ids
from shared.platform.settings import settings

pytestmark = pytest.mark.slow

DATASET = f"till_{uuid.uuid4().hex[:8]}"
TABLE = f"bridge-local.{DATASET}.receipts"


@pytest.fixture(scope="module")
def receipts(bigquery: Any) -> str:
    """A partitioned table of 30,000 receipts."""
    from google.cloud import bigquery as sdk

    bigquery.create_dataset(DATASET)
    table = sdk.Table(
        TABLE,
        schema=[
            sdk.SchemaField("day", "DATE"),
            sdk.SchemaField("shop", "STRING"),
            sdk.SchemaField("paid", "FLOAT64"),
            sdk.SchemaField("note", "STRING"),
        ],
    )
    table.time_partitioning = sdk.TimePartitioning(field="day")
    bigquery.create_table(table)
    rows = (
        "SELECT DATE_ADD(DATE '2024-01-01', INTERVAL MOD(n, 30) DAY), CONCAT('Shop ', CAST(MOD(n, 3) AS STRING)), CAST(MOD(n, 50) AS FLOAT64), 'a note'"
        " FROM UNNEST(GENERATE_ARRAY(1, 30000)) AS n"
    )
    bigquery.query(f"INSERT INTO `{TABLE}` (day, shop, paid, note) {rows}").result()
    return TABLE


@pytest.fixture
def desk(cloud: Any, receipts: str) -> Any:
    """A context of a turn in a conversation about the scanned connection."""
    person = cloud.person()
    team = cloud.team(person)
    connection = cloud.connection(team, person, "Till")
    cloud.call("POST", "/v1/onboarding/catalog/scan", {"connection_id": connection}, as_=person)
    cloud.drain()
    session = sessions.create(
        team,
        person.id,
        id=ids.new_id(),
        provider="builtin",
        model="analyst-1",
        tools=None,
        connection_id=connection,
    )
    turn = ids.new_id()
    emitted: list[tuple[str, Any]] = []

    def context(call_id: str = "call_1") -> ToolContext:
        return ToolContext(
            team, person.id, session.session_id, turn, call_id, connection,
            remaining=lambda: 60.0, emit=lambda kind, data: emitted.append((kind, data)),
        )  # fmt: skip

    context.emitted = emitted  # type: ignore[attr-defined]
    context.connection = connection  # type: ignore[attr-defined]
    return context


SQL = f"SELECT shop, SUM(paid) AS paid FROM `{TABLE}` WHERE day >= COALESCE(@period_start, DATE '0001-01-01') GROUP BY shop"
PERIOD = {"id": "period", "type": "date_range", "default": {"start": "2024-01-10"}}


def yaml(slug: str = "till", connection: str = "Till") -> str:
    return f"""version: 1
kind: dashboard
slug: {slug}
title: Till
connection: {connection}
filters:
- id: period
  type: date_range
  default: {{start: '2024-01-10'}}
queries:
- id: by_shop
  sql: {SQL}
layout:
- id: shops
  type: table
  query: by_shop
"""


def dry_run(context: Any, sql: str = SQL, **more: Any) -> dict[str, Any]:
    arguments = {"sql": sql, "filters": [PERIOD] if "@period" in sql else [], **more}
    return dict(RunDryRunQuery().run(context(), DryRunArguments.model_validate(arguments)))


def test_a_dry_run_answers_bytes_cost_columns_and_the_cap(desk: Any) -> None:
    """With the filter's opening value: only the partitions of the range count."""
    found = dry_run(desk)
    whole = dry_run(desk, f"SELECT shop, paid, day FROM `{TABLE}`")
    assert found["valid"] is True
    assert 0 < found["bytes_scanned"] < whole["bytes_scanned"]
    assert found["cap_bytes"] == settings().query_bytes_cap
    assert found["schema"] == [{"name": "shop", "type": "STRING"}, {"name": "paid", "type": "FLOAT64"}]
    assert found["estimated_cost_usd"] > 0
    assert found["error"] is None


def test_a_dry_run_at_the_cap_fails_and_names_the_partition(desk: Any) -> None:
    """At the cap is over it; the advice names the column whose filter would help."""
    sql = f"SELECT shop, note FROM `{TABLE}`"
    scanned = dry_run(desk, sql)["bytes_scanned"]
    assert dry_run(desk, sql, max_bytes=scanned + 1)["valid"] is True
    refused = dry_run(desk, sql, max_bytes=scanned)
    assert refused["valid"] is False
    assert refused["error"]["code"] == "BYTES_CAP_EXCEEDED"
    assert "filter on day" in refused["advice"]


def test_the_model_can_lower_the_cap_and_not_raise_it(desk: Any) -> None:
    """The ceiling is the server's."""
    assert dry_run(desk, max_bytes=10**15)["cap_bytes"] == settings().query_bytes_cap
    assert dry_run(desk, max_bytes=10)["cap_bytes"] == 10


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        (f"DELETE FROM `{TABLE}` WHERE TRUE", "QUERY_NOT_READ_ONLY"),
        ("SELECT * FROM `bridge-local.not_offered.secrets`", "DATASET_NOT_ALLOWED"),
        (f"SELECT nothing_like_it FROM `{TABLE}`", "QUERY_INVALID"),
    ],
    ids=("a write", "another data set", "an unknown column"),  # The table's name is another in each worker.
)
def test_a_dry_run_refuses_with_a_reason(desk: Any, sql: str, code: str) -> None:
    """Writing, other data sets and unknown columns are answers that a model can act on."""
    found = dry_run(desk, sql)
    assert found["valid"] is False
    assert found["error"]["code"] == code


def test_a_preview_answers_at_most_twenty_rows(desk: Any) -> None:
    """It says how many there are."""
    sql = f"SELECT day, shop, paid FROM `{TABLE}` ORDER BY day, paid"
    found = PreviewQuery().run(desk(), PreviewArguments(sql=sql))
    assert len(found["rows"]) == 20
    assert found["truncated"] is True


def test_a_profile_has_exact_ends_and_looks_names_up(desk: Any) -> None:
    """`matching` finds values in any case."""
    found = ProfileColumn().run(desk(), ColumnOf(table=TABLE, column="day"))
    assert (found["min"], found["max"], found["null_share"]) == ("2024-01-01", "2024-01-30", 0)
    named = ProfileColumn().run(desk(), ColumnOf(table=TABLE, column="shop", matching="shop 2"))
    assert named["top_values"] == [{"value": "Shop 2", "count": 10_000}]
    with pytest.raises(ToolFailed, match="It has: day, shop, paid, note"):
        ProfileColumn().run(desk(), ColumnOf(table=TABLE, column="price"))


def test_saving_refuses_what_was_not_validated(desk: Any) -> None:
    """Exactly this text must have passed; a blank line more is another text."""
    dry_run(desk)
    ValidateDashboardYaml().run(desk(), Yaml(yaml_content=yaml()))
    with pytest.raises(ToolFailed) as refused:
        SaveDashboardYaml().run(desk(), SaveArguments(yaml_content=yaml() + "\n"))
    assert refused.value.code == "NOT_VALIDATED"


def test_saving_refuses_a_query_without_a_dry_run_in_this_conversation(desk: Any) -> None:
    """Validation alone does not open the door."""
    assert ValidateDashboardYaml().run(desk(), Yaml(yaml_content=yaml()))["valid"] is True
    with pytest.raises(ToolFailed) as refused:
        SaveDashboardYaml().run(desk(), SaveArguments(yaml_content=yaml()))
    assert refused.value.code == "DRY_RUN_MISSING"
    assert refused.value.details == {"queries": ["by_shop"]}


def test_a_repeated_save_is_the_first_one(desk: Any) -> None:
    """The same call after a take-over: one dashboard, one version, and its event again."""
    dry_run(desk)
    ValidateDashboardYaml().run(desk(), Yaml(yaml_content=yaml()))
    first = SaveDashboardYaml().run(desk("call_9"), SaveArguments(yaml_content=yaml()))
    again = SaveDashboardYaml().run(desk("call_9"), SaveArguments(yaml_content=yaml()))
    assert first == again
    assert first["version"] == 1
    assert [kind for kind, _ in desk.emitted] == ["dashboard_created"] * 2
    assert desk.emitted[0][1]["preview_url"] == "/dash/till"


def test_a_taken_name_is_told_with_a_free_one(desk: Any) -> None:
    """Before saving, so that no save fails for it."""
    dry_run(desk)
    ValidateDashboardYaml().run(desk(), Yaml(yaml_content=yaml()))
    SaveDashboardYaml().run(desk(), SaveArguments(yaml_content=yaml()))
    assert ValidateDashboardYaml().run(desk(), Yaml(yaml_content=yaml()))["slug"] == {
        "given": "till",
        "free": "till-2",
    }


def test_a_document_over_another_connection_is_refused(desk: Any, cloud: Any) -> None:
    """The conversation's connection is the server's to choose."""
    with pytest.raises(ToolFailed) as refused:
        ValidateDashboardYaml().run(desk(), Yaml(yaml_content=yaml(connection="Other")))
    assert refused.value.code == "WRONG_CONNECTION"


def test_no_tool_takes_a_team_or_a_connection_from_the_model(desk: Any) -> None:
    """They come with the turn; an argument of that name is refused as unknown."""
    box = Toolbox(offered.tools(), connection_id=desk.connection)
    for spec in box.specs():
        assert not {"team_id", "connection_id", "team", "connection", "user_id"} & set(
            spec.input_schema.get("properties", {})
        ), spec.name
    refused = box.call(ToolUse("1", "list_datasets", {"connection_id": ids.new_id()}), desk())
    assert refused.is_error
    assert refused.content["error"]["code"] == "INVALID_ARGUMENTS"


def test_a_schema_comes_with_statistics(desk: Any) -> None:
    """Distinct values, ends and nulls by one query."""
    found = GetTableSchema().run(desk(), OneTable(table=TABLE))
    shop = next(column for column in found["columns"] if column["path"] == "shop")
    assert shop["statistics"] == {"distinct": 3, "min": "Shop 0", "max": "Shop 2", "null_share": 0}
    assert found["partitioning"]["column"] == "day"


def test_an_unknown_table_is_answered_with_its_neighbours(desk: Any) -> None:
    """A model that misspells can mend it."""
    box = Toolbox(offered.tools(), connection_id=desk.connection)
    missing = box.call(ToolUse("1", "get_table_schema", {"table": f"{DATASET}.receits"}), desk())
    assert missing.is_error
    assert TABLE in missing.content["error"]["message"]
