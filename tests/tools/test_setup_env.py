"""`make setup` trusts whom this machine's pip trusts, and says in a line what is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shared.platform.peers import Peer, answer, authority, serving
from tools import setup_env

ROOT = Path(__file__).resolve().parents[2]
UV = ROOT / ".venv" / "bin" / "uv"


def fetch(peer: Peer, environment: dict[str, str]) -> str:
    """Ask an index at the peer for a package; what uv says."""
    index = f"https://localhost:{peer.port}/simple"
    command = [
        *(str(UV), "pip", "install", "--dry-run", "--no-cache", "--no-config", "--python", sys.executable),
        *("--target", "/nowhere", "--index-url", index, "nothing"),
    ]
    plain = {"PATH": "/usr/bin:/bin", "UV_HTTP_RETRIES": "0", **environment}
    return subprocess.run(command, env=plain, capture_output=True, text=True, check=False).stderr


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "pip.conf"])
def test_an_authority_that_pip_knows_is_known_to_uv(tmp_path: Path, variable: str) -> None:
    """By a variable or by pip's configuration; without, uv refuses what the index shows."""
    ours = authority(tmp_path)
    told = tmp_path / "authority.pem"
    told.write_text(ours.pem())
    if variable == "pip.conf":
        (tmp_path / "pip.conf").write_text(f"[global]\ncert = {told}\n")
        given = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}
    else:
        given = {variable: str(told), "PIP_CONFIG_FILE": os.devnull}
    with serving(answer(404), tls=ours.server("localhost")) as peer:
        assert "certificate" in fetch(peer, {}).lower()
        assert peer.seen == []
        fetch(peer, setup_env.trusting(given))
        assert [path for _, path, _, _ in peer.seen] == ["/simple/nothing/"]


def test_the_systems_own_authorities_are_trusted_unless_somebody_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """uv's own list is not all that a machine trusts."""
    monkeypatch.setattr(setup_env, "_pips_certificates", lambda *_: "")
    assert setup_env.trusting({}) == {"UV_SYSTEM_CERTS": "true"}
    assert setup_env.trusting({"UV_SYSTEM_CERTS": "false"}) == {"UV_SYSTEM_CERTS": "false"}


def test_what_was_named_for_uv_itself_wins(tmp_path: Path) -> None:
    """SSL_CERT_FILE is what uv reads; a folder of authorities has a variable of its own."""
    said = setup_env.trusting({"SSL_CERT_FILE": "/mine.pem", "PIP_CERT": "/other.pem"})
    assert said["SSL_CERT_FILE"] == "/mine.pem"
    assert setup_env.trusting({"PIP_CERT": str(tmp_path)})["SSL_CERT_DIR"] == str(tmp_path)


def test_a_fetch_that_fails_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who failed, and what to do about a certificate; no traceback, and the next `make setup` tries again."""
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text("#!/bin/sh\necho 'invalid peer certificate: UnknownIssuer' >&2\nexit 2\n")
    uv.chmod(0o755)
    for name, value in {"VENV": tmp_path, "STAMP": tmp_path / "stamp", "PYTHON": Path("/bin/true")}.items():
        monkeypatch.setattr(setup_env, name, value)
    assert setup_env.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("make setup: uv ended with code 2")
    assert "PIP_CERT=/path/to/authority.pem make setup" in line
    assert not (tmp_path / "stamp").exists()
