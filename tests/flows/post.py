"""The post between the functions of a running stack, in a test's own hands.

While deliveries are held, what the functions promise piles up: messages in the outbox, finalize events
in the buckets. A test hands them over as Cloud Tasks and Eventarc would (OIDC, retry counts), in the
order, number and misfortune that it wants to see, and then lets the real dispatcher deliver it all once
more: the zombie that wakes up last.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests

from local.cloud import identity
from local.patience import until
from local.stack.api import StackFailed
from local.stack.services import BUCKET_PREFIX, EVENTS_ACCOUNT, PROJECT, STEP_ACCOUNT

ROOT = Path(__file__).resolve().parents[2]
FINALIZED = "google.cloud.storage.object.v1.finalized"
MANIFEST: list[dict[str, Any]] = json.loads((ROOT / "functions" / "manifest.json").read_text())["functions"]


@dataclass(frozen=True)
class Delivery:
    """One message or one finalize event on its way to one function."""

    function: str
    body: Any
    event: bool = False

    def __str__(self) -> str:
        return f"{self.function} {json.dumps(self.body)[:120]}"


class Post:
    """Looks behind the doors of a stack and carries what is between them."""

    def __init__(self, stack: Any) -> None:
        self.stack = stack
        self._known: set[str] = set()
        self.team: Any = None

    # Behind the doors --------------------------------------------------------------------------

    def sql(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """A look (or a shove) behind the row-level policies, as the owner of the schema."""
        rows = self._directory.run(statement, **values) or []
        names = [column["name"] for column in self._directory.columns or []]
        return [dict(zip(names, row, strict=True)) for row in rows]

    @cached_property
    def _directory(self) -> Any:
        from pg8000.native import Connection

        url = urlsplit(self.stack.env["MIGRATIONS_DATABASE_URL"])
        return Connection(
            url.username or "", password=url.password, host="127.0.0.1", port=url.port, database=url.path[1:]
        )

    def reconnect(self) -> None:
        """Forget connections to servers that were killed."""
        self.close()

    def close(self) -> None:
        """Let the connections go."""
        for name in ("_directory", "firestore"):
            if made := self.__dict__.pop(name, None):
                with contextlib.suppress(Exception):  # Its server may be dead: that is why it is let go.
                    made.close()

    def objects(self, role: str, prefix: str = "") -> list[dict[str, Any]]:
        """The live objects of a bucket, as the JSON API lists them."""
        answer = requests.get(
            f"{self.stack.env['STORAGE_EMULATOR_HOST']}/storage/v1/b/{BUCKET_PREFIX}-{role}/o",
            params={"prefix": prefix, "maxResults": "1000"},
        )
        answer.raise_for_status()
        return list(answer.json().get("items", []))

    def read(self, role: str, name: str) -> bytes:
        """An object's bytes as they are stored."""
        answer = requests.get(
            f"{self.stack.env['STORAGE_EMULATOR_HOST']}/storage/v1/b/{BUCKET_PREFIX}-{role}/o/{quote(name, safe='')}",
            params={"alt": "media"},
            headers={"Accept-Encoding": "gzip"},
        )
        answer.raise_for_status()
        return answer.content

    def write(self, role: str, name: str, data: bytes) -> None:
        """Put an object past the product, as another writer of the bucket would."""
        requests.post(
            f"{self.stack.env['STORAGE_EMULATOR_HOST']}/upload/storage/v1/b/{BUCKET_PREFIX}-{role}/o",
            params={"uploadType": "media", "name": name},
            data=data,
        ).raise_for_status()

    def end_leases(self) -> None:
        """Let the time pass that a dead worker's lease lasts."""
        self.sql("UPDATE attempts SET lease_until = now() - interval '1 second' WHERE state = 'running'")
        for lease in self.firestore.collection("leases").stream():
            if lease.get("until") > time.time():
                self._end_lease(lease.reference)

    def _end_lease(self, lease: Any, patience: float = 90.0) -> None:
        """The transaction of a worker that died holds the document until the server gives it up."""
        from google.api_core.exceptions import Aborted

        def given_up() -> bool:
            try:
                lease.update({"until": 0.0})
            except Aborted:
                return False
            return True

        until(given_up, f"the lease {lease.id} can be ended", seconds=patience, pause=0.2)

    @cached_property
    def firestore(self) -> Any:
        """A client of the stack's Firestore."""
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import firestore

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FIRESTORE_EMULATOR_HOST", self.stack.env["FIRESTORE_EMULATOR_HOST"])
            return firestore.Client(project=PROJECT, credentials=AnonymousCredentials())

    # Carrying ----------------------------------------------------------------------------------

    def new(self) -> list[Delivery]:
        """What was promised since the last look, oldest first: messages, then finalize events."""
        found = []
        for row in self.sql("SELECT id, step, kind, payload FROM outbox ORDER BY created_at, id"):
            if self._is_new(str(row["id"])):
                found.append(Delivery(row["step"], row["payload"], event=row["kind"] == "event"))
        for function in MANIFEST:
            if function["kind"] != "finalized":
                continue
            pattern = re.compile(re.sub(r"\{[a-z_]+\}", "[^/]+", function["pattern"]) + r"\Z")
            for item in self.objects(function["bucket"]):
                mark = f"{item['bucket']}/{item['name']}#{item['generation']}"
                if pattern.match(item["name"]) and self._is_new(mark):
                    body = {key: item[key] for key in ("bucket", "name", "generation", "size")}
                    found.append(Delivery(function["name"], body, event=True))
        return found

    def _is_new(self, mark: str) -> bool:
        if mark in self._known:
            return False
        self._known.add(mark)
        return True

    def headers(self, item: Delivery, tries: int = 0) -> dict[str, str]:
        """What Cloud Tasks or Eventarc sends along."""
        audience = self.stack.env["BRIDGE_STEP_URL"].replace("{name}", item.function)
        account = EVENTS_ACCOUNT if item.event else STEP_ACCOUNT
        headers = {
            "Authorization": f"Bearer {identity.token(self.stack.home, audience, account)}",
            "Content-Type": "application/json",
        }
        if not item.event:
            return headers | {"X-CloudTasks-TaskRetryCount": str(tries)}
        return headers | {
            "ce-id": f"{item.body['name']}#{item.body['generation']}",
            "ce-type": FINALIZED,
            "ce-specversion": "1.0",
            "ce-source": f"//storage.googleapis.com/projects/_/buckets/{item.body['bucket']}",
            "ce-subject": f"objects/{item.body['name']}",
            "ce-deliveryattempt": str(tries),
        }

    def deliver(self, item: Delivery, tries: int = 0) -> int:
        """Hand over once; answers the status."""
        url = self.stack.env["BRIDGE_STEP_URL"].replace("{name}", item.function)
        answer = requests.post(
            url, data=json.dumps(item.body), headers=self.headers(item, tries), timeout=120
        )
        return answer.status_code

    def settle(self, item: Delivery) -> None:
        """Hand over until it is accepted, as a queue does."""
        for _ in range(20):
            if self.deliver(item) < 300:
                return
            self.end_leases()
        raise AssertionError(f"{item} is never accepted")

    def together(self, items: Iterable[Delivery]) -> list[int]:
        """Hand all of them over at the same moment; answers the statuses."""
        waiting = list(items)
        barrier = threading.Barrier(len(waiting))

        def go(item: Delivery) -> int:
            barrier.wait(600)
            return self.deliver(item)

        with ThreadPoolExecutor(len(waiting)) as workers:
            return list(workers.map(go, waiting))

    # Weather -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is delivered inside but by hand; afterwards all of it is delivered once more."""
        self.wait_quiet()
        self.new()
        with self.weather(hold=True):
            yield
        self.wait_quiet()

    def wait_quiet(self, patience: float = 60.0) -> None:
        """Return when nothing is due. Watches over turns that are over wait on, for their time."""
        state: dict[str, Any] = {}

        def quiet() -> bool:
            state.update(self.stack.local("GET", "/_local/dispatch"))
            waiting = sum(queue["tasks"] for name, queue in state["queues"].items() if name != "chat")
            return not waiting and not state["events"]

        until(quiet, lambda: f"the post is quiet: {state}", seconds=patience, pause=0.05)

    @contextlib.contextmanager
    def weather(self, **settings: Any) -> Iterator[None]:
        """Let the dispatcher misbehave for a while."""
        self.stack.local("POST", "/_local/chaos/delivery", settings)
        try:
            yield
        finally:
            self.stack.local("POST", "/_local/chaos/delivery", {})

    def strike(self, function: str, times: int) -> None:
        """Let the clock strike for a scheduled function, several times at once.

        Of those that fall on one minute one works, and the others are told that it is under way.
        """

        def fire(_number: int) -> None:
            try:
                self.stack.local("POST", f"/_local/clock/fire/{function}")
            except StackFailed as error:
                if '"status": 503' not in str(error):
                    raise

        with ThreadPoolExecutor(times) as clock:
            list(clock.map(fire, range(times)))

    def dead_letters(self) -> list[dict[str, Any]]:
        """What was given up, in the directory and by the trigger."""
        kept = self.sql("SELECT step, error_code, error_message FROM dead_letters ORDER BY created_at")
        return kept + list(self.stack.local("GET", "/_local/events/dead")["dead"])
