"""Object metadata, listing, names, deletion and batches through the real client."""

import base64
import datetime
import itertools

import pytest
import requests
from google.api_core.exceptions import BadRequest, Forbidden, NotFound
from google.cloud import storage

NAMES = ["a/1.json", "a/2.json", "a/b/3.json", "a/b/c/4.txt", "b.txt", "c/5.json", "é.txt"]


@pytest.fixture
def filled(bucket: storage.Bucket) -> storage.Bucket:
    for name in reversed(NAMES):
        bucket.blob(name).upload_from_string(name)
    return bucket


def listed(bucket: storage.Bucket, **options: object) -> tuple[list[str], set[str]]:
    listing = bucket.list_blobs(**options)
    names = [blob.name for blob in listing]
    return names, set(listing.prefixes)


def test_an_object_has_the_metadata_it_was_given(bucket: storage.Bucket) -> None:
    """Everything set before the upload, and what the service adds, is in the resource."""
    blob = bucket.blob("report.json")
    blob.metadata = {"author": "Zoë", "kind": "daily"}
    blob.cache_control = "no-cache"
    blob.content_disposition = "inline"
    blob.content_language = "en"
    blob.custom_time = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    before = datetime.datetime.now(datetime.UTC)
    blob.upload_from_string("123456789", content_type="application/json")
    found = bucket.get_blob("report.json")
    assert found.metadata == {"author": "Zoë", "kind": "daily"}
    assert (found.cache_control, found.content_disposition, found.content_language) == (
        "no-cache",
        "inline",
        "en",
    )
    assert found.custom_time == blob.custom_time
    assert (found.content_type, found.size, found.storage_class) == ("application/json", 9, "STANDARD")
    # The check values of both algorithms' specifications.
    assert base64.b64decode(found.md5_hash).hex() == "25f9e794323b453885f5181f1b624d0b"
    assert base64.b64decode(found.crc32c).hex() == "e3069283"
    assert (found.generation, found.metageneration) == (blob.generation, 1)
    assert before <= found.time_created <= datetime.datetime.now(datetime.UTC)
    assert found.media_link.endswith(f"?generation={blob.generation}&alt=media")
    assert found.id == f"{bucket.name}/report.json/{blob.generation}"


def test_a_patch_changes_metadata_but_not_the_generation(bucket: storage.Bucket) -> None:
    """A patch merges, null removes, the metageneration rises and the bytes stay."""
    blob = bucket.blob("x")
    blob.metadata = {"keep": "1", "drop": "2"}
    blob.upload_from_string("bytes", content_type="text/plain")
    generation = blob.generation
    blob.metadata = {"keep": "1", "drop": None, "new": "3"}
    blob.cache_control = "private"
    blob.patch()
    found = bucket.get_blob("x")
    assert found.metadata == {"keep": "1", "new": "3"}
    assert (found.cache_control, found.content_type) == ("private", "text/plain")
    assert (found.generation, found.metageneration) == (generation, 2)
    assert found.download_as_bytes() == b"bytes"


def test_an_update_replaces_all_metadata(bucket: storage.Bucket) -> None:
    """What a full update doesn't name is gone."""
    blob = bucket.blob("x")
    blob.cache_control = "private"
    blob.upload_from_string("x")
    other = bucket.blob("x")
    other.content_type = "text/csv"
    other.update()
    found = bucket.get_blob("x")
    assert (found.content_type, found.cache_control, found.storage_class) == ("text/csv", None, "STANDARD")


def test_a_listing_is_in_byte_order(filled: storage.Bucket) -> None:
    """Names are ordered by their UTF-8 bytes, whatever the order of the uploads."""
    assert listed(filled)[0] == sorted(NAMES, key=str.encode)


def test_a_delimiter_folds_names_into_prefixes(filled: storage.Bucket) -> None:
    """Objects of one level come as items, deeper ones as one prefix each."""
    assert listed(filled, delimiter="/") == (["b.txt", "é.txt"], {"a/", "c/"})
    assert listed(filled, prefix="a/", delimiter="/") == (["a/1.json", "a/2.json"], {"a/b/"})


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"prefix": "a/b"}, ["a/b/3.json", "a/b/c/4.txt"]),
        ({"start_offset": "a/b/3.json", "end_offset": "c/5.json"}, ["a/b/3.json", "a/b/c/4.txt", "b.txt"]),
        ({"match_glob": "a/*.json"}, ["a/1.json", "a/2.json"]),
        ({"match_glob": "**.json"}, ["a/1.json", "a/2.json", "a/b/3.json", "c/5.json"]),
        ({"match_glob": "**/[!13].{txt,json}"}, ["a/2.json", "a/b/c/4.txt", "c/5.json"]),
        ({"match_glob": "?.txt"}, ["b.txt", "é.txt"]),
        ({"max_results": 2}, ["a/1.json", "a/2.json"]),
        ({"prefix": "nothing"}, []),
    ],
    ids=str,
)
def test_a_listing_is_filtered(filled: storage.Bucket, options: dict[str, object], names: list[str]) -> None:
    """Prefix, offsets (start inclusive, end exclusive), glob and limit choose what is listed."""
    assert listed(filled, **options)[0] == names


