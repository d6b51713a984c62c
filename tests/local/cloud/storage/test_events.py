"""Object-finalize events: when they are sent, in which form, and that none is lost."""

import signal
from collections.abc import Callable
from typing import Any

import pytest
import requests
from google.api_core.exceptions import PreconditionFailed
from google.cloud import storage


@pytest.fixture
def events(start_server: Callable[..., Any], receiver: Any) -> tuple[storage.Bucket, Any]:
    running = start_server(receiver.url)
    return running.client().create_bucket("bridge-local-catalog"), receiver


def test_an_event_is_a_cloudevent_in_binary_mode(events: tuple[storage.Bucket, Any]) -> None:
    """Attributes in headers, the object's resource as JSON in the body."""
    bucket, receiver = events
    blob = bucket.blob("a/1.json")
    blob.upload_from_string("{}", content_type="application/json")
    (event,) = receiver.wait_for(1)
    assert event.headers["ce-specversion"] == "1.0"
    assert event.headers["ce-type"] == "google.cloud.storage.object.v1.finalized"
    assert event.headers["ce-source"] == "//storage.googleapis.com/projects/_/buckets/bridge-local-catalog"
    assert event.headers["ce-subject"] == "objects/a/1.json"
    assert event.headers["ce-id"]
    assert event.headers["ce-time"] == event.resource["timeCreated"]
    assert event.headers["content-type"] == "application/json"
    assert event.resource["kind"] == "storage#object"
    assert (event.resource["bucket"], event.resource["name"]) == (bucket.name, "a/1.json")
    assert (event.resource["generation"], event.resource["size"]) == (str(blob.generation), "2")


def test_every_way_to_make_an_object_sends_one_event(events: tuple[storage.Bucket, Any]) -> None:
    """Create, overwrite, resumable and compose: one event for each new generation."""
    bucket, receiver = events
    blob = bucket.blob("x")
    blob.upload_from_string("1")
    bucket.blob("x").upload_from_string("2")
    bucket.blob("resumable", chunk_size=256 * 1024).upload_from_string(b"x" * 300_000)
    bucket.blob("composed").compose([bucket.blob("x"), bucket.blob("x")])
    receiver.wait_for(4)
    bucket.blob("last").upload_from_string("x")
    received = receiver.wait_for(5)
    names = sorted(event.resource["name"] for event in received)
    assert names == ["composed", "last", "resumable", "x", "x"]
    assert len({event.resource["generation"] for event in received}) == 5


def test_what_makes_no_object_sends_no_event(events: tuple[storage.Bucket, Any]) -> None:
    """A delete, a refused write, an unfinished upload."""
    bucket, receiver = events
    blob = bucket.blob("x")
    blob.upload_from_string("1")
    with pytest.raises(PreconditionFailed):
        bucket.blob("x").upload_from_string("2", if_generation_match=0)
    session = bucket.blob("y").create_resumable_upload_session()
    requests.put(session, data=b"x", headers={"Content-Range": "bytes 0-0/*"})
    blob.delete()
    bucket.blob("last").upload_from_string("x")
    received = receiver.wait_for(2)
    assert sorted(event.resource["name"] for event in received) == ["last", "x"]


def test_an_event_is_sent_again_until_it_is_accepted(events: tuple[storage.Bucket, Any]) -> None:
    """The same id each time, and no more after a 2xx."""
    bucket, receiver = events
    receiver.answers += [500, 429]
    bucket.blob("x").upload_from_string("x")
    received = receiver.wait_for(3)
    assert len({event.headers["ce-id"] for event in received}) == 1
    bucket.blob("y").upload_from_string("y")
    assert [event.resource["name"] for event in receiver.wait_for(4)] == ["x", "x", "x", "y"]


def test_a_receiver_that_is_down_gets_its_events_later(
    start_server: Callable[..., Any], receive: Any, unused_port: int
) -> None:
    """Writes don't wait for the receiver; a kill of the server in between loses no event."""
    port = unused_port
    running = start_server(f"http://127.0.0.1:{port}/_local/events")
    bucket = running.client().create_bucket("bridge-local-catalog")
    expected = {f"n{number}" for number in range(30)}
    for name in expected:
        bucket.blob(name).upload_from_string(name)
    running.stop(signal.SIGKILL)
    running.start()
    assert running.call("/_local/health")["pending_events"] == 30
    with receive(port) as receiver:
        receiver.wait_for_names(expected)


def test_a_burst_is_delivered_once_each(events: tuple[storage.Bucket, Any]) -> None:
    """A healthy receiver gets each event once, though many are under way together."""
    bucket, receiver = events
    for number in range(200):
        bucket.blob(f"n{number}").upload_from_string("x")
    receiver.wait_for_names({f"n{number}" for number in range(200)})
    bucket.blob("last").upload_from_string("x")
    receiver.wait_for_names({"last"})
    assert len(receiver.received) == 201
