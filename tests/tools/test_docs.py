"""The generated page of errors against what the code declares."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DECLARED = re.compile(r'^    code(?:, \w+)* = "([A-Z][A-Z_]+)"', re.MULTILINE)


def test_every_declared_error_code_is_on_the_page() -> None:
    """Read from the sources, so that a domain's own error can't be missed by what the generator imports."""
    page = (ROOT / "docs" / "errors.md").read_text()
    declared = {
        code for path in (ROOT / "shared").rglob("*.py") for code in DECLARED.findall(path.read_text())
    }
    assert len(declared) > 40
    assert {code for code in declared if f"| `{code}` |" not in page} == set()
