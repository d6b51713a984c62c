"""Uploads and downloads: one request, resumable, broken, in ranges."""

import base64
import hashlib
import http.client
import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from google.api_core.exceptions import BadRequest, NotFound, PreconditionFailed
from google.cloud import storage
from google.cloud.storage._media.requests import ResumableUpload

from local.patience import until

MIB = 1024 * 1024
CHUNK = 256 * 1024


def start_upload(
    url: str, bucket: storage.Bucket, name: str, data: bytes, checksum: str | None = "auto", **options: object
) -> ResumableUpload:
    upload = ResumableUpload(
        f"{url}/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable", CHUNK, checksum
    )
    upload.initiate(requests.Session(), io.BytesIO(data), {"name": name}, "text/plain", **options)
    return upload


def bytes_kept(session_url: str) -> str | None:
    answer = requests.put(session_url, headers={"Content-Range": "bytes */*"})
    assert answer.status_code == 308
    return answer.headers.get("Range")


def test_an_empty_object_is_an_object(bucket: storage.Bucket) -> None:
    """Zero bytes upload and download, in one request and resumable."""
    bucket.blob("one").upload_from_string(b"")
    bucket.blob("two", chunk_size=CHUNK).upload_from_file(io.BytesIO(b""), size=0)
    assert [bucket.blob(name).download_as_bytes() for name in ("one", "two")] == [b"", b""]


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
def test_a_resumable_upload_of_unknown_size(bucket: storage.Bucket, size: int) -> None:
    """Chunks with the total `*` grow the object; the last one names the size."""
    data = os.urandom(size)
    with bucket.blob("stream").open("wb", chunk_size=CHUNK) as writer:
        writer.write(data)
    assert bucket.blob("stream").download_as_bytes() == data


@pytest.mark.parametrize("size", [CHUNK, 3 * CHUNK + 7])
def test_a_resumable_upload_of_known_size(bucket: storage.Bucket, size: int) -> None:
    """Chunks of a declared total make the object with the last one; hashes are of the whole."""
    data = os.urandom(size)
    blob = bucket.blob("known", chunk_size=CHUNK)
    blob.metadata = {"k": "v"}
    blob.upload_from_file(io.BytesIO(data), size=size, content_type="x/y")
    found = bucket.get_blob("known")
    assert (found.size, found.content_type, found.metadata) == (size, "x/y", {"k": "v"})
    assert base64.b64decode(found.md5_hash) == hashlib.md5(data).digest()
    assert bucket.blob("known").download_as_bytes() == data


def test_an_object_appears_only_when_its_upload_is_complete(server, bucket: storage.Bucket) -> None:
    """Half an upload is no object."""
    data = os.urandom(2 * CHUNK)
    upload = start_upload(server.url, bucket, "x", data)
    upload.transmit_next_chunk(requests.Session())
    assert bucket.get_blob("x") is None
    upload.transmit_next_chunk(requests.Session())
    assert upload.finished
    assert bucket.get_blob("x").download_as_bytes() == data


def test_a_broken_upload_resumes_where_it_stopped(server, bucket: storage.Bucket) -> None:
    """Bytes that arrived before the connection broke are kept, and the client's recovery continues after them."""
    data = os.urandom(2 * MIB)
    # The client's own hash would miss the bytes that the broken connection carries.
    upload = start_upload(server.url, bucket, "x", data, checksum=None)
    session = requests.Session()
    upload.transmit_next_chunk(session)
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.putrequest("PUT", upload.resumable_url.removeprefix(server.url))
    connection.putheader("Content-Length", str(CHUNK))
    connection.putheader("Content-Range", f"bytes {CHUNK}-{2 * CHUNK - 1}/{len(data)}")
    connection.endheaders(data[CHUNK : CHUNK + 100_000])
    connection.close()
    while bytes_kept(upload.resumable_url) != f"bytes=0-{CHUNK + 100_000 - 1}":
        pass
    upload.recover(session)
    assert upload.bytes_uploaded == CHUNK + 100_000
    while not upload.finished:
        upload.transmit_next_chunk(session)
    assert bucket.blob("x").download_as_bytes() == data


