"""What a started stack needs before anybody may use it: the schema, the buckets, a person with a token."""

import hashlib
import http.client
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from local.stack import services
from local.stack.plan import StackError, StackPlan, read_state, write_private
from local.stack.supervisor import Supervisor


def prepare(stack: Supervisor) -> None:
    """Migrate, make the buckets and fill them. Each part is idempotent; then `load` may run.

    The parts overlap: the migrations run while slower servers still start.
    """
    stack.wait_ready("postgres")
    migrations = stack.task("migrations", "-m", "migrations", "up")
    console: subprocess.Popen[bytes] | None = None
    try:
        stack.wait_ready("storage")
        if "storage" in stack.children:
            make_buckets(stack.plan)
            bucket = f"{services.BUCKET_PREFIX}-assets"
            console = stack.task("console", "tools/publish_console.py", "--bucket", bucket)
        stack.finish(migrations, "migrations")
        if console is not None:
            stack.finish(console, "console")
    finally:
        _end(migrations)
        if console is not None:
            _end(console)
    stack.wait_ready()


def make_buckets(plan: StackPlan) -> None:
    """Create every bucket that is missing; those that keep history get versions."""
    connection = http.client.HTTPConnection("127.0.0.1", plan.ports["storage"], timeout=10)
    try:
        for role in services.BUCKETS:
            body = {
                "name": f"{services.BUCKET_PREFIX}-{role}",
                "location": services.REGION,
                "versioning": {"enabled": role in services.VERSIONED},
                "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": True}},
            }
            connection.request(
                "POST",
                f"/storage/v1/b?project={services.PROJECT}",
                json.dumps(body),
                {"Content-Type": "application/json"},
            )
            answer = connection.getresponse()
            content = answer.read()
            if answer.status not in (200, 409):
                raise StackError(
                    f"bucket {body['name']}: storage answered {answer.status}: {content[:300]!r}"
                )
    finally:
        connection.close()


def load(stack: Supervisor, demo: bool) -> None:
    """The demo, or with no demo a team and a token, unless this folder has them already."""
    home = stack.plan.home
    if demo and not importlib.util.find_spec("local.demo.datasets"):
        print("demo data: not part of this checkout, left out", file=sys.stderr)
        demo = False
    if not demo:
        _run(stack, "team", "local.demo.team", "--access-only")
        return
    version = _version(services.root() / "local" / "demo")
    if read_state(home).get("demo") == version:
        return
    print("Loading the demo data …", file=sys.stderr, flush=True)
    _run(stack, "demo", "local.demo.datasets")
    _run(stack, "team", "local.demo.team")
    if access_of(home).get("complete"):
        write_private(home / "stack.json", read_state(home) | {"demo": version})


def access_of(home: Path) -> dict[str, Any]:
    """The team and the token that the loader left, or nothing."""
    try:
        access: dict[str, Any] = json.loads((home / "demo.json").read_text())
    except FileNotFoundError:
        return {}
    return access


def _run(stack: Supervisor, name: str, module: str, *arguments: str) -> None:
    stack.finish(stack.task(name, "-m", module, *arguments), name)


def _version(folder: Path) -> str:
    """A number for the demo's own files: a changed demo is loaded again."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".py", ".json", ".yaml", ".csv"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        process.wait()
