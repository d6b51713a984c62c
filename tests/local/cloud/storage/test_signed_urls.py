"""V4 signed URLs made by the real client with a locally made key, and CORS for the browsers that use them."""

import datetime
import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from google.cloud import storage
from google.cloud.storage import _signing
from google.oauth2 import service_account

from local.cloud.storage import accounts
from local.patience import until

EMAIL = "signer@bridge-local.iam.gserviceaccount.com"


@pytest.fixture(scope="module")
def credentials(server) -> service_account.Credentials:
    return service_account.Credentials.from_service_account_info(accounts.create(server.data, EMAIL))


@pytest.fixture
def sign(server, credentials: service_account.Credentials):
    def signed(blob: storage.Blob, method: str = "GET", **options: Any) -> str:
        return blob.generate_signed_url(
            version="v4",
            expiration=options.pop("expiration", datetime.timedelta(minutes=5)),
            method=method,
            credentials=options.pop("credentials", credentials),
            api_access_endpoint=server.url,
            **options,
        )

    return signed


@pytest.fixture
def blob(bucket: storage.Bucket) -> storage.Blob:
    made = bucket.blob("folder/a b+é~.txt")
    made.upload_from_string("bytes", content_type="text/plain")
    return made


def code(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.text.partition("<Code>")[2].partition("</Code>")[0]


def test_a_signed_get_reads_the_object(blob: storage.Blob, sign) -> None:
    """The URL alone is enough, for GET and HEAD as signed, with ranges."""
    answer = requests.get(sign(blob))
    assert (answer.status_code, answer.content, answer.headers["Content-Type"]) == (
        200,
        b"bytes",
        "text/plain",
    )
    assert requests.get(sign(blob), headers={"Range": "bytes=1-2"}).content == b"yt"
    head = requests.head(sign(blob, "HEAD"))
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, "5", b"")


def test_a_signed_get_can_rename_the_download(blob: storage.Blob, sign) -> None:
    """The response headers that were signed into the URL are sent; another generation can be named."""
    url = sign(blob, response_disposition="attachment; filename=x.csv", response_type="text/csv")
    answer = requests.get(url)
    assert answer.headers["Content-Disposition"] == "attachment; filename=x.csv"
    assert answer.headers["Content-Type"] == "text/csv"
    assert code(requests.get(sign(blob, generation=1))) == (404, "NoSuchKey")


def test_a_signed_put_writes_the_object(bucket: storage.Bucket, sign) -> None:
    """With the signed content type and metadata; the object is like any other."""
    headers = {"x-goog-meta-by": "browser"}
    url = sign(bucket.blob("up"), "PUT", content_type="image/png", headers=dict(headers))
    answer = requests.put(url, data=b"png", headers={"Content-Type": "image/png", **headers})
    assert answer.status_code == 200
    found = bucket.get_blob("up")
    assert (found.content_type, found.metadata, found.size) == ("image/png", {"by": "browser"}, 3)
    assert answer.headers["X-Goog-Generation"] == str(found.generation)


def test_a_signed_put_can_require_absence(bucket: storage.Bucket, sign) -> None:
    """A signed `x-goog-if-generation-match: 0` lets one URL create one object."""
    headers = {"x-goog-if-generation-match": "0"}
    url = sign(bucket.blob("up"), "PUT", headers=dict(headers))
    assert requests.put(url, data=b"1", headers=headers).status_code == 200
    assert code(requests.put(url, data=b"2", headers=headers)) == (412, "PreconditionFailed")
    assert bucket.blob("up").download_as_bytes() == b"1"


def test_a_signed_put_can_bound_the_size(bucket: storage.Bucket, sign) -> None:
    """A body outside the signed `x-goog-content-length-range` is refused and leaves nothing."""
    headers = {"x-goog-content-length-range": "2,4"}
    url = sign(bucket.blob("up"), "PUT", headers=dict(headers))
    assert code(requests.put(url, data=b"12345", headers=headers)) == (400, "EntityTooLarge")
    assert code(requests.put(url, data=b"1", headers=headers)) == (400, "EntityTooSmall")
    assert bucket.get_blob("up") is None
    assert requests.put(url, data=b"1234", headers=headers).status_code == 200


