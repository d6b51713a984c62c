"""Object versioning: what an overwrite and a delete leave behind."""

import pytest
from google.api_core.exceptions import NotFound
from google.cloud import storage


def write(bucket: storage.Bucket, name: str, *contents: str) -> list[int]:
    generations = []
    for content in contents:
        blob = bucket.blob(name)
        blob.upload_from_string(content)
        generations.append(blob.generation)
    return generations


def test_an_overwritten_version_stays_readable(versioned: storage.Bucket) -> None:
    """Each generation keeps its bytes; only the last is live."""
    one, two, three = write(versioned, "x", "1", "2", "3")
    read = [versioned.blob("x", generation=g).download_as_bytes() for g in (one, two, three)]
    assert read == [b"1", b"2", b"3"]
    assert [blob.generation for blob in versioned.list_blobs()] == [three]
    assert versioned.get_blob("x", generation=one).time_deleted is not None


def test_a_delete_makes_the_live_version_noncurrent(versioned: storage.Bucket) -> None:
    """The name is gone for plain reads, its version is not; create-if-absent works again."""
    (one,) = write(versioned, "x", "1")
    versioned.delete_blob("x")
    assert versioned.get_blob("x") is None
    assert list(versioned.list_blobs()) == []
    assert versioned.blob("x", generation=one).download_as_bytes() == b"1"
    versioned.blob("x").upload_from_string("2", if_generation_match=0)
    assert versioned.blob("x").download_as_bytes() == b"2"


def test_a_delete_of_a_generation_is_for_good(versioned: storage.Bucket) -> None:
    """Naming the generation erases just that one, live or not."""
    one, two, three = write(versioned, "x", "1", "2", "3")
    versioned.delete_blob("x", generation=two)
    versioned.delete_blob("x", generation=three)
    assert versioned.get_blob("x") is None
    assert versioned.blob("x", generation=one).download_as_bytes() == b"1"
    for gone in (two, three):
        with pytest.raises(NotFound):
            versioned.blob("x", generation=gone).download_as_bytes()


def test_without_versioning_nothing_is_kept(server, bucket: storage.Bucket) -> None:
    """An overwrite and a delete erase, on disk too."""
    files = server.data / "blobs"
    before = sum(1 for path in files.rglob("*") if path.is_file())
    one, _two = write(bucket, "x", "1", "2")
    with pytest.raises(NotFound):
        bucket.blob("x", generation=one).download_as_bytes()
    bucket.delete_blob("x")
    assert sum(1 for path in files.rglob("*") if path.is_file()) == before
