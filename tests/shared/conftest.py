"""The laptop's servers without a queue or a gateway: tests deliver each step themselves, in any weather.

Requests go through the real doors (decorators, ledger, tokens), in this process.
"""

from __future__ import annotations

import base64
import dataclasses
import http.server
import importlib
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from local import ports
from shared.platform.registry.gathered import RATES
from tests import keeper
from tests.servers import launched

ROOT = Path(__file__).resolve().parents[2]
DOORS = ("auth", "teams", "connections", "catalog", "jobs", "ops")
PROJECT = "bridge-local"
ACCOUNTS = {
    "reader": ("jobUser", "dataViewer"),
    "no-jobs": ("dataViewer",),
    "no-metadata": ("jobUser",),
    "no-data": ("jobUser", "metadataViewer"),
    "least": ("jobUser",),
}
"""Service accounts that the local BigQuery knows, and their roles."""
GRANTED = "granted_alone"
"""The data set that the account `least` may read; it has no right on the project but to run jobs."""
STEPS, EVENTS = (f"{name}@{PROJECT}.iam.gserviceaccount.com" for name in ("steps", "events"))


class Crash(BaseException):
    """The process died here. Not an Exception: no code of ours may handle it."""


@dataclasses.dataclass(frozen=True)
class Person:
    """Somebody signed in, with a token."""

    id: str
    token: str


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a door answered."""

    status: int
    headers: Any
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> dict[str, Any]:
        return dict(self.json["error"])


@dataclasses.dataclass(frozen=True)
class Delivery:
    """A message or an event that waits to be delivered."""

    function: str
    body: dict[str, Any]
    event: bool
    message: str | None = None
    """The row of the outbox that it comes from; None for what a bucket tells."""


class Cloud:
    """The doors of onboarding over real servers, and the post that waits between them."""

    def __init__(self, environment: dict[str, str], owner_url: str, identity: Path, key: str) -> None:
        self.environment, self._identity, self._key = environment, identity, key
        self._owner_url = owner_url
        self._delivered: set[str] = set()
        self.doors = [
            getattr(module, path.parent.name)
            for domain in DOORS
            for path in sorted((ROOT / "functions" / domain).glob("*/main.py"))
            for module in [importlib.import_module(f"functions.{domain}.{path.parent.name}.main")]
        ]

    # People and their requests -----------------------------------------------------------------

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        as_: Person | None = None,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        """One request through the door that declares its route."""
        sent = dict(headers or {})
        if as_ is not None:
            sent["Authorization"] = f"Bearer {as_.token}"
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        return self._enter(self._door(method, urlsplit(path).path), method, path, data, sent)

    def person(self, name: str = "person") -> Person:
        """Somebody new with an access token."""
        email = f"{name}-{uuid.uuid4().hex[:8]}@example.com"
        signed = self.call("POST", "/v1/auth/dev/login", {"email": email, "name": name})
        cookie = next(
            value.split(";")[0]
            for value in signed.headers.getlist("Set-Cookie")
            if value.startswith("bridge_session=")
        )
        made = self.call(
            "POST",
            "/v1/auth/tokens",
            {"name": "test"},
            headers={"Cookie": cookie, "X-Bridge-CSRF": signed.json["csrf_token"]},
        )
        assert made.status == 201, made.content
        return Person(signed.json["user"]["id"], made.json["token"])

    def team(self, of: Person) -> str:
        """A team whose admin the person is."""
        made = self.call("POST", "/v1/onboarding/teams", {"name": f"Team {uuid.uuid4().hex[:8]}"}, as_=of)
        assert made.status == 201, made.content
        return str(made.json["id"])

    def join(self, team: str, who: Person) -> None:
        """Make the person a member (invitations are not built yet)."""
        self.sql(
            "INSERT INTO team_members (team_id, user_id, role) VALUES (:t, :u, 'member')", t=team, u=who.id
        )

    def service_account(self, **changes: Any) -> str:
        """A service-account file in base64, with a key made for this run."""
        file = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "test",
            "private_key": self._key,
            "client_email": f"reader@{PROJECT}.iam.gserviceaccount.com",
            "token_uri": "https://attacker.example/token",
        } | changes
        file = {name: value for name, value in file.items() if value is not None}
        return base64.b64encode(json.dumps(file).encode()).decode()

    def connection(self, team: str, of: Person, name: str = "Warehouse", *, validated: bool = True) -> str:
        """A connection to the local BigQuery."""
        made = self.call(
            "POST",
            "/v1/onboarding/connections",
            {
                "team_id": team,
                "name": name,
                "connection_type": "bigquery",
                "credentials": self.service_account(),
            },
            as_=of,
        )
        assert made.status == 201, made.content
        if validated:
            path = f"/v1/onboarding/connections/{made.json['id']}"
            job = self.call("POST", f"{path}/validate", as_=of).json["job_id"]
            self.drain()
            assert self.job(job, of)["state"] == "completed", self.job(job, of)
        return str(made.json["id"])

    def job(self, id: str, of: Person) -> dict[str, Any]:
        """A job as its owner sees it."""
        return dict(self.call("GET", f"/v1/onboarding/jobs/{id}", as_=of).json)

    # Behind the doors --------------------------------------------------------------------------

    def sql(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """A look (or a shove) behind the row-level policies, as the owner of the schema."""
        from pg8000.native import Connection

        url = urlsplit(self._owner_url)
        with_ = Connection(
            url.username or "", password=url.password, host="127.0.0.1", port=url.port, database=url.path[1:]
        )
        try:
            rows = with_.run(statement, **values) or []
            names = [column["name"] for column in with_.columns or []]
            return [dict(zip(names, row, strict=True)) for row in rows]
        finally:
            with_.close()

    def end_leases(self) -> None:
        """Let the time pass that a dead worker's lease lasts."""
        self.sql("UPDATE attempts SET lease_until = now() - interval '1 second' WHERE state = 'running'")

    # Post --------------------------------------------------------------------------------------

    def pending(self) -> list[Delivery]:
        """Messages and finalize events that nobody has delivered, oldest first."""
        from shared.platform.cloud import objects

        found = []
        for row in self.sql("SELECT id, step, kind, payload FROM outbox ORDER BY created_at, id"):
            if str(row["id"]) not in self._delivered:
                self._delivered.add(str(row["id"]))
                event = row["kind"] == "event"
                found.append(Delivery(row["step"], row["payload"], event, str(row["id"])))
        for stored in objects.listing("catalog", ""):
            mark = f"{stored.name}#{stored.generation}"
            if mark not in self._delivered:
                self._delivered.add(mark)
                found.append(self.event(stored.bucket, stored.name, stored.generation))
        return found

    def event(self, bucket: str, name: str, generation: int) -> Delivery:
        """The finalize event of an object."""
        body = {"bucket": bucket, "name": name, "generation": str(generation), "size": "1"}
        return Delivery("catalog-index-snapshot", body, event=True)

    def deliver(self, item: Delivery, *, tries: int = 0, give_up: bool = False) -> int:
        """Deliver once, as the queue or Eventarc would; answers the status."""
        from local.cloud import identity

        audience = self.environment["BRIDGE_STEP_URL"].replace("{name}", item.function)
        account = EVENTS if item.event else STEPS
        headers = {
            "Authorization": f"Bearer {identity.token(self._identity, audience, account)}",
            "Content-Type": "application/json",
            "X-CloudTasks-TaskRetryCount": str(tries),
        }
        if item.event:
            headers["ce-type"] = "google.cloud.storage.object.v1.finalized"
        if item.message is not None:
            headers["X-Bridge-Message"] = item.message
        if give_up:
            headers["X-Bridge-Give-Up"] = "1"
        door = next(door for door in self.doors if door.__bridge__.name == item.function)
        if door.__bridge__.kind == "scheduled":
            headers["X-CloudScheduler-ScheduleTime"] = item.body["at"]
        return self._enter(door, "POST", "/", json.dumps(item.body).encode(), headers).status

    def drain(self, weather: Callable[[Cloud, list[Delivery]], None] | None = None) -> None:
        """Deliver until nothing waits."""
        for _ in range(50):
            waiting = self.pending()
            if not waiting:
                return
            (weather or calm)(self, waiting)
        raise AssertionError("the post does not end")

    def _door(self, method: str, path: str) -> Any:
        from shared.platform.edge.declare import compile_path

        for door in self.doors:
            declared = door.__bridge__
            if declared.method == method and any(compile_path(p).match(path) for p in declared.paths):
                return door
        raise AssertionError(f"no door for {method} {path}")

    def _enter(
        self, door: Any, method: str, path: str, data: bytes | None, headers: dict[str, str]
    ) -> Answer:
        from flask import Request
        from werkzeug.test import EnvironBuilder

        environ = EnvironBuilder(path=path, method=method, data=data, headers=headers).get_environ()
        response = door(Request(environ))
        return Answer(response.status_code, response.headers, response.get_data())


