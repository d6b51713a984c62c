"""Make and run one PostgreSQL cluster: two roles, one database, over TCP on loopback.

    initdb ─► postgres --single (roles, database) ─► postgres -h 127.0.0.1 -p N

`bridge_owner` owns the database and runs the migrations. `bridge_app` owns nothing and bypasses
nothing, so what it may touch is what a migration granted, here as in the cloud.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from local.cloud.serving.process import die_with_parent
from local.patience import Patience
from local.postgres.binaries import CLUSTER, Account

DATABASE = "bridge"
OWNER = "bridge_owner"
APP = "bridge_app"

# synchronous_commit stays on: a commit is written to the operating system before it is acknowledged,
# which is all that surviving SIGKILL takes. fsync is off: only a power cut or a kernel crash could lose
# data, and a laptop's development data is not worth a disk flush per commit.
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "synchronous_commit": "on",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True)
class Cluster:
    """One cluster on disk and the user that runs it."""

    binaries: Path
    place: Path
    who: Account

    @property
    def data(self) -> Path:
        return self.place / CLUSTER


def create(cluster: Cluster, passwords: dict[str, str]) -> None:
    """Make the cluster whole or not at all: built beside its place, then renamed."""
    if cluster.data.exists():
        return
    building = cluster.place / f"{CLUSTER}.building"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(mode=0o700)
    os.chown(building, cluster.who.uid, cluster.who.gid)
    with tempfile.NamedTemporaryFile("w", dir=_scratch(cluster)) as file:
        os.chown(file.name, cluster.who.uid, cluster.who.gid)
        file.write(passwords["postgres"])
        file.flush()
        _run(
            cluster,
            [
                str(cluster.binaries / "initdb"), "--pgdata", str(building), "--username=postgres",
                "--auth=scram-sha-256", f"--pwfile={file.name}", "--encoding=UTF8", "--locale=C", "--no-sync",
            ],
        )  # fmt: skip
    _run(
        cluster,
        [str(cluster.binaries / "postgres"), "--single", "-D", str(building), "-F", "postgres"],
        "".join(f"{line}\n" for line in _bootstrap(passwords)),
    )
    building.rename(cluster.data)


def _bootstrap(passwords: dict[str, str]) -> list[str]:
    limits = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS"
    return [
        f"CREATE ROLE {OWNER} {limits} PASSWORD '{passwords[OWNER]}'",
        f"CREATE ROLE {APP} {limits} PASSWORD '{passwords[APP]}'",
        f"CREATE DATABASE {DATABASE} OWNER {OWNER}",
        f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC",
        f"GRANT CONNECT, TEMPORARY ON DATABASE {DATABASE} TO {APP}",
    ]


def passwords(place: Path) -> dict[str, str]:
    """The three passwords, made once and readable by their owner alone."""
    path = place / "passwords.json"
    if not path.exists():
        made = {role: secrets.token_hex(24) for role in ("postgres", OWNER, APP)}
        handle, temporary = tempfile.mkstemp(dir=place)
        os.write(handle, json.dumps(made).encode())
        os.close(handle)
        os.rename(temporary, path)
    kept: dict[str, str] = json.loads(path.read_text())
    return kept


def url(role: str, password: str, port: int) -> str:
    """The address that a role connects to."""
    return f"postgresql://{role}:{password}@127.0.0.1:{port}/{DATABASE}"


def start(cluster: Cluster, port: int, patience: float = 20.0) -> subprocess.Popen[bytes]:
    """Start the server and wait until it accepts connections.

    After a kill -9 the last backends may hold the old shared memory for a moment: starting is tried
    again until `patience` seconds of a quiet machine have passed.
    """
    supply = Patience(patience)
    arguments = [str(cluster.binaries / "postgres"), "-D", str(cluster.data), "-p", str(port)]
    for name, value in SETTINGS.items():
        arguments += ["-c", f"{name}={value}"]
    _forget_recycled_pid(cluster)
    while True:
        child = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=2,
            cwd=cluster.data,
            env=_environment(),
            user=cluster.who.uid if cluster.who.switches else None,
            group=cluster.who.gid if cluster.who.switches else None,
            extra_groups=[] if cluster.who.switches else None,
            preexec_fn=_quit_with_parent,
            process_group=0,
        )
        if _wait_ready(cluster, child, supply):
            return child
        if supply.over():
            child.kill()
            raise TimeoutError(f"postgres did not accept connections within {patience:g} s; see its log")
        time.sleep(0.1)


def _quit_with_parent() -> None:
    # SIGQUIT ends every backend at once and releases the shared memory; recovery replays the log.
    die_with_parent(signal.SIGQUIT)


def _wait_ready(cluster: Cluster, child: subprocess.Popen[bytes], patience: Patience) -> bool:
    """Read the state that the server itself keeps in its lock file: no client library, no password."""
    lock = cluster.data / "postmaster.pid"
    while child.poll() is None and not patience.over():
        try:
            lines = lock.read_text().splitlines()
        except FileNotFoundError:
            lines = []
        if len(lines) >= 8 and lines[0] == str(child.pid) and lines[7].strip() == "ready":
            return True
        time.sleep(0.01)
    return False


def _forget_recycled_pid(cluster: Cluster) -> None:
    """Drop a lock file whose process number now belongs to some other program."""
    lock = cluster.data / "postmaster.pid"
    try:
        pid = int(lock.read_text().splitlines()[0])
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError, IndexError, ValueError):
        return
    if name != "postgres":
        lock.unlink(missing_ok=True)


def _run(cluster: Cluster, command: list[str], text: str | None = None) -> None:
    done = subprocess.run(
        command,
        input=text,
        text=True,
        capture_output=True,
        check=False,
        cwd=cluster.place,
        env=_environment(),
        user=cluster.who.uid if cluster.who.switches else None,
        group=cluster.who.gid if cluster.who.switches else None,
        extra_groups=[] if cluster.who.switches else None,
    )
    # The single-user server answers 0 even when a statement failed.
    if done.returncode != 0 or "ERROR:" in done.stderr or "FATAL:" in done.stderr:
        raise RuntimeError(f"{Path(command[0]).name} failed: {done.stderr.strip() or done.stdout.strip()}")


def _scratch(cluster: Cluster) -> str:
    folder = cluster.place / "scratch"
    folder.mkdir(mode=0o711, exist_ok=True)
    return str(folder)


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}
