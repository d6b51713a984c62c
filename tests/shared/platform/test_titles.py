"""An operator is told what a code means, whichever room declares it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = """
import sys
from shared.platform.ops.titles import known
assert known.title("SCAN_RUNNING") == "This connection is already being scanned; follow the running job."
assert known.title("GONE_LONG_AGO") == "Something went wrong on our side."
assert "shared.catalog" not in sys.modules
"""


def test_the_title_of_a_code_is_known_without_its_room() -> None:
    """As in a deployed function, which imports no room of the step that died."""
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
