"""Before anything starts: the folder, its lock, the ports and the environment of one stack.

BRIDGE_HOME/lock               held while a stack runs
BRIDGE_HOME/stack.json         ports, processes, state: what `status` and /_local/ show
BRIDGE_HOME/environment.json   every variable that functions and scripts get; holds passwords, 0600
"""

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from local import ports as free_ports
from local import preflight
from local.patience import Patience
from local.postgres import cluster
from local.stack import services
from local.stack.services import Service


class StackError(Exception):
    """The stack can't start; the message says what to do."""


@dataclass(frozen=True)
class StackPlan:
    """Everything that is decided before the first process starts."""

    home: Path
    ports: Mapping[str, int]
    services: Sequence[Service]
    environment: Mapping[str, str]

    @property
    def url(self) -> str:
        """The public address."""
        return f"http://127.0.0.1:{self.ports['gateway']}"

    def command(self, service: Service, python: str) -> list[str]:
        """The command line of a service."""
        given = [_filled(argument, self.home, self.ports) for argument in service.arguments]
        port, data = str(self.ports[service.name]), str(self.home / service.name)
        return [python, "-m", service.module, "--port", port, "--data", data, *given]


def lock(home: Path) -> IO[str]:
    """Hold the folder for this process. Raises StackError when another stack holds it."""
    if refusal := preflight.unusable(home):
        raise StackError(refusal)
    home.mkdir(parents=True, exist_ok=True)
    # Others may pass through (Postgres runs as its own user when we are root) but not look around.
    home.chmod(0o711)
    (home / "logs").mkdir(exist_ok=True, mode=0o700)
    file = (home / "lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        raise StackError(
            f"another stack (process {holder}) already uses {home}: stop it, or set BRIDGE_HOME to another folder"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def make(home: Path, port: int | None) -> StackPlan:
    """Decide ports and variables. `port` is the gateway's; None takes the last one or any free one."""
    found, _missing = services.present()
    known = read_state(home)
    _wait_for_the_dead(known)
    ports = _ports(known.get("ports", {}), port)
    for service in found:
        # The passwords and the cluster are reached by Postgres' own user, the rest by nobody else.
        (home / service.name).mkdir(exist_ok=True, mode=0o711 if service.name == "postgres" else 0o700)
    environment = _environment(home, ports)
    plan = StackPlan(home, ports, found, environment)
    write_private(home / "environment.json", environment)
    return plan


def read_state(home: Path) -> dict[str, Any]:
    """What stack.json says; empty when there is none."""
    try:
        state: dict[str, Any] = json.loads((home / "stack.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return state


def write_private(path: Path, content: Any) -> None:
    """Replace a JSON file whole; readable by its owner alone."""
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as file:
        json.dump(content, file, indent=1)
    os.replace(temporary, path)


def _filled(text: str, home: Path, ports: Mapping[str, int]) -> str:
    url = f"http://127.0.0.1:{ports['gateway']}"
    values = {name: str(port) for name, port in ports.items()} | {
        "home": str(home),
        "manifest": os.environ.get("BRIDGE_MANIFEST") or str(services.root() / "functions" / "manifest.json"),
        "step_url": f"{url}/_fn/{{name}}",
        # How long the transaction of a dead process holds its documents. The service's minute, unless tests are in a hurry.
        "firestore_idle": os.environ.get("BRIDGE_FIRESTORE_IDLE_SECONDS", "60"),
    }
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _ports(before: Mapping[str, int], gateway: int | None) -> dict[str, int]:
    """The ports of last time where they are still free, so that addresses kept in tasks stay right."""
    ports: dict[str, int] = {}
    if gateway is not None:
        if refusal := preflight.unusable_port(gateway):
            raise StackError(refusal)
        if not free_ports.claim(gateway):
            raise StackError(
                f"port {gateway} is kept by another stack or test of this user: stop it, or choose another port"
            )
        ports["gateway"] = gateway
    # Every name gets a port, also of services that are not there: the variables then point at nothing,
    # which fails with a refused connection instead of reaching for the cloud.
    for name in dict.fromkeys(name for service in services.SERVICES for name in service.ports):
        if name in ports:
            continue
        old = before.get(name)
        ports[name] = old if old and free_ports.claim(old) else free_ports.free()
    return ports


def _wait_for_the_dead(known: Mapping[str, Any], patience: float = 5.0) -> None:
    """After a SIGKILL of the last stack its children end within moments: let them free their ports."""
    supply = Patience(patience)
    pids = [entry.get("pid") for entry in known.get("services", {}).values()]
    while not supply.over() and any(pid and _is_ours(pid) for pid in pids):
        time.sleep(0.05)


def _is_ours(pid: int) -> bool:
    try:
        return b"local." in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _environment(home: Path, ports: Mapping[str, int]) -> dict[str, str]:
    passwords = cluster.passwords(home / "postgres")
    url = f"http://127.0.0.1:{ports['gateway']}"
    variables = {
        "BRIDGE_ENV": "local",
        "BRIDGE_TOKENS_CHECKED": "true",
        "BRIDGE_HOME": str(home),
        "BRIDGE_BASE_URL": url,
        "BRIDGE_URL": url,
        "BRIDGE_STEP_URL": f"{url}/_fn/{{name}}",
        "GOOGLE_CLOUD_PROJECT": services.PROJECT,
        "BRIDGE_REGION": services.REGION,
        "BRIDGE_BUCKET_PREFIX": services.BUCKET_PREFIX,
        "BRIDGE_KMS_KEY": services.KMS_KEY,
        "BRIDGE_STEP_SERVICE_ACCOUNT": services.STEP_ACCOUNT,
        "BRIDGE_EVENTS_SERVICE_ACCOUNT": services.EVENTS_ACCOUNT,
        "BRIDGE_PLATFORM_ADMINS": services.DEMO_ADMIN,
        "BRIDGE_LIMITS": json.dumps(services.LIMITS),
        "BRIDGE_PROXY_HOPS": "0",
        "DATABASE_URL": cluster.url(cluster.APP, passwords[cluster.APP], ports["postgres"]),
        "MIGRATIONS_DATABASE_URL": cluster.url(cluster.OWNER, passwords[cluster.OWNER], ports["postgres"]),
    }
    for service in services.SERVICES:
        for name, value in service.variables.items():
            variables[name] = _filled(value, home, ports)
    return variables
