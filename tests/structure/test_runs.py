"""How a run of the tests itself behaves: what ends it, what bounds a test, what is left out."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


def run(folder: Path, text: str, *options: str) -> str:
    """What a run of these tests says, with this house's own hooks."""
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    soak: long\n    slow: slow\n")
    (folder / "conftest.py").write_text("from tests.conftest import *\n")
    (folder / "test_it.py").write_text(textwrap.dedent(text))
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis"),
        *("--rootdir", str(folder), "-c", str(folder / "pytest.ini"), str(folder), *options),
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "with workers"])
def test_a_server_that_can_not_start_is_one_error_and_the_run_stops(
    tmp_path: Path, workers: tuple[str, ...]
) -> None:
    """Of hundreds of tests that need it none repeats the error for ever; the reason is the last word."""
    said = run(
        tmp_path,
        """
        import pytest
        from tests.servers import launched

        @pytest.fixture(scope="session")
        def server():
            with launched("local.cloud.storage", "--port", "junk") as running:
                yield running

        @pytest.mark.parametrize("number", range(400))
        def test_it(server, number):
            assert server
        """,
        *workers,
    )
    assert "a server that tests need can't start: local.cloud.storage ended with code 2" in said
    errors = [line for line in said.splitlines() if line.startswith("ERROR")]
    assert 1 <= len(errors) <= max(1, len(workers)), said


def test_what_hangs_is_ended_and_named(tmp_path: Path) -> None:
    """A test that waits for what never comes fails by itself; the next one runs."""
    said = run(
        tmp_path,
        """
        import threading

        def test_it_hangs():
            threading.Event().wait()

        def test_it_goes_on():
            pass
        """,
        *("--timeout", "0.2"),
    )
    assert "test_it_hangs" in said
    assert "Timeout" in said
    assert "1 failed, 1 passed" in said


def test_a_soak_runs_where_it_is_asked_for(tmp_path: Path) -> None:
    """`make test` leaves it out, `make test-all` does not."""
    text = """
        import pytest

        @pytest.mark.soak
        def test_it():
            pass
    """
    assert "1 deselected" in run(tmp_path, text)
    assert "1 passed" in run(tmp_path, text, "--thorough")
