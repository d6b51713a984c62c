"""What queries answer and refuse, specified by the text files in `cases/`."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from google.api_core.exceptions import GoogleAPICallError
from google.cloud import bigquery

from tests.local.cloud.bigquery.case_values import plain, type_name

CASES = Path(__file__).parent / "cases"


@dataclass(frozen=True)
class Case:
    name: str
    head: dict[str, str]
    sql: str


def _read(file: str, keys: tuple[str, ...]) -> list[Case]:
    """Cases start with `--- name`; lines `key: value` follow, then the query."""
    out = []
    for block in (CASES / file).read_text().split("\n--- ")[1:]:
        name, *lines = block.strip().split("\n")
        head: dict[str, str] = {}
        while lines and lines[0].split(":")[0] in keys:
            key, _, value = lines.pop(0).partition(":")
            head[key] = value.strip()
        out.append(Case(name, head, "\n".join(lines)))
    return out


ANSWERS = _read("answers.sql", ("types", "rows", "bytes"))
REFUSALS = _read("refusals.sql", ("invalidQuery", "notFound"))


@pytest.mark.parametrize("case", ANSWERS, ids=lambda c: c.name)
def test_a_query_answers_with_its_types_and_rows(case: Case, cases: str, client: bigquery.Client) -> None:
    """Rows, order, result types and, where given, the bytes of the dry run are those of the reference."""
    sql = case.sql.replace("{dataset}", cases)
    result = client.ask(sql)
    assert ", ".join(type_name(f) for f in result.schema) == case.head["types"]
    assert [[plain(v) for v in row.values()] for row in result] == json.loads(case.head["rows"])
    if "bytes" in case.head:
        dry = client.query(sql, job_config=bigquery.QueryJobConfig(dry_run=True))
        assert dry.total_bytes_processed == int(case.head["bytes"])


@pytest.mark.parametrize("case", REFUSALS, ids=lambda c: c.name)
def test_a_query_is_refused_with_its_reason(case: Case, cases: str, client: bigquery.Client) -> None:
    """What is wrong or can't be done right is an error with Google's reason, never an answer."""
    sql = case.sql.replace("{dataset}", cases)
    ((reason, message),) = case.head.items()
    with pytest.raises(GoogleAPICallError) as refused:
        client.query(sql, job_retry=None).result()
    assert refused.value.errors[0]["reason"] == reason
    assert refused.value.errors[0]["message"].startswith(message.replace("{dataset}", cases))