def test_a_signed_resumable_upload(bucket: storage.Bucket, sign) -> None:
    """The signed POST opens a session whose own URL needs no signature."""
    url = sign(bucket.blob("a/up"), "RESUMABLE", content_type="x/y")
    headers = {"x-goog-resumable": "start", "Content-Type": "x/y"}
    opened = requests.post(url, headers=headers)
    assert opened.status_code == 201
    session = opened.headers["Location"]
    first = requests.put(session, data=b"abc", headers={"Content-Range": "bytes 0-2/*"})
    assert (first.status_code, first.headers["Range"]) == (308, "bytes=0-2")
    assert requests.put(session, data=b"de", headers={"Content-Range": "bytes 3-4/5"}).status_code == 200
    assert bucket.get_blob("a/up").content_type == "x/y"
    assert bucket.blob("a/up").download_as_bytes() == b"abcde"


def test_a_signed_delete(bucket: storage.Bucket, blob: storage.Blob, sign) -> None:
    """Deletes what it names."""
    assert requests.delete(sign(blob, "DELETE")).status_code == 204
    assert bucket.get_blob(blob.name) is None


TAMPERS = {
    "another object": lambda url: url.replace("/folder/", "/other/"),
    "another signature": lambda url: url[:-1] + ("0" if url[-1] != "0" else "1"),
    "a signature that is not hexadecimal": lambda url: url[:-1] + "x",
    "no signature": lambda url: url.partition("&X-Goog-Signature")[0],
    "a longer life": lambda url: url.replace("X-Goog-Expires=300", "X-Goog-Expires=301"),
    "another query parameter": lambda url: url + "&generation=1",
    "another signer": lambda url: url.replace("signer%40", "stranger%40"),
    "another date": lambda url: url.replace("T", "T0", 1),
    "an endless life": lambda url: url.replace("X-Goog-Expires=300", "X-Goog-Expires=999999"),
    "an unsigned host": lambda url: url.replace("SignedHeaders=host", "SignedHeaders=accept"),
}


@pytest.mark.parametrize("tamper", TAMPERS)
def test_a_tampered_url_is_refused(blob: storage.Blob, sign, tamper: str) -> None:
    """Whatever is changed after signing: 403, and nothing of the object."""
    url = sign(blob)
    changed = TAMPERS[tamper](url)
    assert changed != url
    answer = requests.get(changed)
    assert answer.status_code == 403
    assert "bytes" not in answer.text


def test_a_url_is_good_for_its_method_only(bucket: storage.Bucket, blob: storage.Blob, sign) -> None:
    """A URL to read neither writes nor deletes."""
    for method in ("PUT", "DELETE", "HEAD"):
        assert requests.request(method, sign(blob), data=b"").status_code == 403
    assert bucket.blob(blob.name).download_as_bytes() == b"bytes"


def test_an_unsigned_extension_header_is_refused(bucket: storage.Bucket, sign) -> None:
    """The holder of a URL can't add x-goog headers, nor leave out or change a signed one."""
    plain = sign(bucket.blob("up"), "PUT")
    added = requests.put(plain, data=b"x", headers={"x-goog-meta-by": "me"})
    assert code(added) == (403, "SignatureDoesNotMatch")
    typed = sign(bucket.blob("up"), "PUT", content_type="image/png")
    for headers in ({}, {"Content-Type": "text/html"}):
        assert code(requests.put(typed, data=b"x", headers=headers)) == (
            403,
            "SignatureDoesNotMatch",
        )
    assert bucket.get_blob("up") is None


def test_an_expired_url_is_refused(blob: storage.Blob, sign) -> None:
    """After its seconds a URL is worth nothing, though its signature is right."""
    url = sign(blob, expiration=datetime.timedelta(seconds=1))
    until(lambda: requests.get(url).status_code != 200, "the URL expires")
    assert code(requests.get(url)) == (403, "ExpiredToken")


def test_a_well_signed_url_must_have_a_sensible_life(blob: storage.Blob, sign, monkeypatch) -> None:
    """More than seven days, or a beginning in the future, is refused though the signature is right."""
    monkeypatch.setattr(_signing, "SEVEN_DAYS", 10**9)
    assert requests.get(sign(blob, expiration=datetime.timedelta(days=6))).status_code == 200
    assert requests.get(sign(blob, expiration=datetime.timedelta(days=8))).status_code == 403
    tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    stamps = (tomorrow.strftime("%Y%m%dT%H%M%SZ"), tomorrow.strftime("%Y%m%d"))
    monkeypatch.setattr(_signing, "get_v4_now_dtstamps", lambda: stamps)
    assert requests.get(sign(blob)).status_code == 403


