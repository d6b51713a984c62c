"""Every pattern that meets text from outside takes time that grows with the text and no faster.

`re` holds the interpreter while it matches, so a slow pattern makes all other requests of an instance wait. Steps of
a matcher that does the same are counted (`tests/pattern_steps`), on strings that such matchers are slow on. Patterns
of models (`Field(pattern=…)`) are matched by an engine that never goes back.
"""

from __future__ import annotations

import ast
import importlib
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.platform.edge.declare import compile_path
from tests.pattern_steps import Program, TooManySteps, attacks

ROOT = Path(__file__).resolve().parents[2]
SMALL, LARGE = 150, 300
MOST_GROWTH = 2.7
HOPELESS = 60_000
SEARCHING = {"search", "finditer", "findall", "sub", "subn", "split"}
CALLS = {*SEARCHING, "compile", "match", "fullmatch"}

MADE_WHILE_RUNNING = {
    "shared/analyst/tools/naming.py": "one slug or title between two boundaries",
    "shared/platform/edge/hosts.py": "the names of the configuration, for a name of at most 253 characters",
    "shared/analyst/builtin/rewrite.py": "replaces words in titles of at most 200 characters",
    "shared/platform/edge/declare.py": "the paths of the manifest, which are tried here too",
    "shared/warehouses/bigquery/catalog.py": "one word between two boundaries",
}
"""Modules with patterns that can't be read from their text, and why these do no harm."""


def _modules() -> Iterator[Path]:
    yield from sorted((ROOT / "shared").rglob("*.py"))


def _patterns() -> Iterator[tuple[str, re.Pattern[str], bool]]:
    """Every pattern of the product: where it stands, and whether it is looked for anywhere in a text."""
    for path in _modules():
        tree = ast.parse(path.read_text())
        for call, method in _calls(tree):
            pattern = _made(path, call, method)
            if pattern is not None:
                uses = _uses(tree, call) if method == "compile" else {method}
                yield f"{path.relative_to(ROOT)}:{call.lineno}", pattern, not uses or bool(uses & SEARCHING)
    for function in json.loads((ROOT / "functions" / "manifest.json").read_text())["functions"]:
        for template in function.get("paths", ()):
            yield f"path {template}", compile_path(template), False


def _calls(tree: ast.Module) -> Iterator[tuple[ast.Call, str]]:
    """The calls of `re` that take a pattern."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=method)) if method in CALLS:
                yield node, method


def _made(path: Path, call: ast.Call, method: str) -> re.Pattern[str] | None:
    """The pattern of a call of `re`, with the names of its module; None where it is made of a function's own."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    place = dict(vars(importlib.import_module(name)))
    if not _known(call.args[0], place):
        return None
    flags = [keyword.value for keyword in call.keywords if keyword.arg == "flags"]
    flags += call.args[{"compile": 1}.get(method, 2) :][:1] if method in ("compile", "match", "search", "fullmatch") else []  # fmt: skip
    return re.compile(_value(call.args[0], place), sum(int(_value(flag, place)) for flag in flags))


def _value(node: ast.expr, place: dict[str, Any]) -> Any:
    return eval(compile(ast.Expression(node), "pattern", "eval"), place)


def _known(node: ast.expr, place: dict[str, Any]) -> bool:
    builtin = {"sorted", "len", "True", "str"}
    bound = {one.target.id for part in ast.walk(node) if isinstance(part, ast.GeneratorExp) for one in part.generators if isinstance(one.target, ast.Name)}  # fmt: skip
    return all(
        part.id in place or part.id in builtin or part.id in bound
        for part in ast.walk(node)
        if isinstance(part, ast.Name)
    )


def _uses(tree: ast.Module, call: ast.Call) -> set[str]:
    """The methods that a module calls on the name that it gives the pattern."""
    names = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is call
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names
    }


PATTERNS = list(_patterns())


def _steps(program: Program, text: str, *, anchored: bool) -> int:
    program.steps, program.most = 0, HOPELESS
    try:
        program.search(text, anchored=anchored)
    except TooManySteps:
        return HOPELESS
    return program.steps


def _slow_on(pattern: re.Pattern[str], *, anchored: bool) -> list[str]:
    """Strings for which twice the length takes much more than twice the steps."""
    program = Program.of(pattern)
    found = []
    for made in attacks(pattern):
        small, large = made(SMALL), made(LARGE)
        before = _steps(program, small, anchored=anchored)
        after = _steps(program, large, anchored=anchored)
        if after >= HOPELESS or (after > 20 * LARGE and after > MOST_GROWTH * before):
            found.append(f"{before} → {after} steps on {small[:40]!r} …")
    return found


def test_the_patterns_of_the_product_are_found() -> None:
    """A search that found few of them would prove little, and so would one that skips what it can't read."""
    assert len(PATTERNS) > 130
    unread = {
        str(path.relative_to(ROOT))
        for path in _modules()
        for call, method in _calls(ast.parse(path.read_text()))
        if _made(path, call, method) is None
    }
    assert unread == set(MADE_WHILE_RUNNING)


@pytest.mark.parametrize(("where", "pattern", "searched"), PATTERNS, ids=[where for where, _, _ in PATTERNS])
def test_a_pattern_takes_time_that_grows_with_the_text(
    where: str, pattern: re.Pattern[str], searched: bool
) -> None:
    """On no string does twice the text take much more than twice the steps."""
    assert _slow_on(pattern, anchored=not searched) == [], where


@pytest.mark.parametrize(
    "slow",
    [r"\bey[JI][A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}", r"(a+)+b", r"/\*.*?\*/", r"\{\{.*?\}\}", r"x*x*y", r"'(?:\\.|[^'\\])*'", r"\s+$"],
)  # fmt: skip
def test_the_count_finds_patterns_that_are_slow(slow: str) -> None:
    """Squares and worse, of the kinds that have been here."""
    assert _slow_on(re.compile(slow, re.DOTALL), anchored=False)


def test_the_counting_matcher_finds_what_re_finds() -> None:
    """The same matches at the same places, for the product's patterns on strings of their own letters."""
    made = random.Random(7)
    for where, pattern, _ in PATTERNS:
        program = Program.of(pattern)
        if re.search(
            r"\{(?:4[1-9]|[5-9][0-9]|[0-9]{3,})|,(?:4[1-9]|[5-9][0-9]|[0-9]{3,})\}", pattern.pattern
        ):
            continue  # Counted no further than FAR.
        for string in list(attacks(pattern))[:: made.randint(5, 9)]:
            text = string(30)
            spans = [match.span() for match in pattern.finditer(text)]
            program.steps, program.most = 0, 10**7
            found = program.search(text)
            assert [span for span in found if span[0] < span[1]] == [s for s in spans if s[0] < s[1]], (
                where,
                text,
            )
