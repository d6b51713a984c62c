"""The directory without a password: Cloud SQL takes a token of the function's account, which the metadata server gives."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from local.patience import until
from tests.local.postgres.conftest import Postgres
from tests.migrations.cloud_sql import Authority, Proxy

pytestmark = pytest.mark.slow

ACCOUNT = "bridge-functions@bridge-test.iam"
PROGRAM = """
import json, os, sys
from shared.platform.postgres import pool as pg
from shared.platform.errors import BridgeError
held = []
for line in sys.stdin:
    try:
        with pg.transaction() as tx:
            answer = tx.one("SELECT current_user AS role, pg_backend_pid() AS connection")
        if line.strip() == "anew":  # The next one finds no connection that it could use again.
            for session in pg._pool()._idle:
                session.driver.close()
    except BridgeError as error:
        answer = {"code": error.code, "message": str(error), "retry_after": error.retry_after}
    print(json.dumps(answer), flush=True)
"""


class Metadata(ThreadingHTTPServer):
    """The metadata server of a function's instance (Google Cloud, "About VM metadata"), which only it can reach."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Metadata)
        self.token, self.lasts, self.asked = "first-token", 3600, list[dict[str, list[str]]]()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Metadata(BaseHTTPRequestHandler):
    server: Metadata

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if self.headers.get("Metadata-Flavor") != "Google":
            self.send_error(403)
            return
        answer: Any = ""
        if url.path.endswith("/token"):
            self.server.asked.append(parse_qs(url.query))
            answer = {
                "access_token": self.server.token,
                "expires_in": self.server.lasts,
                "token_type": "Bearer",
            }
        elif "/service-accounts/" in url.path:
            answer = {"aliases": ["default"], "email": f"{ACCOUNT}.gserviceaccount.com", "scopes": []}
        elif url.path.endswith("/project/project-id"):
            answer = "bridge-test"
        body = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        self.send_response(200)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header(
            "Content-Type", "application/text" if isinstance(answer, str) else "application/json"
        )
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Instance:
    """A function's process: asked line by line to begin a transaction."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def asks(self, how: str = "again") -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(how + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        return dict(json.loads(line))


@pytest.fixture
def metadata() -> Iterator[Metadata]:
    server = Metadata()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def instance(postgres: Postgres, metadata: Metadata, tmp_path: Path) -> Iterator[Instance]:
    """A function whose database wants a token in the clear under TLS, as Cloud SQL does of its accounts."""
    _takes(postgres, metadata.token, begin=True)
    authority = Authority()
    proxy = Proxy(postgres.port, authority.certificate("bridge-prod:directory"), tmp_path)
    user = ACCOUNT.replace("@", "%40")
    made = Instance(
        {
            "PATH": "/usr/bin",
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "GCE_METADATA_HOST": f"127.0.0.1:{metadata.server_port}",
            "GCE_METADATA_IP": f"127.0.0.1:{metadata.server_port}",
            "BRIDGE_ENV": "dev",
            "BRIDGE_BASE_URL": "http://127.0.0.1:1",
            "BRIDGE_STEP_URL": "http://127.0.0.1:1/_fn/{name}",
            "GOOGLE_CLOUD_PROJECT": "bridge-test",
            "BRIDGE_BUCKET_PREFIX": "bridge-test",
            "BRIDGE_KMS_KEY": "projects/p/locations/l/keyRings/r/cryptoKeys/k",
            "BRIDGE_STEP_SERVICE_ACCOUNT": "steps@x.iam",
            "BRIDGE_EVENTS_SERVICE_ACCOUNT": "events@x.iam",
            "BRIDGE_DATABASE_CA": authority.pem,
            "DATABASE_URL": f"postgresql://{user}@127.0.0.1:{proxy.port}/bridge?sslmode=verify-ca&auth=iam",
        }
    )
    yield made
    made.process.kill()
    made.process.communicate()
    proxy.close()


def _takes(postgres: Postgres, token: str, *, begin: bool = False) -> None:
    """The database accepts this token of the account, and no other."""
    owner = postgres.connect("postgres")
    if begin:
        rules = postgres.data / "pgdata" / "pg_hba.conf"
        rules.write_text(f'host bridge "{ACCOUNT}" 127.0.0.1/32 password\n' + rules.read_text())
        owner.run("SELECT pg_reload_conf()")
        owner.run(f'CREATE ROLE "{ACCOUNT}" LOGIN IN ROLE bridge_app')
    owner.run(f"ALTER ROLE \"{ACCOUNT}\" PASSWORD '{token}'")
    owner.close()


def test_a_function_signs_in_with_the_token_of_its_account(instance: Instance, metadata: Metadata) -> None:
    """One token serves all connections for as long as it lasts, and it is good for signing in alone."""
    first = instance.asks("anew")
    second = instance.asks()
    assert first["role"] == second["role"] == ACCOUNT
    assert first["connection"] != second["connection"]
    assert metadata.asked == [{"scopes": ["https://www.googleapis.com/auth/sqlservice.login"]}]


def test_a_token_that_ends_is_renewed_before_the_next_connection(
    instance: Instance, metadata: Metadata, postgres: Postgres
) -> None:
    """What is connected stays so; what connects later has a newer token."""
    metadata.lasts = 30  # Less than google-auth wants to be left of a token that it uses.
    first = instance.asks()
    metadata.token = "second-token"
    _takes(postgres, metadata.token)
    assert instance.asks("anew")["connection"] == first["connection"]
    assert instance.asks()["role"] == ACCOUNT
    assert len(metadata.asked) == 2


def test_without_a_token_the_directory_is_not_reachable_and_later_it_is(
    instance: Instance, metadata: Metadata, postgres: Postgres
) -> None:
    """A token that the database does not take is an outage for people, who learn nothing of it; then all is well."""
    metadata.token, metadata.lasts = "stale-token", 30
    refused = instance.asks()
    assert (refused["code"], refused["retry_after"]) == ("SERVICE_UNAVAILABLE", 1)
    assert "token" not in refused["message"]
    metadata.token = "first-token"
    answer: dict[str, Any] = {}

    def told() -> bool:
        answer.update(instance.asks())
        return "role" in answer

    until(told, lambda: f"the directory is reached: {answer}")
    assert answer["role"] == ACCOUNT