def test_a_key_that_is_not_registered_is_refused(server, blob: storage.Blob, sign, tmp_path) -> None:
    """Neither an unknown account nor a known account's name with another key can sign."""
    for email in ("stranger@bridge-local.iam.gserviceaccount.com", EMAIL):
        forged = service_account.Credentials.from_service_account_info(accounts.create(tmp_path, email))
        assert requests.get(sign(blob, credentials=forged)).status_code == 403


def test_an_object_is_not_public(server, blob: storage.Blob) -> None:
    """Without a signature the object's address answers 403 in the XML API's form."""
    answer = requests.get(f"{server.url}/{blob.bucket.name}/{blob.name}")
    assert code(answer) == (403, "AccessDenied")


def test_an_account_can_be_added_while_the_server_runs(server, blob: storage.Blob, sign) -> None:
    """Registering writes the public key only, beside those already known."""
    made = accounts.create(server.data, "late@bridge-local.iam.gserviceaccount.com")
    late = service_account.Credentials.from_service_account_info(made)
    assert requests.get(sign(blob, credentials=late)).status_code == 200
    text = (server.data / accounts.FILE).read_text()
    assert set(json.loads(text)) >= {EMAIL, "late@bridge-local.iam.gserviceaccount.com"}
    assert "PRIVATE" not in text


ORIGIN = "http://console.example"


@pytest.fixture
def open_to_console(bucket: storage.Bucket) -> storage.Bucket:
    bucket.cors = [
        {"origin": [ORIGIN], "method": ["PUT"], "responseHeader": ["Content-Type"], "maxAgeSeconds": 60}
    ]
    bucket.patch()
    return bucket


def preflight(url: str, origin: str, method: str) -> dict[str, str]:
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    answer = requests.options(url, headers=headers)
    assert answer.status_code == 200
    return {k.lower(): v for k, v in answer.headers.items() if k.lower().startswith("access-control")}


def test_a_browser_may_upload_from_an_origin_of_the_bucket(open_to_console: storage.Bucket, sign) -> None:
    """The preflight and the upload carry the bucket's rule; other origins and methods get no permission."""
    url = sign(open_to_console.blob("up"), "PUT")
    assert preflight(url, ORIGIN, "PUT") == {
        "access-control-allow-origin": ORIGIN,
        "access-control-allow-methods": "PUT",
        "access-control-allow-headers": "Content-Type",
        "access-control-max-age": "60",
    }
    assert preflight(url, "http://evil.example", "PUT") == {}
    assert preflight(url, ORIGIN, "DELETE") == {}
    done = requests.put(url, data=b"x", headers={"Origin": ORIGIN})
    assert (done.status_code, done.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)
    foreign = requests.put(url, data=b"x", headers={"Origin": "http://evil.example"})
    assert "Access-Control-Allow-Origin" not in foreign.headers


def test_an_upload_session_answers_to_the_origin_that_opened_it(server, bucket: storage.Bucket) -> None:
    """Whatever the bucket's rules; and the rest of the JSON API answers to no page."""
    session = bucket.blob("x").create_resumable_upload_session(origin=ORIGIN, size=1)
    assert preflight(session, ORIGIN, "PUT")["access-control-allow-origin"] == ORIGIN
    assert preflight(session, "http://evil.example", "PUT") == {}
    done = requests.put(session, data=b"x", headers={"Origin": ORIGIN})
    assert done.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert preflight(f"{server.url}/storage/v1/b", ORIGIN, "GET") == {}


def test_the_canonical_query_is_sorted_by_the_server(blob: storage.Blob, sign) -> None:
    """The same parameters in another order are the same URL, as in the service."""
    parts = urlsplit(sign(blob))
    pairs = sorted(((k, v[0]) for k, v in parse_qs(parts.query).items()), reverse=True)
    assert requests.get(parts._replace(query=urlencode(pairs)).geturl()).status_code == 200
