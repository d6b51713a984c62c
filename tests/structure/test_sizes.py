"""How large things may get before the map must change."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE_LINES, DOOR_LINES = 400, 60
MODULES = sorted(
    path for room in ("shared", "local", "tools", "migrations") for path in (ROOT / room).rglob("*.py")
)
DOORS = sorted((ROOT / "functions").glob("*/*/main.py"))


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_a_module_fits_its_budget() -> None:
    """A longer one says two things: split it where the reader would look for the second."""
    assert len(MODULES) > 200
    assert {
        str(path.relative_to(ROOT)): _lines(path) for path in MODULES if _lines(path) > MODULE_LINES
    } == {}


def test_a_door_only_parses_calls_and_answers() -> None:
    """What does not fit belongs to a service."""
    assert len(DOORS) > 50
    assert {str(path.relative_to(ROOT)): _lines(path) for path in DOORS if _lines(path) > DOOR_LINES} == {}


def _says(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@pytest.mark.parametrize("room", ["shared", "functions", "local"])
def test_packages_have_no_code_of_their_own(room: str) -> None:
    """An __init__ says what its room is for, and does nothing. The two edges re-export; nothing else does."""
    said = {
        str(path.parent.relative_to(ROOT))
        for path in (ROOT / room).rglob("__init__.py")
        if any(not _says(node) for node in ast.parse(path.read_text()).body)
    }
    assert said == ({"shared/platform/edge", "shared/platform/steps"} if room == "shared" else set())
