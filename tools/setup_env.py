"""Prepare `.venv` from the one lock file, with bytecode compiled.

Runs on the system's Python alone. It is idempotent: when the lock has not changed since the last
successful run, it does nothing. Bytecode matters: without it every process start compiles the
packages again, which costs two to three times the start (docs/performance.md).
"""

import hashlib
import os
import subprocess
import sys
import tempfile
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
        check=True, env=environment,
    )  # fmt: skip
    STAMP.write_text(wanted)
    return 0


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