def test_pages_have_the_size_asked_for(filled: storage.Bucket) -> None:
    """Seven objects at three a page come as three, three and one, none twice and none missing."""
    pages = [[blob.name for blob in page] for page in filled.list_blobs(page_size=3).pages]
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [name for page in pages for name in page] == sorted(NAMES, key=str.encode)


def test_prefixes_count_towards_a_page_and_appear_once(filled: storage.Bucket) -> None:
    """With a delimiter a page is filled by items and prefixes together, and no prefix repeats on the next."""
    listing = filled.list_blobs(delimiter="/", page_size=1)
    seen: list[str] = []
    for page in listing.pages:
        entries = [blob.name for blob in page] + list(page.prefixes)
        assert len(entries) == 1
        seen += entries
    assert seen == ["a/", "b.txt", "c/", "é.txt"]


def test_a_prefix_is_named_once(filled: storage.Bucket) -> None:
    """However many objects it stands for."""
    (page,) = filled.list_blobs(delimiter="/").pages
    assert list(page.prefixes) == ["a/", "c/"]


def test_a_prefix_is_named_once_whatever_its_names_end_with(bucket: storage.Bucket) -> None:
    """The last character of Unicode, too, is legal in a name; here no jump over a prefix may land before it."""
    for name in ("p/a", "p/\U0010ffff", "p/\U0010ffff\U0010ffff1", "q"):
        bucket.blob(name).upload_from_string(b"")
    listing = bucket.list_blobs(delimiter="/", page_size=1)
    # At most three: a listing that does not get past a prefix has no last page.
    pages = [
        (sorted(page.prefixes), [blob.name for blob in page]) for page in itertools.islice(listing.pages, 3)
    ]
    assert pages == [(["p/"], []), ([], ["q"])]


@pytest.mark.parametrize(
    "resource",
    [
        {"contentType": 5},
        {"contentEncoding": ["gzip"]},
        {"cacheControl": {}},
        {"temporaryHold": "true"},
        {"metadata": {"a": 1}},
        {"metadata": {"a": "\ud800"}},
    ],
    ids=str,
)
def test_settings_that_no_header_could_carry_are_refused(
    server, bucket: storage.Bucket, resource: dict[str, object]
) -> None:
    """At the upload and in a patch: what was stored could not be downloaded."""
    bucket.blob("x").upload_from_string(b"data")
    base = f"{server.url}/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable&name=y"
    assert requests.post(base, json=resource).status_code == 400
    url = f"{server.url}/storage/v1/b/{bucket.name}/o/x"
    assert requests.patch(url, json=resource).status_code == 400
    assert bucket.blob("x").download_as_bytes() == b"data"


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
    assert listed(bucket)[0] == [name]
    assert bucket.blob(name).download_as_bytes() == b"bytes"
    bucket.blob(name).delete()
    assert listed(bucket)[0] == []


@pytest.mark.parametrize("name", ["x" * 1025, "é" * 513, "a\nb", "a\rb", ".", ".."])
def test_an_illegal_name_is_refused(bucket: storage.Bucket, name: str) -> None:
    """Too many bytes, line breaks and dot names are a bad request, and nothing is stored."""
    with pytest.raises(BadRequest, match="object name"):
        bucket.blob(name).upload_from_string("x")
    assert listed(bucket)[0] == []


def test_a_missing_object_is_not_found_in_googles_form(server, bucket: storage.Bucket) -> None:
    """Reading, patching and deleting what isn't there is 404, with the JSON error that clients parse."""
    blob = bucket.blob("missing")
    assert blob.exists() is False
    for attempt in (blob.reload, blob.delete, blob.patch, blob.download_as_bytes):
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


def test_a_held_object_can_not_be_deleted_or_overwritten(bucket: storage.Bucket) -> None:
    """A temporary hold protects the bytes until it is lifted."""
    blob = bucket.blob("x")
    blob.upload_from_string("first")
    blob.temporary_hold = True
    blob.patch()
    for attempt in (blob.delete, lambda: bucket.blob("x").upload_from_string("second")):
        with pytest.raises(Forbidden, match="hold"):
            attempt()
    assert blob.download_as_bytes() == b"first"
    blob.temporary_hold = False
    blob.patch()
    blob.delete()


def test_a_batch_answers_each_call(client: storage.Client, bucket: storage.Bucket) -> None:
    """Calls of a batch are served on their own: one that fails doesn't stop the others."""
    for name in "abc":
        bucket.blob(name).upload_from_string(name)
    with client.batch(raise_exception=False) as batch:
        bucket.blob("a").delete()
        bucket.blob("missing").delete()
        patched = bucket.blob("b")
        patched.metadata = {"é": "ü"}
        patched.patch()
        bucket.blob("c").delete()
    assert [answer.status_code for answer in batch._responses] == [204, 404, 200, 204]
    assert listed(bucket)[0] == ["b"]
    assert bucket.get_blob("b").metadata == {"é": "ü"}
