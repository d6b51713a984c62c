"""Functions answer what the reference says that they answer: `cases/documented.txt`, one example a line."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import GoogleAPICallError
from google.cloud import bigquery

from tests.local.cloud.bigquery.case_values import plain, type_name

LINES = (Path(__file__).parent / "cases" / "documented.txt").read_text().split("\n")


@dataclass(frozen=True)
class Example:
    expression: str
    kind: str
    value: str


def _examples() -> list[Example]:
    out = []
    for line in LINES:
        if line and not line.startswith("#"):
            expression, _, answer = line.rpartition(" => ")
            kind, _, value = answer.partition(" ")
            while kind.count("<") != kind.count(">"):
                more, _, value = value.partition(" ")
                kind = f"{kind} {more}"
            out.append(Example(expression, kind, value))
    return out


EXAMPLES = _examples()
ANSWERS = [e for e in EXAMPLES if e.kind != "ERROR"]
ERRORS = [e for e in EXAMPLES if e.kind == "ERROR"]


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, float) and isinstance(wanted, float):
        return math.isclose(found, wanted, rel_tol=1e-12)
    return bool(found == wanted and type(found) is type(wanted))


@pytest.mark.parametrize("example", ANSWERS, ids=lambda e: e.expression)
def test_a_function_answers_as_documented(example: Example, client: bigquery.Client) -> None:
    """Value and result type are those of the reference."""
    result = client.ask(f"SELECT {example.expression}")
    (row,) = list(result)
    assert [type_name(f) for f in result.schema] == [example.kind]
    assert _same(plain(row[0]), json.loads(example.value)), row[0]


@pytest.mark.parametrize("example", ERRORS, ids=lambda e: e.expression)
def test_a_function_fails_as_documented(example: Example, client: bigquery.Client) -> None:
    """Outside its domain a function is an error, where the engine below would answer NaN or infinity."""
    with pytest.raises(GoogleAPICallError) as refused:
        client.query(f"SELECT {example.expression}", job_retry=None).result()
    assert refused.value.errors[0]["reason"] == "invalidQuery"
    assert refused.value.errors[0]["message"].startswith(example.value)
