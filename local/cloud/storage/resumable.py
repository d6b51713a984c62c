"""Resumable uploads: a session that survives broken connections and killed servers.

    POST ─► session URL ─► PUT bytes 0-262143/* ─► 308, Range: bytes=0-262143
                           PUT bytes */*         ─► 308: how far did I get?
                           PUT bytes 262144-300000/300001 ─► 200 and the object

The size of the session's file is the progress, so it needs no row of its own. Once the object exists the session
keeps its resource: a client that lost the answer asks again and gets the same object, not a second one.
"""

import json
import re
import sqlite3
import threading
import time
import uuid
from collections import defaultdict
from typing import Any
from urllib.parse import quote

from local.cloud.storage.errors import ApiError, invalid, not_found
from local.cloud.storage.intake import check_hashes, draft_of, hashes_of
from local.cloud.storage.service import Draft, Storage, check_draft, publish, settle
from local.cloud.storage.wire import CHUNK, BrokenBody, HttpRequest, Response, json_response, parse_json

# `first-*`: all the rest, of a stream whose length its sender does not know.
_RANGE = re.compile(r"bytes (?:([0-9]{1,18})-([0-9]{1,18}|\*)|\*)/([0-9]{1,18}|\*)")
_WEEK = 7 * 86400.0
_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


def start(storage: Storage, request: HttpRequest, bucket: str) -> Response:
    """Open a session; its id is the only credential that its URL needs."""
    document = parse_json(request.body.read_all())
    draft = draft_of(request, bucket, document, request.header("X-Upload-Content-Type"))
    total = request.header("X-Upload-Content-Length")
    identity = _open(storage, draft, hashes_of(request, document), total)
    link = (
        f"{request.origin}/upload/storage/v1/b/{bucket}/o"
        f"?uploadType=resumable&name={quote(draft.name, safe='')}&upload_id={identity}"
    )
    return Response(200, {"Location": link, "X-GUploader-UploadID": identity})


def _open(storage: Storage, draft: Draft, stated: dict[str, str], total: str | None) -> str:
    if total is not None and not total.isdecimal():
        raise invalid("X-Upload-Content-Length must be a whole number.")
    identity = uuid.uuid4().hex + uuid.uuid4().hex
    with storage.database.write() as tx:
        check_draft(tx, draft)
        tx.execute(
            "INSERT INTO uploads (id, bucket, name, config, conditions, hashes, total, created)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                identity, draft.bucket, draft.name, json.dumps(draft.config),
                json.dumps(draft.expected), json.dumps(stated),
                None if total is None else int(total), time.time(),
            ),
        )  # fmt: skip
    storage.files.upload_path(identity).touch()
    return identity


def put(storage: Storage, request: HttpRequest, bucket: str) -> Response:
    """Some bytes, all the rest, or the question how many have arrived."""
    identity = request.query.get("upload_id", "")
    with _locks[identity]:
        with storage.database.read() as db:
            session = _session(db, bucket, identity)
        if session["finished"]:
            request.body.drain(1 << 40)
            return json_response(json.loads(session["finished"]))
        first, last, total = _content_range(request)
        if session["total"] is not None:
            if total not in (None, session["total"]):
                raise invalid(
                    f"Content-Range says {total} bytes, the session was opened for {session['total']}."
                )
            total = session["total"]
        have = _receive(storage, request, identity, first, last, total)
        if total is None and first is not None and last is None:
            total = have  # The body ended, and nobody said that more would come.
        if total is None or have < total:
            return _progress(have)
        if have > total:
            raise invalid(f"The total is said to be {total} bytes, but {have} have been received.")
        return json_response(_finish(storage, request, session))


def _session(db: sqlite3.Connection, bucket: str, identity: str) -> sqlite3.Row:
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM uploads WHERE id = ? AND bucket = ?", (identity, bucket)
    ).fetchone()
    if row is None:
        raise not_found("There is no such upload session: it has expired or never existed.")
    return row


def forget_expired(db: sqlite3.Connection) -> None:
    """Sessions live a week, as in the service."""
    db.execute("DELETE FROM uploads WHERE created < ?", (time.time() - _WEEK,))


def _content_range(request: HttpRequest) -> tuple[int | None, int | None, int | None]:
    """First byte (None when only asking), last byte and total (None when unknown)."""
    header = request.header("Content-Range")
    if header is None:
        length = request.header("Content-Length")
        size = int(length) if length and length.isdecimal() else None
        return 0, None if size is None else size - 1, size
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        raise invalid(f"Failed to parse Content-Range header: {header[:80]!r}.")
    first, last, total = match.groups()
    return (
        None if first is None else int(first),
        None if last in (None, "*") else int(last),
        None if total == "*" else int(total),
    )


def _receive(
    storage: Storage,
    request: HttpRequest,
    identity: str,
    first: int | None,
    last: int | None,
    total: int | None,
) -> int:
    """Append what is new of the body, keep what arrived of a broken one; answers the bytes held."""
    path = storage.files.upload_path(identity)
    have = path.stat().st_size
    if first is None:
        return have
    if first > have:
        raise invalid(f"The chunk begins at byte {first}, but only {have} bytes have been received.")
    skip = have - first
    with path.open("ab", buffering=0) as out:
        while data := request.body.read(CHUNK):
            fresh, skip = data[skip:], max(0, skip - len(data))
            have += len(fresh)
            if (total is not None and have > total) or (last is not None and have > last + 1):
                out.truncate(have - len(fresh))
                raise invalid("The body is longer than the Content-Range header says.")
            out.write(fresh)
    if last is not None and have < last + 1 and request.header("Content-Range"):
        raise BrokenBody
    return have


def _progress(have: int) -> Response:
    headers = {"Range": f"bytes=0-{have - 1}"} if have else {}
    return Response(308, {**headers, "X-HTTP-Status-Code-Override": "308"})


def _finish(storage: Storage, request: HttpRequest, session: sqlite3.Row) -> dict[str, Any]:
    """Publish the object and close the session in one transaction: the last chunk sent twice makes one object."""
    identity = session["id"]
    content = storage.files.adopt(identity)
    draft = Draft(
        session["bucket"],
        session["name"],
        json.loads(session["config"]),
        json.loads(session["conditions"]),
    )
    try:
        check_hashes(json.loads(session["hashes"]) | hashes_of(request, {}), content)
        with storage.database.write() as tx:
            publication = publish(storage, tx, draft, content)
            document = publication.stored.resource(request.origin)
            tx.execute("UPDATE uploads SET finished = ? WHERE id = ?", (json.dumps(document), identity))
    except ApiError:
        storage.files.remove([content.blob])
        with storage.database.write() as tx:
            tx.execute("DELETE FROM uploads WHERE id = ?", (identity,))
        storage.files.drop_upload(identity)
        raise
    settle(storage, publication.garbage)
    storage.files.drop_upload(identity)
    return document
