"""Operating the running product: replay, cancel, requeue, through the real queue and the real gateway."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from local.patience import until
from local.stack.services import BUCKET_PREFIX, PROJECT
from tests.flows.chains import connection, document, new_slug, team_of
from tests.flows.conftest import Doomed
from tests.flows.post import MANIFEST, Delivery, Post

pytestmark = pytest.mark.stack

CLOCK = [f["name"] for f in MANIFEST if f["kind"] == "scheduled" and ("reconcile" in f["name"] or f["name"] in ("ops-requeue", "ops-retention"))]  # fmt: skip


@contextlib.contextmanager
def queue_of(world: Any, name: str) -> Iterator[Any]:
    """A client of the stack's Cloud Tasks, and the queue's full name."""
    import grpc
    from google.cloud import tasks_v2
    from google.cloud.tasks_v2.services.cloud_tasks.transports import CloudTasksGrpcTransport

    with grpc.insecure_channel(world.stack.env["CLOUD_TASKS_EMULATOR_HOST"]) as channel:
        client = tasks_v2.CloudTasksClient(transport=CloudTasksGrpcTransport(channel=channel))
        yield client, f"projects/{PROJECT}/locations/us-central1/queues/{name}"


def test_a_dead_event_is_replayed_through_a_queue_with_the_identity_of_events(world: Any, post: Post) -> None:
    """Eventarc's own delivery finds the step dead; the replay arrives as a CloudEvent and the dashboard is there."""
    team, slug = team_of(world, post), new_slug()
    name, step = f"{team.id}/{slug}.yaml", "dashboards-index-dashboard"
    with post.held():
        post.write("dashboards", name, document(slug, team.connection_id).encode())
        (stored,) = post.objects("dashboards", name)
        event = {field: stored[field] for field in ("bucket", "name", "generation", "size")}
        key = f"{stored['bucket']}/{name}#{stored['generation']}"
        letter = str(uuid.uuid4())
        post.sql(
            "INSERT INTO attempts (step, key, owner, state, lease_until, tries) VALUES (:step, :key, :id, 'dead', now(), 8)",
            step=step, key=key, id=letter,
        )  # fmt: skip
        post.sql(
            "INSERT INTO dead_letters (id, step, key, kind, queue, payload, error_code, error_message)"
            " VALUES (:id, :step, :key, 'event', 'dashboards', :payload, 'SERVICE_UNAVAILABLE', '')",
            id=letter, step=step, key=key, payload=json.dumps({"message": event}),
        )  # fmt: skip
    assert post.sql("SELECT id FROM dashboards WHERE slug = :slug", slug=slug) == []
    first = world.post(f"/v1/ops/dead-letters/{letter}/replay")
    assert first.status == 200, first.content
    assert world.post(f"/v1/ops/dead-letters/{letter}/replay").json == first.json
    post.wait_quiet()
    (row,) = post.sql("SELECT status FROM dashboards WHERE slug = :slug", slug=slug)
    assert row["status"] == "ready"
    assert post.sql("SELECT state FROM attempts WHERE key = :key", key=key) == [{"state": "done"}]
    assert stored["bucket"] == f"{BUCKET_PREFIX}-dashboards"


def test_a_cancelled_scan_stops_and_the_next_one_runs(world: Any, post: Post) -> None:
    """Whatever its steps were at: they end as done, none dies, and the job stays cancelled."""
    team = team_of(world, post)
    warehouse, dead = connection(world, as_=team.person, team=team.id), post.dead_letters()
    scan = {"connection_id": warehouse}
    job = world.post("/v1/onboarding/catalog/scan", scan, as_=team.person).json["job_id"]
    cancelled = world.post(f"/v1/jobs/{job}/cancel", as_=team.person)
    assert cancelled.json["state"] == "cancelled", cancelled.content
    post.wait_quiet()
    assert world.get(f"/v1/jobs/{job}", as_=team.person).json["state"] == "cancelled"
    states = post.sql("SELECT DISTINCT state FROM attempts WHERE job_id = :job", job=job)
    assert states in ([], [{"state": "done"}])
    assert post.dead_letters() == dead
    again = world.post("/v1/onboarding/catalog/scan", scan, as_=team.person).json["job_id"]
    assert world.wait_job(again, as_=team.person)["state"] == "completed"


def test_a_lost_message_is_found_by_a_requeue_that_dies_after_each_effect(
    world: Any, post: Post, doomed: Doomed
) -> None:
    """Killed between decision and hand-over again and again: the message leaves, and its job ends once."""
    team = team_of(world, post)
    warehouse = connection(world, as_=team.person, team=team.id, validated=False)
    with post.held():
        job = world.post(f"/v1/onboarding/connections/{warehouse}/validate", as_=team.person).json["job_id"]
        with queue_of(world, "connections") as (client, queue):
            for task in list(client.list_tasks(parent=queue)):
                client.delete_task(name=task.name)
        post.sql(
            "UPDATE outbox SET sent_at = now() - interval '1 hour', not_before = now() - interval '1 hour',"
            " created_at = now() - interval '1 hour' WHERE job_id = :job",
            job=job,
        )
        for effects in range(1, 20):
            post.end_leases()
            # The look that a dead process took is over, too.
            post.sql("UPDATE outbox SET claimed_until = NULL WHERE job_id = :job", job=job)
            status = doomed.die(Delivery("ops-requeue", {}), after=effects)
            if status is not None:
                assert status == 204
                break
        else:
            raise AssertionError("requeue has more than 20 effects")
    post.strike("ops-drain-outbox", 1)
    assert world.wait_job(job, as_=team.person)["state"] == "completed"
    (row,) = post.sql("SELECT resends FROM outbox WHERE job_id = :job", job=job)
    assert 1 <= row["resends"] <= 3


@pytest.mark.parametrize("function", CLOCK)
def test_what_the_clock_operates_runs_beside_itself(world: Any, post: Post, function: str) -> None:
    """Three strikes at once: one works, none dies, and nothing of the product changes for it."""
    team_of(world, post)
    post.wait_quiet()
    dead = post.dead_letters()
    before = post.sql("SELECT id, version, status FROM dashboards ORDER BY id")
    post.strike(function, 3)
    # What a worker that was killed in another test had in hand stays as it was: a tick is not repeated.
    unfinished = (
        "SELECT key FROM attempts WHERE step = :step AND state <> 'done' AND created_at > now() - interval '1 minute'"
        " AND lease_until > now()"
    )
    until(lambda: not post.sql(unfinished, step=function), "it ends", pause=0.1)
    assert post.dead_letters() == dead
    assert post.sql("SELECT id, version, status FROM dashboards ORDER BY id") == before
