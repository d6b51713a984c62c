"""Prepare `.venv` from the one lock file, with bytecode compiled.

Runs on the system's Python alone. It is idempotent: when the lock has not changed since the last
successful run, it does nothing. Bytecode matters: without it every process start compiles the
packages again, which costs two to three times the start (docs/performance.md).
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
STAMP = VENV / ".lock-sha256"
PYTHON = VENV / "bin" / "python"


def main() -> int:
    """Create or update the environment; answer the process's exit code."""
    if sys.version_info[:2] != (3, 11):
        print(
            f"Bridge needs Python 3.11, this is {sys.version.split()[0]}. Try: make PYTHON=python3.11 setup",
            file=sys.stderr,
        )
        return 1
    wanted = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    if STAMP.exists() and STAMP.read_text() == wanted and PYTHON.exists():
        return 0
    print("Preparing .venv from requirements.lock …", flush=True)
    try:
        _prepare()
    except subprocess.CalledProcessError as error:
        print(
            f"make setup: {_named(error.cmd)} ended with code {error.returncode}; what it said stands above. If that is "
            "about a certificate (UnknownIssuer), name the file of its authority and try again: "
            "PIP_CERT=/path/to/authority.pem make setup",
            file=sys.stderr,
        )
        return 1
    STAMP.write_text(wanted)
    return 0


def _prepare() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True, env=environment)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as installer:
        installer.write(_block("uv"))
        installer.flush()
        subprocess.run(
            [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             "--require-hashes", "--requirement", installer.name],
            check=True, env=environment,
        )  # fmt: skip
    subprocess.run(
        [str(VENV / "bin" / "uv"), "pip", "sync", "--quiet", "--python", str(PYTHON),
         "--compile-bytecode", "--require-hashes", str(LOCK)],
        check=True, env=trusting(environment),
    )  # fmt: skip


def trusting(environment: Mapping[str, str], python: str = sys.executable) -> dict[str, str]:
    """The variables with which uv trusts whom pip trusts: the system's authorities, and those that pip was told of.

    uv brings a list of its own, which lacks the authority of a company's proxy or mirror.
    """
    made = {"UV_SYSTEM_CERTS": "true", **environment}
    if "SSL_CERT_FILE" not in made and "SSL_CERT_DIR" not in made:
        told = (
            made.get("PIP_CERT")
            or _pips_certificates(python, environment)
            or made.get("REQUESTS_CA_BUNDLE", "")
        )
        if told:
            made["SSL_CERT_DIR" if Path(told).is_dir() else "SSL_CERT_FILE"] = told
    return made


def _pips_certificates(python: str, environment: Mapping[str, str]) -> str:
    """The file of authorities in pip's configuration; empty where there is none."""
    asked = [python, "-m", "pip", "config", "list"]
    listed = subprocess.run(asked, env=dict(environment), capture_output=True, text=True, check=False).stdout
    known = dict(re.findall(r"^(.*)\.cert='(.*)'$", listed, re.M))
    return next((known[place] for place in ("install", "global") if place in known), "")


def _named(command: list[str]) -> str:
    """What a command is, for a person."""
    return next(
        (word for word in ("uv", "pip", "venv") if any(Path(part).name == word for part in command)),
        command[0],
    )


def _block(name: str) -> str:
    """The lock's lines for one package: its pin and its hashes."""
    lines, taking = [], False
    for line in LOCK.read_text().splitlines():
        if line and not line.startswith((" ", "#")):
            taking = line.startswith(f"{name}==")
        if taking and not line.strip().startswith("#"):
            lines.append(line)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
