# ruff: noqa: T201 - a command speaks on standard output
"""python -m migrations up|down|status|verify [--to N]: reads MIGRATIONS_DATABASE_URL."""

import argparse
import os
import sys
from pathlib import Path

from migrations import runner


def main(arguments: list[str] | None = None) -> int:
    """Run one command; answer 0 when the database is as asked."""
    parser = argparse.ArgumentParser(prog="python -m migrations", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "status", "verify"])
    parser.add_argument("--to", type=int, help="the number to stop at: up applies it, down keeps it")
    parser.add_argument("--folder", type=Path, default=runner.FOLDER, help="where the SQL files are")
    options = parser.parse_args(arguments)
    url = os.environ.get("MIGRATIONS_DATABASE_URL")
    if not url:
        print(
            "MIGRATIONS_DATABASE_URL is not set: it names the database and the role that owns it",
            file=sys.stderr,
        )
        return 2
    try:
        return _COMMANDS[options.command](url, options)
    except runner.MigrationError as error:
        print(f"migrations: {error}", file=sys.stderr)
        return 1


def _up(url: str, options: argparse.Namespace) -> int:
    for name in runner.up(url, options.folder, options.to):
        print(f"applied {name}")
    return 0


def _down(url: str, options: argparse.Namespace) -> int:
    for name in runner.down(url, options.folder, options.to):
        print(f"undone {name}")
    return 0


def _status(url: str, options: argparse.Namespace) -> int:
    for state in runner.status(url, options.folder):
        when = f"{state.applied_at} in {state.seconds:.3f} s" if state.applied_at else ""
        print(f"{state.id:<40} {state.state:<8} {when}".rstrip())
    return 0


def _verify(url: str, options: argparse.Namespace) -> int:
    problems = runner.verify(url, options.folder)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


_COMMANDS = {"up": _up, "down": _down, "status": _status, "verify": _verify}

if __name__ == "__main__":
    sys.exit(main())
