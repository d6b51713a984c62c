"""`python -m local exec`: a private stack around one command."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.patience import until
from local.stack.api import temporary_home

pytestmark = pytest.mark.stack


def execute(*arguments: str, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local", "exec", *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=90,
    )


@pytest.fixture(scope="module")
def kept() -> Iterator[str]:
    """A folder that outlives its commands: the second stack in it starts in a third of the time."""
    with temporary_home() as home:
        yield str(home)


def test_the_command_gets_the_stack_and_its_exit_code_is_ours(
    variables: dict[str, str], tmp_path: Path
) -> None:
    """URLs and databases are exported, the stack serves, code 7 comes back, the folder is gone."""
    script = tmp_path / "script.py"
    script.write_text(
        "import json, os, sys, urllib.request\n"
        "status = urllib.request.urlopen(os.environ['BRIDGE_URL'] + '/_local/health').status\n"
        "print(json.dumps({'status': status} | {k: os.environ.get(k) for k in sys.argv[1:]}))\n"
        "sys.exit(7)\n"
    )
    names = ["BRIDGE_HOME", "BRIDGE_TOKEN", "BRIDGE_TEAM_ID", "DATABASE_URL", "MIGRATIONS_DATABASE_URL",
             "STORAGE_EMULATOR_HOST", "FIRESTORE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"]  # fmt: skip
    done = execute("--no-demo", "--", sys.executable, str(script), *names, variables=variables)
    assert done.returncode == 7
    found = json.loads(done.stdout)
    assert found["status"] == 200
    assert all(found[name] is not None for name in names)
    assert not Path(found["BRIDGE_HOME"]).exists()


def test_a_named_folder_is_kept_and_found_again(variables: dict[str, str], kept: str) -> None:
    """With --home the data stay, so that a second command sees what the first one wrote."""
    write = "migrations = __import__('migrations.runner').runner; import os; db = migrations.connect(os.environ['MIGRATIONS_DATABASE_URL']); "
    first = execute("--no-demo", "--home", kept, "--", sys.executable, "-c",
                    write + "db.run('CREATE TABLE kept AS SELECT 42 AS n')", variables=variables)  # fmt: skip
    assert first.returncode == 0, first.stderr
    second = execute("--no-demo", "--home", kept, "--", sys.executable, "-c",
                     write + "print(db.run('SELECT n FROM kept')[0][0])", variables=variables)  # fmt: skip
    assert second.stdout.strip() == "42", second.stderr


@pytest.mark.parametrize(
    ("command", "code"),
    [
        pytest.param(["no-such-command-here"], 127, marks=pytest.mark.soak),
        (["sh", "-c", "kill -KILL $$"], 137),
        pytest.param(["true"], 0, marks=pytest.mark.soak),
    ],
)
def test_other_ends_have_the_shells_codes(
    variables: dict[str, str], kept: str, command: list[str], code: int
) -> None:
    """127 for a missing program, 128 + n for a signal."""
    assert execute("--no-demo", "--home", kept, "--", *command, variables=variables).returncode == code


def test_without_a_command_it_says_how_to_give_one(variables: dict[str, str]) -> None:
    """No stack is started for nothing."""
    done = execute("--no-demo", "--", variables=variables)
    assert done.returncode == 2
    assert "after --" in done.stderr


def test_a_signal_reaches_the_command_and_the_stack_is_cleaned_up(
    variables: dict[str, str], tmp_path: Path
) -> None:
    """SIGTERM for exec ends the command by SIGTERM; its code and the empty ground remain."""
    mark = tmp_path / "home"
    process = subprocess.Popen(
        [sys.executable, "-m", "local", "exec", "--no-demo", "--",
         "sh", "-c", f"trap 'exit 9' TERM; echo $BRIDGE_HOME > {mark}.part; mv {mark}.part {mark}; while true; do sleep 0.1; done"],
        env={**os.environ, **variables},
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until(mark.exists, 60)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 9
    assert not Path(mark.read_text().strip()).exists()
