"""`python -m local run` and `exec`: a stack for a person, and a stack around one command."""

import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from local.cloud.serving.process import die_with_parent
from local.stack import plan as planning
from local.stack import prepare, services
from local.stack.plan import StackError
from local.stack.supervisor import Stopped, Supervisor


def run(home: Path, port: int | None, demo: bool) -> int:
    """Start everything, say where it is, keep it going until somebody stops it."""
    try:
        with _started(home, port) as stack:
            _load_if_possible(stack, demo)
            stack.serving()
            print(f"Bridge is ready at {stack.plan.url}", flush=True)
            if demo:
                print(_how_to_sign_in(home), flush=True)
            stack.forever()
    except Stopped:
        print("Bridge has stopped; everything is kept in " + str(home), file=sys.stderr)
        return 0
    except StackError as error:
        print(f"Bridge can't start: {error}", file=sys.stderr)
        return 1
    return 0


def execute(command: list[str], home: Path | None, demo: bool) -> int:
    """Run a command inside a private stack; answers the command's exit code."""
    with contextlib.ExitStack() as cleanup:
        if home is None:
            home = Path(tempfile.mkdtemp(prefix="bridge-"))
            cleanup.callback(shutil.rmtree, home, ignore_errors=True)
        try:
            with _started(home, None) as stack:
                prepare.load(stack, demo)
                stack.serving()
                return _child(stack, command)
        except Stopped:
            return 128 + signal.SIGTERM
        except StackError as error:
            print(f"the stack can't start: {error}", file=sys.stderr)
            return 125


@contextlib.contextmanager
def _started(home: Path, port: int | None) -> Iterator[Supervisor]:
    home = home.resolve()
    held = planning.lock(home)
    try:
        _found, missing = services.present()
        for name in missing:
            print(f"{name}: not part of this checkout, left out", file=sys.stderr)
        stack = Supervisor(planning.make(home, port))
        stack.listen_to_signals()
        try:
            stack.start()
            prepare.prepare(stack)
            yield stack
        finally:
            stack.stop()
    finally:
        held.close()


def _load_if_possible(stack: Supervisor, demo: bool) -> None:
    """Load the demo; a person who starts Bridge keeps it running when only the demo fails, and is told."""
    try:
        prepare.load(stack, demo)
    except StackError as error:
        print(f"The demo could not be loaded; Bridge runs without. {error}", file=sys.stderr, flush=True)


def _child(stack: Supervisor, command: list[str]) -> int:
    """The command as a child, with our signals passed on and our own death followed."""
    access = prepare.access_of(stack.plan.home)
    extra = {"BRIDGE_TOKEN": access.get("token", ""), "BRIDGE_TEAM_ID": access.get("team_id", "")}
    try:
        process = subprocess.Popen(command, env=stack.environment() | extra, preexec_fn=die_with_parent)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127

    def pass_on(number: int, _frame: object) -> None:
        # A terminal sends Ctrl-C to the command, too: passing it on would be a second one.
        if not (number == signal.SIGINT and sys.stdin is not None and sys.stdin.isatty()):
            process.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, pass_on)
    code = stack.run(process)
    return 128 - code if code < 0 else code


def _how_to_sign_in(home: Path) -> str:
    access = prepare.access_of(home)
    if not access:
        return "There is no demo team yet: the functions that make one are not part of this checkout."
    return (
        f"Sign in as {access['email']} (development sign-in, no password).\n"
        f"For scripts: a token of the team {access['team']!r} is in {_short(home / 'demo.json')}."
    )


def _short(path: Path) -> Path:
    """A path as a person would type it."""
    path = path.resolve()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