# Weather ---------------------------------------------------------------------------------------


def _settle(cloud: Cloud, item: Delivery) -> None:
    for tries in range(20):
        if cloud.deliver(item, tries=tries) < 300:
            return
        cloud.end_leases()
    raise AssertionError(f"{item} never succeeds")


def calm(cloud: Cloud, waiting: list[Delivery]) -> None:
    """Each once, in order."""
    for item in waiting:
        _settle(cloud, item)


def twice(cloud: Cloud, waiting: list[Delivery]) -> None:
    """Each twice in a row."""
    for item in waiting:
        _settle(cloud, item)
        assert cloud.deliver(item) < 300


def backwards(cloud: Cloud, waiting: list[Delivery]) -> None:
    """The last one first, and all of them again at the end."""
    for item in [*reversed(waiting), *waiting]:
        _settle(cloud, item)


def together(cloud: Cloud, waiting: list[Delivery]) -> None:
    """All at the same time and each of them by two workers; who loses comes again."""
    with ThreadPoolExecutor(8) as workers:
        list(workers.map(cloud.deliver, [item for item in waiting for _ in range(2)]))
    for item in waiting:
        _settle(cloud, item)


def crashing(cloud: Cloud, waiting: list[Delivery]) -> None:
    """The worker dies after its first effect, the next one after the second, and so on to the end."""
    for item in waiting:
        for effect in range(1, 40):
            cloud.end_leases()
            try:
                with dying_after(effect):
                    status = cloud.deliver(item)
            except Crash:
                continue
            assert status < 300
            break
        else:
            raise AssertionError(f"{item} has more than 40 effects")


