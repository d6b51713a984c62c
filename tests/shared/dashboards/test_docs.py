"""What docs/dashboards.md shows is what the code does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from shared.dashboards import page, reading
from shared.dashboards.views import DashboardPage
from shared.warehouses.bigquery.dialect import BIGQUERY

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "dashboards.md").read_text()


def _block(language: str, number: int = 0) -> str:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)[number]


def test_the_example_document_has_no_problem() -> None:
    """Not even a warning."""
    parsed = reading.parse(_block("yaml"))
    assert parsed.problems == []


def test_the_example_of_the_page_has_the_fields_of_the_answer() -> None:
    """The console is written from it."""
    shown = json.loads(_block("json"))
    assert set(shown) == set(DashboardPage.model_fields)
    parsed = reading.parse(_block("yaml")).document
    assert parsed is not None
    fields = [
        BIGQUERY.field("month", "DATE"),
        BIGQUERY.field("carrier", "STRING"),
        BIGQUERY.field("flights", "INT64"),
    ]
    built = page.build(parsed, {"monthly": fields, "total": [BIGQUERY.field("flights", "INT64")]})
    for example, tile in zip(shown["tiles"], built["tiles"], strict=True):
        assert set(example) == set(tile)
        assert example["position"] == tile["position"]
        assert set(example[tile["type"]]) == set(tile[tile["type"]])
    assert shown["tiles"][0]["kpi"] == built["tiles"][0]["kpi"]
    assert shown["filters"] == built["filters"]


def test_the_schema_and_the_reference_are_made_from_the_model() -> None:
    """python tools/dashboard_schema.py writes them."""
    done = subprocess.run(
        [sys.executable, "tools/dashboard_schema.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_schema_knows_the_short_forms() -> None:
    """An editor must not complain about x: month."""
    schema = json.loads((ROOT / "docs" / "dashboard.schema.json").read_text())
    for name in ("Channel", "DateRange", "Option", "Compare", "SortKey", "TableColumn"):
        kinds = [option.get("type") for option in schema["$defs"][name]["anyOf"]]
        assert kinds == ["string", "object"]
