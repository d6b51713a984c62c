"""Meanings in which the engine below differs from BigQuery: `cases/semantics.txt`, one query a line."""

import json
from pathlib import Path

import pytest
from google.api_core.exceptions import GoogleAPICallError
from google.cloud import bigquery

from tests.local.cloud.bigquery.case_values import plain, type_name

LINES = (Path(__file__).parent / "cases" / "semantics.txt").read_text().split("\n")
CASES = [tuple(line.rsplit(" => ", 1)) for line in LINES if line and not line.startswith("#")]
ANSWERS = [(sql, wanted) for sql, wanted in CASES if not wanted.startswith("ERROR ")]
ERRORS = [(sql, wanted.removeprefix("ERROR ")) for sql, wanted in CASES if wanted.startswith("ERROR ")]


@pytest.mark.parametrize(("sql", "wanted"), ANSWERS, ids=[sql for sql, _ in ANSWERS])
def test_a_query_means_what_the_reference_says(
    sql: str, wanted: str, cases: str, client: bigquery.Client
) -> None:
    """Types and rows are BigQuery's where DuckDB alone would answer something else."""
    result = client.ask(sql.replace("{dataset}", cases))
    rows = [[plain(v) for v in row.values()] for row in result]
    types = ", ".join(type_name(f) for f in result.schema)
    assert f"{types} {json.dumps(rows, ensure_ascii=False)}" == wanted


@pytest.mark.parametrize(("sql", "message"), ERRORS, ids=[sql for sql, _ in ERRORS])
def test_a_query_without_a_meaning_is_refused(
    sql: str, message: str, cases: str, client: bigquery.Client
) -> None:
    """What BigQuery refuses, or this server can't do right, is never answered."""
    with pytest.raises(GoogleAPICallError) as refused:
        client.query(sql.replace("{dataset}", cases), job_retry=None).result()
    assert refused.value.errors[0]["reason"] == "invalidQuery"
    assert refused.value.errors[0]["message"].startswith(message)
