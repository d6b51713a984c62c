"""Buckets through the real client."""

import uuid

import pytest
from google.api_core.exceptions import (
    BadRequest,
    Conflict,
    NotFound,
)
from google.cloud import storage


def test_a_bucket_keeps_its_settings(client: storage.Client) -> None:
    """Location, class, labels, access and versioning come back as they were given."""
    draft = client.bucket(f"test-{uuid.uuid4().hex}")
    draft.storage_class = "NEARLINE"
    draft.labels = {"team": "flights"}
    draft.versioning_enabled = True
    draft.iam_configuration.uniform_bucket_level_access_enabled = True
    client.create_bucket(draft, location="us-central1")
    found = client.get_bucket(draft.name)
    assert found.location == "US-CENTRAL1"
    assert found.storage_class == "NEARLINE"
    assert found.labels == {"team": "flights"}
    assert found.versioning_enabled is True
    assert found.iam_configuration.uniform_bucket_level_access_enabled is True
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


def test_an_unknown_bucket_is_not_found(client: storage.Client) -> None:
    """404 in the words of the service."""
    with pytest.raises(NotFound, match="bucket does not exist"):
        client.get_bucket("no-such-bucket-here")
    assert client.lookup_bucket("no-such-bucket-here") is None