def test_the_last_chunk_sent_twice_makes_one_object(server, bucket: storage.Bucket) -> None:
    """A client that lost the answer gets the same generation again."""
    upload = start_upload(server.url, bucket, "x", b"data")
    headers = {"Content-Range": "bytes 0-3/4"}
    first = requests.put(upload.resumable_url, data=b"data", headers=headers).json()
    again = requests.put(upload.resumable_url, data=b"data", headers=headers).json()
    assert first == again
    assert bucket.get_blob("x").generation == int(first["generation"])


def test_a_chunk_that_leaves_a_gap_is_refused(server, bucket: storage.Bucket) -> None:
    """Bytes must follow those received; a repeated start is skipped, not stored twice."""
    upload = start_upload(server.url, bucket, "x", b"", stream_final=False)
    url = upload.resumable_url
    gap = requests.put(url, data=b"cd", headers={"Content-Range": "bytes 2-3/6"})
    assert gap.status_code == 400
    assert bytes_kept(url) is None
    requests.put(url, data=b"abcd", headers={"Content-Range": "bytes 0-3/*"})
    requests.put(url, data=b"cdef", headers={"Content-Range": "bytes 2-5/6"})
    assert bucket.blob("x").download_as_bytes() == b"abcdef"


def test_the_rest_of_a_stream_may_end_where_its_body_ends(server, bucket: storage.Bucket) -> None:
    """`first-*` is for senders that do not know the length: with a total it goes on, without one it is the end."""
    url = f"{server.url}/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable&name=x"
    session = requests.post(url).headers["Location"]

    def put(content_range: str, data: bytes) -> requests.Response:
        return requests.put(session, data=data, headers={"Content-Range": content_range})

    assert put("bytes 0-*/12", b"01234").headers["Range"] == "bytes=0-4"
    assert put("bytes */3", b"").status_code == 400, "a total that is less than what has arrived"
    assert put("bytes 3-*/*", b"345678").json()["size"] == "9"
    assert bucket.blob("x").download_as_bytes() == b"012345678"


@pytest.mark.parametrize(
    "header", ["bytes 0-3", "bytes 5-3/*", "bytes a-b/*", "0-3/4", "bytes 0-3/x", "bytes *-3/4"]
)
def test_a_content_range_that_can_not_be_read_is_refused(server, bucket: storage.Bucket, header: str) -> None:
    """400, and the session is as it was."""
    session = start_upload(server.url, bucket, "x", b"data").resumable_url
    assert requests.put(session, data=b"data", headers={"Content-Range": header}).status_code == 400
    assert bytes_kept(session) is None


def test_the_precondition_of_a_session_binds_at_its_end(server, bucket: storage.Bucket) -> None:
    """Create-if-absent is decided when the object would appear, not when the upload began."""
    url = bucket.blob("x").create_resumable_upload_session(if_generation_match=0, size=4)
    bucket.blob("x").upload_from_string("winner")
    late = requests.put(url, data=b"late", headers={"Content-Range": "bytes 0-3/4"})
    assert late.status_code == 412
    assert bucket.blob("x").download_as_bytes() == b"winner"
    with pytest.raises(PreconditionFailed):
        bucket.blob("x").create_resumable_upload_session(if_generation_match=0)


@pytest.mark.parametrize("checksum", ["md5", "crc32c"])
def test_an_upload_with_a_wrong_hash_is_refused(server, bucket: storage.Bucket, checksum: str) -> None:
    """A hash that the client states must be the hash of what arrived, in the resource or in a header."""
    field = {"md5": "md5Hash", "crc32c": "crc32c"}[checksum]
    wrong = {"md5": hashlib.md5(b"other").digest(), "crc32c": b"\0\0\0\1"}[checksum]
    blob = bucket.blob("x")
    blob._changes.add(field)
    blob._properties[field] = base64.b64encode(wrong).decode()
    with pytest.raises(BadRequest, match="doesn't match calculated"):
        blob.upload_from_string(b"data", checksum=None)
    answer = requests.post(
        f"{server.url}/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=x",
        data=b"data",
        headers={"X-Goog-Hash": f"{checksum}={base64.b64encode(wrong).decode()}"},
    )
    assert answer.status_code == 400
    assert bucket.get_blob("x") is None


