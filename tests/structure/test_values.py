"""Values reach Postgres by one way only, and texts become numbers in one place."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from shared.platform.postgres import sql, values

ROOT = Path(__file__).resolve().parents[2]
DRIVERS = "shared/platform/postgres"
STATEMENTS = [
    (path.parent.relative_to(ROOT).as_posix(), name, statement)
    for path in sorted((ROOT / "shared").rglob("queries.sql"))
    for name, statement in vars(sql.load(str(path))).items()
]
READERS = {"analyst", "numbers.py"}
"""They read prose, in which a number may be written as its author likes."""
_SPREAD = re.compile(r"\b(?:ANY|ALL|UNNEST)\s*\(\s*:([a-z_]+)", re.IGNORECASE)
_CAST = re.compile(r"(?<!:):([a-z_]+)::[a-z0-9 ]+\[\]")


def test_the_statements_are_found() -> None:
    """The checks below look at something."""
    assert len(STATEMENTS) > 150
    assert sum(bool(values.arrays_of(statement)) for _, _, statement in STATEMENTS) > 15


def test_every_array_says_that_it_is_one() -> None:
    """Without the cast a list would be sent as JSON; and there are arrays of texts and of ids only."""
    unsaid = {
        (room, name): spread
        for room, name, statement in STATEMENTS
        if (spread := {*_SPREAD.findall(statement), *_CAST.findall(statement)} - values.arrays_of(statement))
    }
    assert unsaid == {}


def test_only_the_pool_speaks_to_the_driver() -> None:
    """Whoever else did would go round the one place that encodes values."""
    speakers = {
        path.parent.relative_to(ROOT).as_posix()
        for room in ("shared", "functions")
        for path in (ROOT / room).rglob("*.py")
        if re.search(r"\bpg8000\b|\.driver\b|\._session\b", path.read_text())
    }
    assert speakers == {DRIVERS}


def test_the_pool_encodes_what_it_sends() -> None:
    """One call, and it is the one that encodes."""
    assert re.findall(r"_session\.run\((.*)\)", (ROOT / "shared/platform/postgres/pool.py").read_text()) == [
        "statement, bound(statement, values)"
    ]


def test_texts_become_numbers_in_one_place() -> None:
    """`isdigit` is true of digits that int() refuses, and both know the digits of every script."""
    asked = {
        f"{path.relative_to(ROOT).as_posix()}:{node.lineno}"
        for path in sorted((ROOT / "shared").rglob("*.py"))
        if path.parts[-2:] != ("text", "numerals.py") and not READERS & {path.name, *path.parts}
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("isdigit", "isdecimal", "isnumeric")
    }
    assert asked == set()


def test_a_pattern_that_guards_knows_ascii_digits_only() -> None:
    """`\\d` matches ١ and １, which whoever reads on may refuse or read as another number."""
    loose = {
        f"{path.relative_to(ROOT).as_posix()}: {node.value[:60]}"
        for room in ("shared", "functions")
        for path in sorted((ROOT / room).rglob("*.py"))
        if not READERS & {path.name, *path.parts}
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.search(r"(?<!\\)\\d", node.value)
    }
    assert loose == set()
