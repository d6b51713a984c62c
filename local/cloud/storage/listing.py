"""Object listing: prefix, delimiter, offsets, glob, versions and pages, in the order of UTF-8 bytes."""

import base64
import json
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from local.cloud.storage.errors import invalid, not_implemented
from local.cloud.storage.model import StoredObject, object_of
from local.cloud.storage.service import Storage, get_bucket
from local.cloud.storage.wire import Request, Response, json_response

_PAGE = 1000
# Sorts behind every name that begins like it: as long as a name may be (1024 bytes) of the last character.
_BEHIND_ALL = chr(0x10FFFF) * 256


@dataclass(frozen=True, slots=True)
class Filters:
    """Which objects of a bucket a listing shows."""

    prefix: str = ""
    delimiter: str = ""
    start: str = ""
    end: str = ""
    glob: re.Pattern[str] | None = None
    versions: bool = False
    trailing: bool = False

    def collapsed(self, name: str) -> str | None:
        """The prefix that stands for this name under the delimiter, if one does."""
        if not self.delimiter:
            return None
        cut = name.find(self.delimiter, len(self.prefix))
        return None if cut < 0 else name[: cut + len(self.delimiter)]


@dataclass(slots=True)
class Page:
    """One page; `token` is where the next one starts, None at the end."""

    objects: list[StoredObject] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    token: str | None = None


def list_objects(storage: Storage, request: Request, bucket: str) -> Response:
    if request.flag("softDeleted"):
        raise not_implemented("Listing soft-deleted objects")
    query = request.query
    filters = Filters(
        prefix=query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        start=query.get("startOffset", ""),
        end=query.get("endOffset", ""),
        glob=glob_pattern(query["matchGlob"]) if query.get("matchGlob") else None,
        versions=request.flag("versions"),
        trailing=request.flag("includeTrailingDelimiter"),
    )
    with storage.database.read() as db:
        get_bucket(db, bucket)
        page = _page(db, bucket, filters, page_size(request), after_token(request))
    document: dict[str, Any] = {"kind": "storage#objects"}
    if page.objects:
        document["items"] = [found.resource(request.origin) for found in page.objects]
    if page.prefixes:
        document["prefixes"] = page.prefixes
    if page.token is not None:
        document["nextPageToken"] = page.token
    return json_response(document)


def _page(
    db: sqlite3.Connection, bucket: str, filters: Filters, limit: int, after: tuple[str, int] | None
) -> Page:
    """Objects and prefixes count together towards `limit`, as in the service."""
    page, token = Page(), ""
    # Generations are positive, so -1 includes the first name itself.
    name, generation = after or (max(filters.prefix, filters.start), -1)
    rows = _rows(db, bucket, filters, name, generation)
    while (row := next(rows, None)) is not None:
        found = object_of(row)
        if not found.name.startswith(filters.prefix) or (filters.end and found.name >= filters.end):
            break
        if filters.glob and not filters.glob.fullmatch(found.name):
            continue
        if len(page.objects) + len(page.prefixes) >= limit:
            page.token = token
            break
        prefix = filters.collapsed(found.name)
        if prefix is None:
            page.objects.append(found)
            token = token_for(found.name, found.generation)
            continue
        page.prefixes.append(prefix)
        if filters.trailing and found.name == prefix:
            page.objects.append(found)
        # Every other name under this prefix is the same entry: jump behind them all.
        behind = prefix + _BEHIND_ALL
        token = token_for(behind)
        rows = _rows(db, bucket, filters, behind, 0)
    return page


def _rows(
    db: sqlite3.Connection, bucket: str, filters: Filters, name: str, generation: int
) -> Iterator[sqlite3.Row]:
    sql = """
        SELECT * FROM objects
         WHERE bucket = :bucket AND (name, generation) > (:name, :generation) AND (live = 1 OR :versions)
         ORDER BY name, generation
    """
    return iter(
        db.execute(
            sql, {"bucket": bucket, "name": name, "generation": generation, "versions": filters.versions}
        )
    )


def page_size(request: Request) -> int:
    """`maxResults`, at most 1000, which is also the default."""
    asked = request.integer("maxResults")
    if asked is not None and asked < 0:
        raise invalid("maxResults must not be negative.", location="maxResults")
    return min(asked or _PAGE, _PAGE)


def token_for(name: str, generation: int = 2**62) -> str:
    """An opaque page token: continue after this generation of this name."""
    return base64.urlsafe_b64encode(json.dumps([name, generation]).encode()).decode()


def after_token(request: Request) -> tuple[str, int] | None:
    """Where a page starts, or None for the first; 400 for a token that this server didn't make."""
    token = request.query.get("pageToken")
    if not token:
        return None
    try:
        name, generation = json.loads(base64.urlsafe_b64decode(token))
        return str(name), int(generation)
    except (ValueError, TypeError) as error:
        raise invalid(
            "Invalid pageToken: use nextPageToken of the page before.", location="pageToken"
        ) from error


def glob_pattern(glob: str) -> re.Pattern[str]:
    """`*` and `?` stop at `/`, `**` doesn't; `[...]`, `[!...]`, `{a,b}`; backslash quotes."""
    out, position, depth = "", 0, 0
    while position < len(glob):
        char = glob[position]
        position += 1
        if char == "*":
            deep = glob.startswith("*", position)
            out += ".*" if deep else "[^/]*"
            position += deep
        elif char == "?":
            out += "[^/]"
        elif char == "[":
            close = glob.find("]", position + 1)
            if close < 0:
                raise invalid("matchGlob has an unclosed [.", location="matchGlob")
            inside = glob[position:close].replace("\\", "\\\\").replace("[", "\\[")
            out += f"[^{inside[1:]}]" if inside[:1] in "!^" else f"[{inside}]"
            position = close + 1
        elif char == "{":
            out, depth = out + "(?:", depth + 1
        elif char == "}" and depth:
            out, depth = out + ")", depth - 1
        elif char == "," and depth:
            out += "|"
        else:
            if char == "\\" and position < len(glob):
                char = glob[position]
                position += 1
            out += re.escape(char)
    if depth:
        raise invalid("matchGlob has an unclosed {.", location="matchGlob")
    try:
        return re.compile(out, re.DOTALL)
    except re.error as error:
        raise invalid(f"matchGlob is not a glob: {error}", location="matchGlob") from error
