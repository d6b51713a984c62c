"""How large things may get before the map must change."""

from __future__ import annotations

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


@pytest.mark.parametrize("room", ["shared", "functions", "local"])
def test_packages_have_no_code_of_their_own(room: str) -> None:
    """An __init__ that does something hides where it is done. The two edges re-export; nothing else does."""
    said = {
        str(path.parent.relative_to(ROOT))
        for path in (ROOT / room).rglob("__init__.py")
        if path.read_text().strip()
    }
    assert said == ({"shared/platform/edge", "shared/platform/steps"} if room == "shared" else set())
