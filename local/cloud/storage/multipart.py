"""XML multipart uploads, which the client's transfer manager uses to send parts of one object in parallel.

POST ?uploads ─► uploadId ─► PUT ?partNumber=n&uploadId=… (any order) ─► POST ?uploadId=… with the part list
"""

import json
from contextlib import ExitStack
from typing import BinaryIO
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from local.cloud.storage.derive import joined
from local.cloud.storage.errors import ApiError, invalid
from local.cloud.storage.files import Content
from local.cloud.storage.intake import check_hashes, hashes_of
from local.cloud.storage.preconditions import Conditions
from local.cloud.storage.resumable import find_session, start
from local.cloud.storage.service import Draft, Storage, publish_content
from local.cloud.storage.wire import Request, Response
from local.cloud.storage.xml_headers import draft_from_headers, object_headers

_MOST_PARTS = 10_000
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def handle(storage: Storage, request: Request, bucket: str, name: str) -> Response:
    query = request.query
    if request.method == "POST" and "uploads" in query:
        return _start(storage, request, bucket, name)
    identity = query.get("uploadId", "")
    if request.method == "PUT":
        return _part(storage, request, bucket, identity)
    if request.method == "POST":
        return _complete(storage, request, bucket, identity)
    if request.method == "DELETE":
        _forget(storage, bucket, identity)
        return Response(204)
    raise invalid("A multipart upload takes POST, PUT and DELETE.")


def _start(storage: Storage, request: Request, bucket: str, name: str) -> Response:
    draft = draft_from_headers(request, bucket, name)
    identity = start(storage, draft, {}, None, None)
    return _xml(
        f'<InitiateMultipartUploadResult xmlns="{_NAMESPACE}"><Bucket>{escape(bucket)}</Bucket>'
        f"<Key>{escape(name)}</Key><UploadId>{identity}</UploadId></InitiateMultipartUploadResult>"
    )


def _part(storage: Storage, request: Request, bucket: str, identity: str) -> Response:
    number = request.integer("partNumber")
    if number is None or not 1 <= number <= _MOST_PARTS:
        raise invalid(f"partNumber must be 1 to {_MOST_PARTS}.")
    with storage.database.read() as db:
        find_session(db, bucket, identity)
    content = storage.files.write(iter(request.body))
    try:
        check_hashes(hashes_of(request, {}), content)
        with storage.database.write() as tx:
            find_session(tx, bucket, identity)
            old = tx.execute(
                "SELECT blob FROM parts WHERE upload = ? AND number = ?", (identity, number)
            ).fetchall()
            tx.execute(
                "REPLACE INTO parts VALUES (?, ?, ?, ?)", (identity, number, content.blob, content.md5)
            )
    except ApiError:
        storage.files.remove([content.blob])
        raise
    storage.files.remove(row["blob"] for row in old)
    return Response(
        200, {"ETag": f'"{content.md5}"', "X-Goog-Hash": f"crc32c={content.crc32c},md5={content.md5}"}
    )


def _complete(storage: Storage, request: Request, bucket: str, identity: str) -> Response:
    wanted = _part_list(request)
    with storage.database.read() as db:
        session = find_session(db, bucket, identity)
        parts = {
            row["number"]: row for row in db.execute("SELECT * FROM parts WHERE upload = ?", (identity,))
        }
    for number, etag in wanted:
        if number not in parts or parts[number]["md5"] != etag:
            raise ApiError(
                400, "invalid", f"Part {number} was not uploaded with that ETag.", xml_code="InvalidPart"
            )
    with ExitStack() as opened:
        streams: list[BinaryIO] = [
            opened.enter_context(storage.files.open(parts[number]["blob"])) for number, _ in wanted
        ]
        whole = storage.files.write(joined(streams))
    content = Content(whole.blob, whole.size, None, whole.crc32c)
    conditions = Conditions.from_json(json.loads(session["conditions"]))
    draft = Draft(bucket, session["name"], json.loads(session["config"]), conditions, len(wanted))
    stored = publish_content(storage, draft, content)
    _forget(storage, bucket, identity)
    answer = _xml(
        f'<CompleteMultipartUploadResult xmlns="{_NAMESPACE}"><Bucket>{escape(bucket)}</Bucket>'
        f"<Key>{escape(stored.name)}</Key><ETag>&quot;{stored.etag}&quot;</ETag></CompleteMultipartUploadResult>"
    )
    answer.headers.update(object_headers(stored))
    return answer


def _part_list(request: Request) -> list[tuple[int, str]]:
    text = request.body.read_all()
    if b"<!" in text:
        raise invalid("A part list carries no document type declaration.")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - declarations, and so entities, are refused above
        parts = [
            (int(part.findtext("{*}PartNumber") or 0), (part.findtext("{*}ETag") or "").strip('"'))
            for part in root.findall("{*}Part")
        ]
    except (ElementTree.ParseError, ValueError) as error:
        raise invalid(f"The part list is not valid: {error}") from error
    if not parts or [number for number, _ in parts] != sorted({number for number, _ in parts}):
        raise invalid("The part list must name parts once and in ascending order.")
    return parts


def _forget(storage: Storage, bucket: str, identity: str) -> None:
    with storage.database.write() as tx:
        find_session(tx, bucket, identity)
        blobs = [row["blob"] for row in tx.execute("SELECT blob FROM parts WHERE upload = ?", (identity,))]
        tx.execute("DELETE FROM uploads WHERE id = ?", (identity,))
    storage.files.remove(blobs)
    storage.files.drop_upload(identity)


def _xml(text: str) -> Response:
    body = f"<?xml version='1.0' encoding='UTF-8'?>{text}".encode()
    return Response(200, {"Content-Type": "application/xml; charset=UTF-8"}, body)
