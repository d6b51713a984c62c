"""Object metadata, listing, names and deletion through the real client."""

import base64
import datetime

import pytest
import requests
from google.api_core.exceptions import BadRequest, NotFound
from google.cloud import storage

NAMES = ["a/1.json", "a/2.json", "a/b/3.json", "a/b/c/4.txt", "b.txt", "c/5.json", "é.txt"]


@pytest.fixture
def filled(bucket: storage.Bucket) -> storage.Bucket:
    for name in reversed(NAMES):
        bucket.blob(name).upload_from_string(name)
    return bucket


def listed(bucket: storage.Bucket, **options: object) -> list[str]:
    return [blob.name for blob in bucket.list_blobs(**options)]


def test_an_object_has_the_metadata_it_was_given(bucket: storage.Bucket) -> None:
    """Everything set before the upload, and what the service adds, is in the resource."""
    blob = bucket.blob("report.json")
    blob.metadata = {"author": "Zoë", "kind": "daily"}
    blob.cache_control = "no-cache"
    before = datetime.datetime.now(datetime.UTC)
    blob.upload_from_string("123456789", content_type="application/json")
    found = bucket.get_blob("report.json")
    assert found.metadata == {"author": "Zoë", "kind": "daily"}
    assert found.cache_control == "no-cache"
    assert (found.content_type, found.size, found.storage_class) == ("application/json", 9, "STANDARD")
    # The check values of both algorithms' specifications.
    assert base64.b64decode(found.md5_hash).hex() == "25f9e794323b453885f5181f1b624d0b"
    assert base64.b64decode(found.crc32c).hex() == "e3069283"
    assert (found.generation, found.metageneration) == (blob.generation, 1)
    assert before <= found.time_created <= datetime.datetime.now(datetime.UTC)
    assert found.media_link.endswith(f"?generation={blob.generation}&alt=media")
    assert found.id == f"{bucket.name}/report.json/{blob.generation}"


def test_a_listing_is_in_byte_order(filled: storage.Bucket) -> None:
    """Names are ordered by their UTF-8 bytes, whatever the order of the uploads."""
    assert listed(filled) == sorted(NAMES, key=str.encode)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"prefix": "a/b"}, ["a/b/3.json", "a/b/c/4.txt"]),
        ({"start_offset": "a/b/3.json"}, ["a/b/3.json", "a/b/c/4.txt", "b.txt", "c/5.json", "é.txt"]),
        ({"prefix": "a/", "start_offset": "a/2"}, ["a/2.json", "a/b/3.json", "a/b/c/4.txt"]),
        ({"prefix": "c", "start_offset": "a/2"}, ["c/5.json"]),
        ({"max_results": 2}, ["a/1.json", "a/2.json"]),
        ({"prefix": "nothing"}, []),
    ],
    ids=str,
)
def test_a_listing_is_filtered(filled: storage.Bucket, options: dict[str, object], names: list[str]) -> None:
    """Prefix, start (inclusive) and limit choose what is listed."""
    assert listed(filled, **options) == names


def test_pages_have_the_size_asked_for(filled: storage.Bucket) -> None:
    """Seven objects at three a page come as three, three and one, none twice and none missing."""
    pages = [[blob.name for blob in page] for page in filled.list_blobs(page_size=3).pages]
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [name for page in pages for name in page] == sorted(NAMES, key=str.encode)


@pytest.mark.parametrize(
    "resource",
    [
        {"contentType": 5},
        {"cacheControl": {}},
        {"metadata": {"a": 1}},
        {"metadata": {"a": "\ud800"}},
    ],
    ids=str,
)
def test_settings_that_no_header_could_carry_are_refused(
    server, bucket: storage.Bucket, resource: dict[str, object]
) -> None:
    """What was stored could not be downloaded."""
    base = f"{server.url}/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable&name=y"
    assert requests.post(base, json=resource).status_code == 400
    assert listed(bucket) == []


def test_a_setting_of_null_is_no_setting(server, bucket: storage.Bucket) -> None:
    """Also inside the metadata of a new object."""
    url = f"{server.url}/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable&name=x"
    session = requests.post(url, json={"cacheControl": None, "metadata": {"a": None, "b": "1"}})
    requests.put(session.headers["Location"], data=b"data").raise_for_status()
    found = bucket.get_blob("x")
    assert (found.cache_control, found.metadata) == (None, {"b": "1"})


@pytest.mark.parametrize("number", ["--5", "\u00b2", "1.5", str(2**63), "0x1"])
def test_a_number_that_is_none_is_refused(server, bucket: storage.Bucket, number: str) -> None:
    """400 that names the parameter."""
    bucket.blob("x").upload_from_string(b"data")
    answer = requests.get(f"{server.url}/storage/v1/b/{bucket.name}/o/x", params={"generation": number})
    assert (answer.status_code, answer.json()["error"]["errors"][0]["location"]) == (400, "generation")


def test_a_forged_page_token_is_refused(filled: storage.Bucket) -> None:
    """A token that this server didn't make is a bad request, not the first page again."""
    with pytest.raises(BadRequest, match="pageToken"):
        list(filled.list_blobs(page_token="forged"))


@pytest.mark.parametrize(
    "name", ["a b", "a+b&c=d?e#f%2Fg", "日本/語.txt", "..a/./b//c", "x" * 1024, "é" * 512]
)
def test_any_legal_name_works(bucket: storage.Bucket, name: str) -> None:
    """Names up to 1024 bytes with any character survive upload, listing, download and deletion."""
    bucket.blob(name).upload_from_string("bytes")
    assert listed(bucket) == [name]
    assert bucket.blob(name).download_as_bytes() == b"bytes"
    bucket.blob(name).delete()
    assert listed(bucket) == []


@pytest.mark.parametrize("name", ["x" * 1025, "é" * 513, "a\nb", "a\rb", ".", ".."])
def test_an_illegal_name_is_refused(bucket: storage.Bucket, name: str) -> None:
    """Too many bytes, line breaks and dot names are a bad request, and nothing is stored."""
    with pytest.raises(BadRequest, match="object name"):
        bucket.blob(name).upload_from_string("x")
    assert listed(bucket) == []


def test_a_missing_object_is_not_found_in_googles_form(server, bucket: storage.Bucket) -> None:
    """Reading and deleting what isn't there is 404, with the JSON error that clients parse."""
    blob = bucket.blob("missing")
    assert blob.exists() is False
    for attempt in (blob.reload, blob.delete, blob.download_as_bytes):
        with pytest.raises(NotFound, match="No such object"):
            attempt()
    answer = requests.get(f"{server.url}/storage/v1/b/{bucket.name}/o/missing")
    message = f"No such object: {bucket.name}/missing"
    detail = {"message": message, "domain": "global", "reason": "notFound"}
    assert answer.json() == {"error": {"code": 404, "message": message, "errors": [detail]}}


def test_an_upload_into_a_missing_bucket_is_not_found(client: storage.Client) -> None:
    """The bucket must exist."""
    with pytest.raises(NotFound, match="bucket does not exist"):
        client.bucket("no-such-bucket-here").blob("x").upload_from_string("x")
