"""Compose, copy, rewrite and move through the real client."""

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


def test_compose_checks_the_generations_of_its_sources(bucket: storage.Bucket) -> None:
    """A source that changed meanwhile is a failed precondition; a missing one is 404."""
    part = put(bucket, "part", "old")
    old = part.generation
    put(bucket, "part", "new")
    with pytest.raises(PreconditionFailed):
        bucket.blob("whole").compose([bucket.blob("part")], if_source_generation_match=[old])
    with pytest.raises(NotFound):
        bucket.blob("whole").compose([bucket.blob("missing")])
    assert bucket.get_blob("whole") is None


@pytest.mark.parametrize(
    "source",
    [
        "name",
        {"name": "x", "generation": "first"},
        {"name": "x", "generation": 2**63},
        {"name": "x", "objectPreconditions": {"ifGenerationMatch": "any"}},
        {"name": "x", "objectPreconditions": [0]},
    ],
    ids=str,
)
def test_a_source_that_can_not_be_read_is_refused(server, bucket: storage.Bucket, source: object) -> None:
    """400 with the field, not a broken server."""
    put(bucket, "x", "x")
    url = f"{server.url}/storage/v1/b/{bucket.name}/o/whole/compose"
    assert requests.post(url, json={"sourceObjects": [source]}).status_code == 400


def test_a_copy_takes_bytes_and_metadata_along(client: storage.Client, bucket: storage.Bucket) -> None:
    """Into another bucket, with a generation of its own; later changes of the source don't reach it."""
    other = client.create_bucket(bucket.name + "-2")
    source = put(bucket, "a b/ü", "bytes", k="v")
    bucket.copy_blob(source, other, "copied")
    put(bucket, "a b/ü", "changed")
    found = other.get_blob("copied")
    assert found.download_as_bytes() == b"bytes"
    assert (found.metadata, found.content_type, found.md5_hash) == ({"k": "v"}, "text/csv", source.md5_hash)
    assert found.generation != source.generation


def test_a_copy_of_an_old_generation(versioned: storage.Bucket) -> None:
    """A noncurrent version can be brought back by copying it over the live one."""
    old = put(versioned, "x", "old").generation
    put(versioned, "x", "new")
    versioned.copy_blob(versioned.blob("x"), versioned, "x", source_generation=old)
    assert versioned.blob("x").download_as_bytes() == b"old"
    assert len(list(versioned.list_blobs(versions=True))) == 3


def test_a_rewrite_over_itself_changes_the_storage_class(bucket: storage.Bucket) -> None:
    """The only way to change the class: same bytes, new generation, other metadata kept."""
    blob = put(bucket, "x", "bytes", k="v")
    before = blob.generation
    blob.update_storage_class("NEARLINE")
    found = bucket.get_blob("x")
    assert (found.storage_class, found.metadata, found.download_as_bytes()) == (
        "NEARLINE",
        {"k": "v"},
        b"bytes",
    )
    assert found.generation > before


@pytest.mark.parametrize(
    "conditions",
    [
        {"if_source_generation_match": 1},
        {"if_source_metageneration_match": 2},
        {"if_source_metageneration_not_match": 1},
    ],
    ids=str,
)
def test_a_copy_checks_its_source(bucket: storage.Bucket, conditions: dict[str, int]) -> None:
    """Conditions on the source hold or nothing is copied, for copy and for rewrite."""
    source = put(bucket, "x", "bytes")
    with pytest.raises(PreconditionFailed):
        bucket.copy_blob(source, bucket, "y", **conditions)
    with pytest.raises(PreconditionFailed):
        bucket.blob("y").rewrite(source, **conditions)
    assert bucket.get_blob("y") is None


def test_a_copy_checks_its_target(bucket: storage.Bucket) -> None:
    """Copy-if-absent doesn't overwrite."""
    source = put(bucket, "x", "bytes")
    put(bucket, "y", "kept")
    with pytest.raises(PreconditionFailed):
        bucket.copy_blob(source, bucket, "y", if_generation_match=0)
    assert bucket.blob("y").download_as_bytes() == b"kept"


def test_a_move_leaves_nothing_behind(bucket: storage.Bucket) -> None:
    """The object has the new name, and only that."""
    source = put(bucket, "old/ü", "bytes", k="v")
    bucket.move_blob(source, "new/ü")
    assert [blob.name for blob in bucket.list_blobs()] == ["new/ü"]
    assert bucket.get_blob("new/ü").download_as_bytes() == b"bytes"
