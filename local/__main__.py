"""The laptop's cloud: python -m local run | exec [--no-demo] [--home DIR] -- COMMAND… | chaos | status | reset."""

import argparse
import fcntl
import json
import os
import shutil
import sys
from pathlib import Path

from local import chaos_command


def main(arguments: list[str]) -> int:
    """Run one command; answer its exit code."""
    options = _parser().parse_args(arguments)
    if getattr(options, "bundles", None):
        os.environ["BRIDGE_BUNDLES"] = str(options.bundles.resolve())
    if options.what == "chaos":
        return chaos_command.run(options)
    # Imported after parsing: a typing error should not wait for anything.
    from local.stack import run

    if options.what == "run":
        port = options.port if options.port is not None else _port()
        return 2 if port is None else run.run(options.home, port or None, demo=not options.no_demo)
    if options.what == "exec":
        command = options.command[1:] if options.command[:1] == ["--"] else options.command
        if not command:
            print("exec: nothing to run; write it after --, for instance: exec -- pytest", file=sys.stderr)
            return 2
        return run.execute(command, options.private_home, demo=not options.no_demo)
    return _status(options.home) if options.what == "status" else _reset(options.home)


def _parser() -> argparse.ArgumentParser:
    home = Path(os.environ.get("BRIDGE_HOME") or ".bridge")
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="what", required=True)
    run = commands.add_parser("run", help="start everything and keep it going until Ctrl-C")
    run.add_argument("--home", type=Path, default=home, help="the data folder (BRIDGE_HOME, default .bridge)")
    run.add_argument(
        "--port", type=int, help="the gateway's port (BRIDGE_PORT, default 8080; 0: any free one)"
    )
    run.add_argument("--no-demo", action="store_true", help="a team and a token, but no demo data")
    execute = commands.add_parser("exec", help="run a command inside a private stack on free ports")
    execute.add_argument(
        "--home", dest="private_home", type=Path, help="keep the data here instead of throwing it away"
    )
    execute.add_argument("--no-demo", action="store_true", help="a team and a token, but no demo data")
    execute.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND…")
    for command in (run, execute):
        command.add_argument(
            "--bundles",
            type=Path,
            metavar="DIR",
            help="run the functions from their built bundles (make build)",
        )
    chaos_command.add_to(commands, home)
    for name, about in (("status", "what runs, where"), ("reset", "delete the data folder")):
        commands.add_parser(name, help=about).add_argument("--home", type=Path, default=home)
    return parser


def _port() -> int | None:
    given = os.environ.get("BRIDGE_PORT") or "8080"
    if not given.isdecimal() or int(given) > 65535:
        print(f"BRIDGE_PORT: {given!r} is not a port; give a number from 1 to 65535", file=sys.stderr)
        return None
    return int(given)


def _status(home: Path) -> int:
    """Print what the stack of a folder is doing; 0 when it runs."""
    try:
        state = json.loads((home / "stack.json").read_text())
    except FileNotFoundError:
        print(f"no stack has run in {home}")
        return 1
    running = _is_held(home)
    print(
        f"{state['url']}  {state['state'] if running else 'stopped'}  (process {state['pid']}, data in {home})"
    )
    for name, service in state["services"].items():
        word = "ready" if service["ready"] and running else "down"
        print(
            f"  {name:<10} {word:<6} port {service['port']:<6} pid {service['pid'] or '-':<8} {service['log']}"
        )
    return 0 if running else 1


def _reset(home: Path) -> int:
    """Delete a data folder, never one that is in use and never one that is not a data folder."""
    if not home.exists():
        return 0
    if not (home / "stack.json").exists():
        print(f"{home} is not a data folder of Bridge (it has no stack.json): left alone", file=sys.stderr)
        return 1
    if _is_held(home):
        print(f"a stack runs in {home}: stop it first", file=sys.stderr)
        return 1
    from local.postgres import binaries

    place = binaries.place((home / "postgres").resolve(), binaries.account())
    for folder in (place, home):
        shutil.rmtree(folder, ignore_errors=True)
    print(f"deleted {home}")
    return 0


def _is_held(home: Path) -> bool:
    try:
        with (home / "lock").open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
