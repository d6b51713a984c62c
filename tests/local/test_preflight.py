"""A machine that can't run Bridge hears why in one line, and what to do."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from local import preflight

ROOT = Path(__file__).resolve().parents[2]


def local(
    *arguments: str, python: tuple[str, ...] = (), **variables: str
) -> subprocess.CompletedProcess[str]:
    """`python -m local` as a person calls it."""
    return subprocess.run(
        [sys.executable, *python, "-m", "local", *arguments],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """What it said, which must be all that it said."""
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    return line


def test_without_its_packages_it_names_make_setup() -> None:
    """Any Python but the one of .venv, before or after `make setup`."""
    line = one_line(local("run", python=("-S",)))
    assert "lacks Bridge's packages" in line
    assert "make setup" in line


@pytest.mark.parametrize("command", ["run", "status", "reset", "chaos all calm"])
@pytest.mark.parametrize("below", ["", "/below"])
def test_a_data_folder_that_is_a_file_is_named(tmp_path: Path, command: str, below: str) -> None:
    """Every command that works on one, and also where only the folder above is a file."""
    file = tmp_path / "file"
    file.write_text("mine")
    line = one_line(local(*command.split(), BRIDGE_HOME=f"{file}{below}"))
    assert line.endswith(f"as {file} is a file: set BRIDGE_HOME (or --home) to another folder")
    assert file.read_text() == "mine"


def test_a_private_data_folder_is_looked_at_too(tmp_path: Path) -> None:
    """`exec --home`."""
    (tmp_path / "file").touch()
    assert "is a file" in one_line(local("exec", "--home", str(tmp_path / "file"), "--", "true"))


@pytest.mark.parametrize("made", [True, False])
def test_a_data_folder_that_can_not_be_written_is_named(
    tmp_path: Path, made: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is there or would have to be made; root, who may do all, is played as somebody else."""
    home = tmp_path / "home"
    if made:
        home.mkdir()
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) not in (tmp_path, home))
    said = preflight.unusable(home)
    assert said is not None
    assert f"can't be written by this user ({home if made else tmp_path})" in said
    assert (preflight.unusable(home, makes=False) is None) is not made


def test_a_data_folder_that_can_not_be_reached_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder above it is closed to this user."""
    real = Path.stat

    def closed(path: Path, **options: Any) -> os.stat_result:
        if path.parent == tmp_path / "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", closed)
    said = preflight.unusable(tmp_path / "closed" / "home")
    assert said is not None
    assert "can't be reached by this user" in said


def test_a_folder_that_will_be_made_is_well(tmp_path: Path) -> None:
    """At any depth."""
    assert preflight.unusable(tmp_path / "a" / "b") is None


def test_a_port_without_the_right_to_it_is_not_called_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below 1024 the kernel refuses most users; nothing is there to be stopped."""

    def refused(_socket: socket.socket, _address: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refused)
    said = preflight.unusable_port(80)
    assert said is not None
    assert "reserved for programs with more rights" in said
    assert "taken" not in said


def test_a_port_that_somebody_has_is_called_taken() -> None:
    """The other program is to be stopped, or another port chosen."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        said = preflight.unusable_port(other.getsockname()[1])
    assert said is not None
    assert "taken by another program" in said
    assert "BRIDGE_PORT=8090" in said


@pytest.mark.parametrize("port", ["70000", "-1"])
def test_a_number_that_is_no_port_is_refused(port: str, tmp_path: Path) -> None:
    """By the option, too."""
    assert "is not a port" in one_line(local("run", f"--port={port}", "--home", str(tmp_path)))
