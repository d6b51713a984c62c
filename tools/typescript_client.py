"""Generate clients/typescript/src/schema.d.ts from docs/openapi.yaml with openapi-typescript.

The file's first line holds the document's hash, so `--check` needs no Node: it compares that. `--compile`
installs the locked packages, generates again, compares, and compiles the client with calls that must and
calls that must not pass. Where npm is missing, generating says so and leaves the file as it is.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLIENT = ROOT / "clients" / "typescript"
SCHEMA = CLIENT / "src" / "schema.d.ts"
DOCUMENT = ROOT / "docs" / "openapi.yaml"


def first_line() -> str:
    """What the generated file starts with when it is current."""
    return f"// From docs/openapi.yaml, sha256 {hashlib.sha256(DOCUMENT.read_bytes()).hexdigest()}\n"


def is_current() -> bool:
    """Whether the committed file was made from the document as it is."""
    return SCHEMA.exists() and SCHEMA.read_text().startswith(first_line())


def install() -> None:
    """Put the locked packages in place; nothing happens when they are already."""
    wanted = hashlib.sha256((CLIENT / "package-lock.json").read_bytes()).hexdigest()
    stamp = CLIENT / "node_modules" / ".lock-sha256"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    _npm("ci")
    stamp.write_text(wanted)


def generate(target: Path = SCHEMA) -> None:
    """Write the types, whole or not at all: two runs at once must not mix their lines."""
    made = CLIENT / "node_modules" / f".schema-{os.getpid()}.d.ts"
    _npm("run", "--silent", "types", "--", "--output", str(made))
    made.write_text(first_line() + made.read_text())
    made.replace(target)


def compile_client() -> list[str]:
    """What is wrong with the client: stale types, or what the compiler says."""
    problems = []
    again = CLIENT / "node_modules" / ".schema-again.d.ts"
    generate(again)
    if again.read_text() != SCHEMA.read_text():
        problems.append("clients/typescript/src/schema.d.ts is not what openapi-typescript makes")
    result = subprocess.run(
        ["npm", "run", "--silent", "check"], cwd=CLIENT, capture_output=True, text=True, check=False
    )
    return problems + ([result.stdout[-3000:]] if result.returncode else [])


def _npm(*arguments: str) -> None:
    result = subprocess.run(
        ["npm", *arguments], cwd=CLIENT, capture_output=True, text=True, check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    if result.returncode != 0:
        raise SystemExit(f"npm {' '.join(arguments)} failed:\n{result.stdout}{result.stderr}")


def main() -> int:
    """Write, check or compile; answers the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="fail when the types are older than the document"
    )
    parser.add_argument("--compile", action="store_true", help="compile the client as well")
    arguments = parser.parse_args()
    if arguments.check:
        if not is_current():
            print(f"{SCHEMA.relative_to(ROOT)} is stale: run `make generate`", file=sys.stderr)
        return 0 if is_current() else 1
    if is_current() and not arguments.compile:
        return 0
    if shutil.which("npm") is None:
        print(
            "npm is missing: install Node 20 to generate and compile the TypeScript client", file=sys.stderr
        )
        return 0 if is_current() else 1
    install()
    if not is_current():
        generate()
        print(f"wrote {SCHEMA.relative_to(ROOT)}")
    problems = compile_client() if arguments.compile else []
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
