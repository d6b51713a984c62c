"""What a lease means stands once: no statement compares its end with the time by itself."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENDS = ("lease_until", "claimed_until", "making_until")
"""The columns that hold the end of a lease."""
STATEMENTS = [
    (str(path.relative_to(ROOT)), name, body)
    for path in sorted((ROOT / "shared").rglob("queries.sql"))
    for name, body in zip(
        *[iter(re.split(r"^-- ([a-z0-9_]+) --\s*$", path.read_text(), flags=re.MULTILINE)[1:])] * 2,
        strict=True,
    )
]
WITH_LEASES = [one for one in STATEMENTS if any(end in one[2] for end in ENDS)]


def _without_comments(sql: str) -> str:
    return re.sub(r"--[^\n]*", "", sql)


@pytest.mark.parametrize(
    ("file", "name", "sql"), WITH_LEASES, ids=lambda value: None if "\n" in value else value
)
def test_a_lease_is_judged_by_the_functions_of_the_directory(file: str, name: str, sql: str) -> None:
    """`bridge_lease_over`, `…_left`, `…_end` and `…_now`: a test moves their time, and there is one meaning."""
    text = _without_comments(sql)
    for end in ENDS:
        assert not re.search(rf"\b{end}\b\s*(<|>|<=|>=|-|\+)", text), (
            "it compares the end of a lease by itself"
        )
        assert not re.search(rf"\b{end}\s*=\s*now\(\)", text), "it sets the end of a lease by another clock"
    assert "make_interval(secs => :lease" not in text


def test_there_are_statements_to_judge() -> None:
    """The columns are still called so."""
    assert len(WITH_LEASES) > 15
