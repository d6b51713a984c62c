"""Buckets and notification configurations through the real client."""

import uuid

import pytest
from google.api_core.exceptions import (
    BadRequest,
    Conflict,
    MethodNotImplemented,
    NotFound,
    PreconditionFailed,
)
from google.cloud import storage


def test_a_bucket_keeps_its_settings(client: storage.Client) -> None:
    """Location, class, labels, lifecycle, CORS and versioning come back as they were given."""
    draft = client.bucket(f"test-{uuid.uuid4().hex}")
    draft.storage_class = "NEARLINE"
    draft.labels = {"team": "flights"}
    draft.versioning_enabled = True
    draft.cors = [{"origin": ["http://a.example"], "method": ["PUT"], "maxAgeSeconds": 60}]
    draft.add_lifecycle_delete_rule(age=7)
    client.create_bucket(draft, location="us-central1")
    found = client.get_bucket(draft.name)
    assert found.location == "US-CENTRAL1"
    assert found.storage_class == "NEARLINE"
    assert found.labels == {"team": "flights"}
    assert found.versioning_enabled is True
    assert found.cors == draft.cors
    assert [rule["condition"] for rule in found.lifecycle_rules] == [{"age": 7}]
    assert found.metageneration == 1


def test_a_bucket_name_is_taken_once(client: storage.Client, bucket: storage.Bucket) -> None:
    """Creating a bucket that exists is a conflict."""
    with pytest.raises(Conflict):
        client.create_bucket(bucket.name)


@pytest.mark.parametrize(
    "name", ["ab", "UPPER-case", "-dash", "dash-", "1.2.3.4", "a..b", "goog-x", "x" * 64]
)
def test_a_bad_bucket_name_is_refused(client: storage.Client, name: str) -> None:
    """Names outside the rules of the service are a bad request that names the bucket."""
    with pytest.raises(BadRequest, match="Invalid bucket name"):
        client._post_resource("/b", {"name": name})


def test_patching_a_bucket_raises_its_metageneration(client: storage.Client, bucket: storage.Bucket) -> None:
    """A patch changes what it names, keeps the rest, and its precondition is checked."""
    bucket.labels = {"a": "1"}
    bucket.patch()
    bucket.versioning_enabled = True
    bucket.patch(if_metageneration_match=2)
    found = client.get_bucket(bucket.name)
    assert (found.labels, found.versioning_enabled, found.metageneration) == ({"a": "1"}, True, 3)
    bucket.versioning_enabled = False
    with pytest.raises(PreconditionFailed):
        bucket.patch(if_metageneration_match=1)
    assert client.get_bucket(bucket.name).versioning_enabled is True


def test_buckets_are_listed_by_prefix_in_pages(client: storage.Client) -> None:
    """A listing is ordered, filtered by prefix and split into pages of the size asked for."""
    prefix = f"list-{uuid.uuid4().hex[:12]}"
    names = [f"{prefix}-{n}" for n in range(5)]
    for name in reversed(names):
        client.create_bucket(name)
    listing = client.list_buckets(prefix=prefix, page_size=2)
    assert [[found.name for found in page] for page in listing.pages] == [names[:2], names[2:4], names[4:]]


def test_only_an_empty_bucket_can_be_deleted(client: storage.Client, bucket: storage.Bucket) -> None:
    """A bucket with an object stays; without it goes; then it is unknown."""
    blob = bucket.blob("kept")
    blob.upload_from_string("x")
    with pytest.raises(Conflict, match="not empty"):
        bucket.delete()
    blob.delete()
    bucket.delete()
    with pytest.raises(NotFound, match="bucket does not exist"):
        client.get_bucket(bucket.name)
    assert client.lookup_bucket(bucket.name) is None


def test_a_setting_that_would_not_be_obeyed_is_refused(client: storage.Client) -> None:
    """A retention policy, which this server doesn't enforce, is an error and not a silent promise."""
    draft = client.bucket(f"test-{uuid.uuid4().hex}")
    draft.retention_period = 3600
    with pytest.raises(MethodNotImplemented, match="retentionPolicy"):
        client.create_bucket(draft)


def test_notification_configurations_are_kept(client: storage.Client, bucket: storage.Bucket) -> None:
    """A configuration can be created, listed, read and deleted."""
    made = bucket.notification("topic", topic_project="bridge-local", event_types=["OBJECT_FINALIZE"])
    made.create()
    (listed,) = bucket.list_notifications()
    assert (listed.notification_id, listed.topic_name) == (made.notification_id, "topic")
    assert bucket.get_notification(made.notification_id).event_types == ["OBJECT_FINALIZE"]
    made.delete()
    assert list(bucket.list_notifications()) == []
    with pytest.raises(NotFound):
        bucket.get_notification(made.notification_id)
