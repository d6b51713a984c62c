"""docs/chains.md shows every chain as its flow.py draws it."""

import ast
import json
import subprocess
import sys
from pathlib import Path

from tools import chains

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_page_is_current() -> None:
    """`make generate` would change nothing."""
    result = subprocess.run(
        [sys.executable, "tools/chains.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_every_line_of_every_drawing_is_on_the_page() -> None:
    """Nothing of a drawing is lost, whatever blank lines and indents it has."""
    page = chains.page()
    for flow in (ROOT / "shared").glob("*/flow.py"):
        drawn = [
            line.strip()
            for line in (ast.get_docstring(ast.parse(flow.read_text())) or "").splitlines()
            if any(stroke in line for stroke in chains.STROKES)
        ]
        assert drawn, f"{flow.parent.name} has no drawing"
        for line in drawn:
            assert line in page, flow


def test_every_step_of_every_kind_is_on_the_page() -> None:
    """Tasks and events with their chain, schedules with the clock."""
    page = chains.page()
    for function in json.loads((ROOT / "functions" / "manifest.json").read_text())["functions"]:
        if function["kind"] in ("task", "finalized", "scheduled"):
            assert f"`{function['name']}`" in page


def test_a_drawing_keeps_its_shape_and_prose_stays_prose() -> None:
    """Drawings in two paragraphs become one block; words before and after stay outside."""
    text = "A chain.\n\nBefore it.\n\n    a\n      └─ b\n\n    c ► d\n\nAfter it,\nstill."
    assert chains.section("shop", text) == [
        "## Shop", "", "A chain.", "", "Before it.", "", "```", "a\n  └─ b\n\nc ► d", "```", "", "After it,\nstill.", "",
    ]  # fmt: skip
