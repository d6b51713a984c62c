"""What nobody calls is refused by name, instead of being ignored or answered almost as the service does."""

from collections.abc import Callable
from typing import Any

import pytest
import requests
from google.api_core.exceptions import MethodNotImplemented
from google.cloud import storage

CALLS: dict[str, tuple[Callable[[storage.Bucket], Any], str]] = {
    "a patch": (lambda b: b.blob("x").patch(), "PATCH"),
    "an update": (lambda b: b.blob("x").update(), "PUT"),
    "a copy": (lambda b: b.copy_blob(b.blob("x"), b, "y"), "POST .*copyTo"),
    "a rewrite": (lambda b: b.blob("y").rewrite(b.blob("x")), "POST .*rewriteTo"),
    "a move": (lambda b: b.move_blob(b.blob("x"), "y"), "POST .*moveTo"),
    "a bucket's removal": (lambda b: b.delete(), "DELETE"),
    "a bucket's change": (lambda b: b.patch(), "PATCH"),
    "all buckets": (lambda b: list(b.client.list_buckets()), "GET /storage/v1/b"),
    "notifications": (lambda b: list(b.list_notifications()), "notificationConfigs"),
    "old versions": (lambda b: list(b.list_blobs(versions=True)), "parameter versions"),
    "folders": (lambda b: list(b.list_blobs(delimiter="/")), "parameter delimiter"),
    "an end of a listing": (lambda b: list(b.list_blobs(end_offset="x")), "parameter endOffset"),
    "a metageneration": (
        lambda b: b.blob("x").upload_from_string("y", if_metageneration_match=1),
        "parameter ifMetagenerationMatch",
    ),
    "a condition of a read": (
        lambda b: b.blob("x").download_as_bytes(if_generation_match=1),
        "parameter ifGenerationMatch",
    ),
    "an etag": (lambda b: b.blob("x").reload(if_etag_match="x"), "header If-Match"),
    "a condition on a source": (
        lambda b: b.blob("y").compose([b.blob("x")], if_source_generation_match=[1]),
        "condition on a source",
    ),
    "a customer's key": (
        lambda b: storage.Blob("y", b, encryption_key=b"0" * 32).upload_from_string("y"),
        "header X-Goog-Encryption-Algorithm",
    ),
}


@pytest.mark.parametrize(("call", "named"), CALLS.values(), ids=CALLS.keys())
def test_a_call_that_nobody_makes_is_refused_by_name(
    bucket: storage.Bucket, call: Callable[[storage.Bucket], Any], named: str
) -> None:
    """501 says what it was, and nothing happened."""
    bucket.blob("x").upload_from_string("kept")
    with pytest.raises(MethodNotImplemented, match=named):
        call(bucket)
    assert [blob.name for blob in bucket.list_blobs()] == ["x"]
    assert bucket.blob("x").download_as_bytes() == b"kept"


@pytest.mark.parametrize("field", ["contentEncoding", "contentDisposition", "customTime", "temporaryHold"])
def test_a_setting_that_would_not_be_obeyed_is_refused_by_name(
    server: Any, bucket: storage.Bucket, field: str
) -> None:
    """Also of a bucket: a promise that is not kept would be worse."""
    url = f"{server.url}/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable&name=y"
    answer = requests.post(url, json={field: "x"})
    assert (answer.status_code, field in answer.json()["error"]["message"]) == (501, True)
    made = requests.post(f"{server.url}/storage/v1/b", json={"name": "made", "lifecycle": {"rule": []}})
    assert (made.status_code, "lifecycle" in made.json()["error"]["message"]) == (501, True)


def test_the_xml_api_is_refused_by_name(server: Any, bucket: storage.Bucket) -> None:
    """Signed URLs lead there."""
    answer = requests.get(f"{server.url}/{bucket.name}/x?X-Goog-Signature=00")
    assert answer.status_code == 501
    assert f"GET /{bucket.name}/x" in answer.json()["error"]["message"]