def test_a_wrong_hash_of_a_resumable_upload_is_refused(server, bucket: storage.Bucket) -> None:
    """The hash that comes with the last chunk is checked before the object appears."""
    upload = start_upload(server.url, bucket, "x", b"data")
    headers = {"Content-Range": "bytes 0-3/4", "X-Goog-Hash": "crc32c=AAAAAA=="}
    assert requests.put(upload.resumable_url, data=b"data", headers=headers).status_code == 400
    assert bucket.get_blob("x") is None


def test_a_media_upload_with_chunked_coding(server, bucket: storage.Bucket) -> None:
    """A body without a length, as streams send it, is stored whole."""

    def pieces() -> Iterator[bytes]:
        yield from (b"ab", b"cd" * 50_000, b"e")

    url = f"{server.url}/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=x"
    assert requests.post(url, data=pieces()).status_code == 200
    assert bucket.blob("x").download_as_bytes() == b"ab" + b"cd" * 50_000 + b"e"


def test_a_body_that_ends_early_makes_no_object(server, bucket: storage.Bucket) -> None:
    """A client that dies in the middle of a simple upload leaves nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.putrequest("POST", f"/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=x")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"only this")
    connection.close()
    assert list(bucket.list_blobs()) == []
    until(lambda: not list((server.data / "tmp").iterdir()), "what was begun is removed")


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, 0, b"0"), (2, 5, b"2345"), (7, None, b"789"), (5, 100, b"56789"), (-3, None, b"789")],
)
def test_a_range_of_an_object(bucket: storage.Bucket, start: int, end: int | None, expected: bytes) -> None:
    """First to last byte, open ends, more than there is, and the last n bytes."""
    bucket.blob("x").upload_from_string(b"0123456789")
    assert bucket.blob("x").download_as_bytes(start=start, end=end) == expected


def test_a_range_behind_the_end_is_not_satisfiable(bucket: storage.Bucket) -> None:
    """416, not an empty success."""
    bucket.blob("x").upload_from_string(b"0123456789")
    with pytest.raises(Exception, match="416"):
        bucket.blob("x").download_as_bytes(start=10)


def test_a_reader_that_seeks(bucket: storage.Bucket) -> None:
    """The client's file object reads ranges of the object it opened."""
    data = os.urandom(CHUNK * 2)
    bucket.blob("x").upload_from_string(data)
    with bucket.blob("x").open("rb", chunk_size=CHUNK) as reader:
        reader.seek(CHUNK + 5)
        assert reader.read(10) == data[CHUNK + 5 : CHUNK + 15]
        reader.seek(0)
        assert reader.read() == data


def test_a_large_object_is_streamed(server, bucket: storage.Bucket, tmp_path: Path) -> None:
    """48 MiB go in and out while the server's memory grows by less than a third of that."""
    source, target = tmp_path / "source", tmp_path / "target"
    block = os.urandom(MIB)
    with source.open("wb") as out:
        for _ in range(48):
            out.write(block)
    before = peak_memory(server.process.pid)
    bucket.blob("large", chunk_size=16 * MIB).upload_from_filename(source)
    with source.open("rb") as stream:
        url = f"{server.url}/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=once"
        assert requests.post(url, data=stream).status_code == 200
    bucket.blob("large").download_to_filename(target)
    assert target.stat().st_size == 48 * MIB
    assert bucket.get_blob("large").crc32c == bucket.get_blob("once").crc32c
    assert peak_memory(server.process.pid) - before < 16 * MIB


def peak_memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def test_a_session_needs_its_bucket(client: storage.Client) -> None:
    """No session is opened for a bucket that doesn't exist."""
    with pytest.raises(NotFound):
        client.bucket("no-such-bucket-here").blob("x").create_resumable_upload_session()
