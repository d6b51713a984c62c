"""Compose through the real client."""

import pytest
import requests
from google.api_core.exceptions import BadRequest, NotFound, PreconditionFailed
from google.cloud import storage


def put(bucket: storage.Bucket, name: str, data: str, **metadata: str) -> storage.Blob:
    blob = bucket.blob(name)
    blob.metadata = metadata or None
    blob.upload_from_string(data, content_type="text/csv")
    return blob


def test_compose_joins_objects_in_order(bucket: storage.Bucket) -> None:
    """The bytes follow each other; the component count adds up; there is no MD5; the first type is kept."""
    parts = [put(bucket, name, name * 3) for name in "cab"]
    whole = bucket.blob("whole")
    whole.compose(parts)
    assert whole.download_as_bytes() == b"cccaaabbb"
    found = bucket.get_blob("whole")
    assert (found.component_count, found.md5_hash, found.content_type) == (3, None, "text/csv")
    found.compose([found, parts[0]])
    again = bucket.get_blob("whole")
    assert (again.component_count, again.download_as_bytes()) == (4, b"cccaaabbbccc")


def test_compose_takes_at_most_32_sources(bucket: storage.Bucket) -> None:
    """32 are joined; 33 and none are refused."""
    part = put(bucket, "part", "x")
    bucket.blob("fits").compose([part] * 32)
    assert bucket.get_blob("fits").size == 32
    for count in (0, 33):
        with pytest.raises(BadRequest, match="1 to 32"):
            bucket.blob("never").compose([part] * count)
    assert bucket.get_blob("never") is None


@pytest.mark.parametrize(
    "source",
    [
        "name",
        {"name": "x", "generation": "first"},
        {"name": "x", "generation": 2**63},
    ],
    ids=str,
)
def test_a_source_that_can_not_be_read_is_refused(server, bucket: storage.Bucket, source: object) -> None:
    """400 with the field, not a broken server."""
    put(bucket, "x", "x")
    url = f"{server.url}/storage/v1/b/{bucket.name}/o/whole/compose"
    assert requests.post(url, json={"sourceObjects": [source]}).status_code == 400


def test_compose_reads_the_generations_that_its_sources_name(bucket: storage.Bucket) -> None:
    """A generation that is gone is 404, as a missing source; a taken target is a failed precondition."""
    part = put(bucket, "part", "old")
    put(bucket, "part", "new")
    for source in (bucket.blob("part", generation=part.generation), bucket.blob("missing")):
        with pytest.raises(NotFound):
            bucket.blob("whole").compose([source])
    assert bucket.get_blob("whole") is None
    with pytest.raises(PreconditionFailed):
        bucket.blob("part").compose([bucket.blob("part")], if_generation_match=0)
