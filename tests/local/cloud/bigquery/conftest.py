"""A BigQuery server as a process of its own, spoken to by the real client library only."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials, Credentials
from google.cloud import bigquery

from local import ports

ROOT = Path(__file__).resolve().parents[4]
SETUP = Path(__file__).parent / "cases" / "setup.sql"


class Client(bigquery.Client):
    """The real client; `ask` is a query's rows once its job has ended."""

    def ask(self, sql: str, job_config: bigquery.QueryJobConfig | None = None) -> Any:
        return self.query(sql, job_config=job_config, job_retry=None).result(retry=None)


class Server:
    """One server process over a data directory; it can be killed and started again."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = ports.free()
        self.process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "Server":
        command = [
            sys.executable,
            "-m",
            "local.cloud.bigquery",
            "--port",
            str(self.port),
            "--data",
            str(self.data),
        ]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline() if self.process.stdout else ""
        assert line.strip() == f"ready {self.address}", line
        return self

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(with_signal)
        code = self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        self.process = None
        return code

    def client(self, credentials: Credentials | None = None, location: str | None = None) -> "Client":
        return Client(
            project="bridge-local",
            credentials=credentials or AnonymousCredentials(),
            client_options={"api_endpoint": self.address},
            location=location,
        )


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("bigquery")).start()
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="session")
def client(server: Server) -> bigquery.Client:
    return server.client()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """A server for tests that kill it or change its directory."""
    running = Server(tmp_path).start()
    yield running
    if running.process is not None:
        running.stop()


@pytest.fixture
def dataset(client: bigquery.Client) -> Iterator[str]:
    """An empty data set with a name of its own."""
    name = f"d_{os.urandom(4).hex()}"
    client.create_dataset(name)
    yield name
    client.delete_dataset(name, delete_contents=True)


@pytest.fixture(scope="session")
def cases(client: bigquery.Client) -> Iterator[str]:
    """The tables of `cases/setup.sql`, which tests only read."""
    name = "cases"
    client.create_dataset(name)
    for statement in SETUP.read_text().split("\n"):
        if statement and not statement.startswith("--"):
            client.ask(statement.replace("{dataset}", name))
    yield name
    client.delete_dataset(name, delete_contents=True)


Rows = Callable[..., list[tuple[object, ...]]]


@pytest.fixture
def rows(client: bigquery.Client) -> Rows:
    """Run a query and answer its rows as tuples."""

    def run(sql: str, config: bigquery.QueryJobConfig | None = None) -> list[tuple[object, ...]]:
        return [tuple(row.values()) for row in client.ask(sql, job_config=config)]

    return run