WEATHER = [calm, twice, backwards, together, crashing]


@contextmanager
def dying_after(effects: int) -> Iterator[None]:
    """Die once this many effects (commits, written objects) are durable."""
    from shared.platform.cloud import objects
    from shared.platform.postgres import pool

    left = effects
    real_transaction, real_put = pool.transaction, objects.put

    def count() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Crash

    @contextmanager
    def transaction(*args: Any, **options: Any) -> Iterator[Any]:
        with real_transaction(*args, **options) as tx:
            yield tx
        count()

    def put(*args: Any, **options: Any) -> Any:
        stored = real_put(*args, **options)
        count()
        return stored

    pool.transaction, objects.put = transaction, put
    try:
        yield
    finally:
        pool.transaction, objects.put = real_transaction, real_put


# Servers ---------------------------------------------------------------------------------------


@contextmanager
def _certificates(identity: Path) -> Iterator[str]:
    from local.cloud import identity as issuer

    body = json.dumps(issuer.certificates(identity)).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/certs"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def servers(open_folder: Path) -> Iterator[dict[str, Any]]:
    """A space on the servers of the run, and what signs tokens; BigQuery comes with `bigquery`."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    from local.cloud import identity

    home = open_folder / "servers"
    home.mkdir()
    identity.ensure(home)
    space, bigquery_port = keeper.space(), ports.free()
    with _certificates(home) as certs:
        environment = space.environment | {
            "BRIDGE_OIDC_CERTS_URL": certs,
            "BIGQUERY_EMULATOR_HOST": f"http://127.0.0.1:{bigquery_port}",
            # Nobody listens: messages stay in the outbox until the test delivers them.
            "CLOUD_TASKS_EMULATOR_HOST": f"127.0.0.1:{ports.free()}",
            "BRIDGE_LIMITS": json.dumps(dict.fromkeys(RATES, 1_600_000)),
        }
        pair = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        key = pair.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public_key = pair.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        yield {
            "environment": environment,
            "owner": space.owner,
            "home": home,
            "key": key.decode(),
            "public_key": public_key.decode(),
            "bigquery_port": bigquery_port,
        }


@pytest.fixture(scope="session")
def bigquery(servers: dict[str, Any]) -> Iterator[Any]:
    """The local BigQuery and a client of Google's to fill it."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery as sdk

    port = servers["bigquery_port"]
    (servers["home"] / "bigquery").mkdir()
    (servers["home"] / "bigquery" / "service_accounts.json").write_text(
        json.dumps(
            {
                f"{name}@{PROJECT}.iam.gserviceaccount.com": {
                    "public_key": servers["public_key"],
                    "roles": [f"bigquery.{role}" for role in roles],
                    "datasets": {GRANTED: ["bigquery.dataViewer"]} if name == "least" else {},
                }
                for name, roles in ACCOUNTS.items()
            }
        )
    )
    data = servers["home"] / "bigquery"
    with launched("local.cloud.bigquery", "--port", str(port), "--data", str(data)):
        yield sdk.Client(
            project=PROJECT,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": f"http://127.0.0.1:{port}"},
        )


@pytest.fixture
def cloud(servers: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The doors over those servers; clients and caches of this process begin anew."""
    for name, value in servers["environment"].items():
        monkeypatch.setenv(name, value)
    _forget_clients()
    made = Cloud(servers["environment"], servers["owner"], servers["home"], servers["key"])
    made.pending()
    yield made
    _forget_clients()


@pytest.fixture(params=WEATHER, ids=lambda weather: weather.__name__)
def weather(request: pytest.FixtureRequest) -> Callable[[Cloud, list[Delivery]], None]:
    """How the post arrives."""
    return request.param  # type: ignore[no-any-return]


def _forget_clients() -> None:
    from shared.connections import credentials
    from shared.platform import settings
    from shared.platform.cloud import documents, keys, objects, queues
    from shared.platform.cloud import identity as oidc
    from shared.platform.postgres import connect as pg_connect
    from shared.platform.postgres import pool

    for cached in (
        settings.settings, pool._pool, pg_connect._tls, pg_connect._account, objects._client, keys._client, oidc._certs, queues._client, documents.client,
        credentials.warehouse,
    ):  # fmt: skip
        cached.cache_clear()


@pytest.fixture
def pass_time(cloud: Cloud, servers: dict[str, Any]) -> Iterator[Any]:
    """Let time pass at once, for this process and for every lease: `pass_time(seconds)`."""
    from tests.moved_clock import moved_clock

    with moved_clock(directory=servers["owner"]) as made:
        yield made
