"""The pages that show what rooms declare say what the code says."""

import json
import re
import subprocess
import sys
from pathlib import Path

from shared.platform.ops.retention.running import RULES
from shared.platform.registry.gathered import BUCKETS, COLLECTIONS, FLAGS, LIMITS, PERSONAL, QUEUES, RATES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "limits.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def test_the_tables_are_those_of_the_code() -> None:
    """Every limit, rate and flag with its default; a changed default makes the page stale."""
    result = subprocess.run(
        [sys.executable, "tools/declared_tables.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    for name in (*LIMITS, *PERSONAL, *RATES, *FLAGS):
        assert f"| `{name}` |" in PAGE
    for name in (*QUEUES, *BUCKETS, *COLLECTIONS):
        assert f"| `{name}` |" in OPERATIONS
    shown = {
        row[0]: int(row[1])
        for row in re.findall(r"^\| ([a-z ]+) \| (\d+) days? after ", OPERATIONS, re.MULTILINE)
    }
    assert shown == {rule.name: rule.days for rule in RULES}


def test_what_the_page_says_of_rates_is_so() -> None:
    """Its figures are the constants of the module."""
    from shared.platform.limits import rates

    assert f"over {rates.SLOTS} seconds" in PAGE
    assert (rates.POCKET_SHARE, rates.INSTANCES) == (0.1, 16)
    assert f"{rates.PATIENCE_SECONDS:.0f} s ({rates.FIRST_PATIENCE_SECONDS:.0f} s" in PAGE
    assert f"every {rates.AWAY_SECONDS:.0f} seconds" in PAGE


def test_the_environments_of_the_page_are_accepted() -> None:
    """The examples can be copied."""
    from shared.platform.settings import Settings

    for name in ("limits", "flags"):
        example = re.search(rf"BRIDGE_{name.upper()}='([^']+)'", PAGE)
        assert example
        field = Settings.model_fields[name]
        assert field.alias == f"BRIDGE_{name.upper()}"
        assert set(json.loads(example[1])) <= {*LIMITS, *RATES, *FLAGS}
