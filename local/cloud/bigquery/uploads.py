"""Resumable uploads of load jobs: a session, then its bytes in one request or several."""

import json
import re
import uuid
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from local.cloud.bigquery.errors import BigQueryError, invalid, unsupported

Start = Callable[[dict[str, Any], Path], dict[str, Any]]
_SESSION = re.compile(r"^[0-9a-f]{32}$")


def handle(folder: Path, request: Request, body: bytes, start: Start) -> Response:
    """One request of an upload; the job starts with the last byte."""
    kind = request.query_params.get("uploadType")
    session = request.query_params.get("upload_id")
    if kind == "resumable" and session:
        return _chunk(folder, session, request, body, start)
    if kind == "resumable":
        return _begin(folder, request, body)
    raise unsupported(f"the upload type {kind}")


def _started(start: Start, metadata: dict[str, Any], path: Path) -> Response:
    try:
        return JSONResponse(start(metadata, path))
    except BigQueryError:
        path.unlink(missing_ok=True)
        raise


def _json(text: bytes) -> dict[str, Any]:
    try:
        out = json.loads(text)
    except ValueError:
        raise BigQueryError(400, "parseError", "Parse Error: the job is not JSON") from None
    if not isinstance(out, dict):
        raise BigQueryError(400, "parseError", "Parse Error: the job is not a JSON object")
    return out


def _begin(folder: Path, request: Request, body: bytes) -> Response:
    metadata = _json(body)
    session = uuid.uuid4().hex
    (folder / f"{session}.json").write_text(json.dumps(metadata))
    (folder / f"{session}.data").write_bytes(b"")
    location = str(request.url.include_query_params(uploadType="resumable", upload_id=session))
    return Response(status_code=200, headers={"Location": location, "X-GUploader-UploadID": session})


def _chunk(folder: Path, session: str, request: Request, body: bytes, start: Start) -> Response:
    if not _SESSION.match(session) or not (folder / f"{session}.json").exists():
        raise BigQueryError(404, "notFound", "Not found: upload session")
    path = folder / f"{session}.data"
    have = path.stat().st_size
    given = request.headers.get("content-range", "")
    match = re.match(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)$", given)
    if given and match is None:
        raise invalid(f"Invalid Content-Range: {given}")
    if match is not None and match[1] is not None:
        if int(match[1]) != have:
            return _incomplete(have)
        with path.open("ab") as file:
            file.write(body)
        have += len(body)
    elif match is None:
        path.write_bytes(body)
        have = len(body)
    total = match[3] if match is not None else str(have)
    if total == "*" or int(total) != have:
        return _incomplete(have)
    metadata = _json((folder / f"{session}.json").read_bytes())
    answer = _started(start, metadata, path)
    (folder / f"{session}.json").unlink(missing_ok=True)
    return answer


def _incomplete(have: int) -> Response:
    return Response(status_code=308, headers={"Range": f"bytes=0-{have - 1}"} if have else {})


def inflate(body: bytes, limit: int = 1 << 30) -> bytes:
    """A gzip body, refused when it grows beyond the limit."""
    reader = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    out = reader.decompress(body, limit)
    if reader.unconsumed_tail:
        raise invalid("The compressed body is too large")
    return out
