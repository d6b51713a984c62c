"""SIGKILL in the middle of the work: nothing that was acknowledged is lost, and the work completes."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from local.patience import Patience, until
from local.stack.services import PROJECT
from tests.conftest import World
from tests.flows.chains import connection, document, new_slug
from tests.flows.post import Post
from tests.sample import sampled
from tests.servers import started_stack

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(300)]

SYNTHETIC = 24
GOALS = [
    "Which destinations have the worst arrival delays? top 10",
    "Compare JFK, LGA and EWR by delay and distance",
    "Show monthly flights and average departure delay by carrier",
]
Event = tuple[str, Any, str | None]


@pytest.fixture(scope="module")
def mortal() -> Iterator[World]:
    """A stack of its own, which does not survive its tests, with a warehouse that takes a while to scan."""
    with started_stack(demo=True) as stack:
        _fill(stack.env["BIGQUERY_EMULATOR_HOST"])
        yield World(stack)


@pytest.fixture
def post(mortal: World) -> Iterator[Post]:
    """A look behind its doors."""
    with contextlib.closing(Post(mortal.stack)) as made:
        yield made


def _fill(bigquery: str) -> None:
    """Many small datasets."""
    base = f"{bigquery}/bigquery/v2/projects/{PROJECT}/datasets"
    fields = [{"name": f"column_{n}", "type": "STRING"} for n in range(5)]
    for number in range(SYNTHETIC):
        name = {"projectId": PROJECT, "datasetId": f"synthetic_{number:03d}"}
        requests.post(base, json={"datasetReference": name}).raise_for_status()
        for table in ("first", "second"):
            body = {"tableReference": name | {"tableId": table}, "schema": {"fields": fields}}
            requests.post(f"{base}/{name['datasetId']}/tables", json=body).raise_for_status()


# Following a generation ------------------------------------------------------------------------


@dataclass
class Generation:
    """One generation, watched from its own thread until its connection breaks or it is complete."""

    world: World
    goal: str
    seen: list[Event] = field(default_factory=list)
    thread: threading.Thread | None = None
    refusal: str = ""

    def begin(self) -> Generation:
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def _watch(self) -> None:
        body = {"connection_id": self.world.connection_id, "user_prompt": self.goal}
        try:
            for event in self.world.stream("POST", "/v1/dashboards/generate", body):
                self.seen.append(event)
        except AssertionError as error:
            self.refusal = str(error)
        except (requests.RequestException, AttributeError):
            return  # The connection broke: that is what these tests are about.

    def until(self, told: Callable[[Event], bool], patience: float = 60) -> None:
        """Wait for an event."""

        def seen() -> bool:
            assert not self.refusal, self.refusal
            over = (
                bool(self.seen)
                and self.seen[-1][0] == "complete"
                and self.seen[-1][1]["state"] != "completed"
            )
            assert not over, f"{self.goal}: {self.told()}"
            return any(told(event) for event in list(self.seen))

        until(seen, lambda: f"{self.goal}: {self.told()}", seconds=patience, pause=0.002)

    def told(self) -> str:
        """What the stream said besides tokens, for the message of a failure."""
        return "\n".join(f"{kind} {str(data)[:600]}" for kind, data, _ in self.seen[-12:] if kind != "token")

    @property
    def ids(self) -> tuple[str, str]:
        """Session and turn, as the first event told."""
        kind, data, _ = self.seen[0]
        assert kind == "turn_started"
        return data["session_id"], data["turn_id"]

    def finish(self, patience: float = 120) -> list[Event]:
        """All events: those that were seen, and the rest from where the connection broke."""
        assert self.thread is not None
        if self.seen and self.seen[-1][0] != "complete":
            self.thread.join(60)
        session, turn = self.ids
        supply = Patience(patience)
        while self.seen[-1][0] != "complete":
            assert not supply.over(), f"{self.goal}: not complete after {patience} s: {self.seen[-1]}"
            path = f"/v1/chat/sessions/{session}/turns/{turn}/events"
            last = self.seen[-1][2] or "0"
            try:
                for event in self.world.stream("GET", path, headers={"Last-Event-ID": last}):
                    self.seen.append(event)
            except (requests.RequestException, AssertionError, AttributeError):
                time.sleep(0.3)  # The servers are still coming back.
        return self.seen


def called(tool: str) -> Callable[[Event], bool]:
    """The event that a tool is being called."""
    return lambda event: event[0] == "tool_call" and event[1]["tool"] == tool


def began(event: Event) -> bool:
    """The event that acknowledges a turn."""
    return event[0] == "turn_started"


def check_one_result(world: World, made: Generation) -> None:
    """Complete, one dashboard that serves data, and a log without holes and repetitions."""
    events = made.seen
    kind, data, _ = events[-1]
    assert (kind, data["state"]) == ("complete", "completed"), events[-1]
    ids = [int(id) for _, _, id in events if id is not None]
    assert ids == sorted(set(ids))
    session, _turn = made.ids
    versions = world.get(f"/v1/dashboards/{data['dashboard_slug']}/versions?team_id={world.team_id}").json
    assert [line["version"] for line in versions["versions"]] == [1]
    rows = world.get(f"/v1/dashboards/{data['dashboard_slug']}/data?team_id={world.team_id}").json
    assert all(query["error"] is None for query in rows["queries"].values())
    listed = world.get(f"/v1/chat/sessions/{session}/messages?limit=200").json["messages"]
    assert [message["role"] for message in listed].count("user") == 1
    assert len({message["id"] for message in listed}) == len(listed)
    parts = [part for message in listed for part in message["content"]]
    asked = [part["id"] for part in parts if part["type"] == "tool_call"]
    answered = [part["id"] for part in parts if part["type"] == "tool_result"]
    assert len(asked) == len(set(asked))
    assert sorted(asked) == sorted(answered)


def count_dashboards(post: Post, world: World) -> int:
    """How many the team has, as the directory says."""
    return int(post.sql("SELECT count(*) AS n FROM dashboards WHERE team_id = :t", t=world.team_id)[0]["n"])


# The tests -------------------------------------------------------------------------------------


def test_a_crash_of_everything_loses_nothing_that_was_acknowledged(mortal: World, post: Post) -> None:
    """SIGKILL for all processes amid a scan and three turns: begun, exploring, about to save. All complete."""
    before = count_dashboards(post, mortal)
    connection_id = connection(mortal)
    about_to_save = Generation(mortal, GOALS[0]).begin()
    about_to_save.until(called("run_dry_run_query"))
    exploring = Generation(mortal, GOALS[1]).begin()
    exploring.until(called("get_table_schema"))
    scan = mortal.post("/v1/onboarding/catalog/scan", {"connection_id": connection_id})
    assert scan.status == 202
    saved = mortal.post(
        "/v1/dashboards",
        {"team_id": mortal.team_id, "yaml_content": document(new_slug(), mortal.connection_id)},
    )
    assert saved.status == 201
    just_begun = Generation(mortal, GOALS[2]).begin()
    just_begun.until(began)
    about_to_save.until(called("save_dashboard_yaml"))
    mortal.stack.crash()

    post.reconnect()
    mortal.stack.start()
    job = mortal.wait_job(scan.json["job_id"], patience=120)
    assert (job["state"], job["progress"]["done"]) == ("completed", job["progress"]["total"])
    assert job["progress"]["total"] >= SYNTHETIC
    for made in (about_to_save, exploring, just_begun):
        made.finish()
        check_one_result(mortal, made)
    assert count_dashboards(post, mortal) == before + 4
    assert post.dead_letters() == []
    (finished,) = post.sql(
        "SELECT count(*) AS n FROM outbox WHERE step = 'catalog-finish-scan' AND payload->>'scan' = :scan",
        scan=scan.json["job_id"],
    )
    assert finished["n"] == 1


@pytest.mark.parametrize(
    "service",
    sampled(
        ("postgres", "storage", "firestore", "bigquery", "kms", "dispatch", "gateway"), "postgres", "dispatch"
    ),
)
def test_the_path_outlives_the_death_of_a_service(service: str, mortal: World, post: Post) -> None:
    """A service dies amid a scan and a turn and is started again: both complete, and nothing is there twice."""
    before = count_dashboards(post, mortal)
    connection_id = connection(mortal)
    made = Generation(mortal, GOALS[0]).begin()
    made.until(called("get_table_schema"))
    scan = mortal.post("/v1/onboarding/catalog/scan", {"connection_id": connection_id})
    assert scan.status == 202
    mortal.stack.restart(service)
    post.reconnect()
    made.finish()
    check_one_result(mortal, made)
    assert mortal.wait_job(scan.json["job_id"])["state"] == "completed"
    assert count_dashboards(post, mortal) == before + 1
    assert post.dead_letters() == []


def test_what_was_begun_is_finished_though_nobody_sends_it_again(mortal: World, post: Post) -> None:
    """The process dies between commit and hand-over: the drainer sends the message, once, however often it runs."""
    connection_id = connection(mortal, validated=False)
    mortal.stack.pause("dispatch")
    job = str(uuid.uuid4())
    try:
        # What a request leaves that dies right after its commit: the rows, and nobody who hands them over.
        post.sql(
            "INSERT INTO jobs (id, team_id, kind, state, total, subject) VALUES (:id, :team, 'validate_connection',"
            " 'queued', 1, :subject)",
            id=job, team=mortal.team_id, subject=connection_id,
        )  # fmt: skip
        post.sql(
            "INSERT INTO outbox (id, step, queue, payload, traceparent, not_before, created_at)"
            " VALUES (:id, 'connections-validate-connection', 'connections',"
            " jsonb_build_object('team', :team ::text, 'connection', :connection ::text, 'job', :job ::text), '',"
            " now(), now() - interval '31 seconds')",
            id=str(uuid.uuid4()), team=mortal.team_id, connection=connection_id, job=job,
        )  # fmt: skip
    finally:
        mortal.stack.resume("dispatch")
    post.strike("ops-drain-outbox", 4)
    assert mortal.wait_job(job)["state"] == "completed"
    (row,) = post.sql(
        "SELECT tries, state FROM attempts WHERE step = 'connections-validate-connection' AND key = :job",
        job=job,
    )
    assert row == {"tries": 1, "state": "done"}
