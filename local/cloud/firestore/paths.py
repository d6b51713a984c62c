"""Document names (`projects/p/databases/d/documents/c/id/...`) and field paths (`` a.`b.c` ``)."""

import re
from functools import lru_cache

from local.cloud.serving.grpc_server import Code, Refused

_DATABASE = re.compile(r"projects/[^/]+/databases/[^/]+$")
_RESERVED = re.compile(r"__.*__$", re.DOTALL)
_NUMERIC_ID = re.compile(r"__id(-?\d+)__$")
_PLAIN = re.compile(r"[a-zA-Z_][a-zA-Z_0-9]*")
_QUOTED = re.compile(r"`((?:[^`\\]|\\.)+)`", re.DOTALL)
LONGEST_ID = 1500
LONGEST_NAME = 6 * 1024


def invalid(message: str) -> Refused:
    return Refused(Code.INVALID_ARGUMENT, message)


def check_database(database: str) -> str:
    if not _DATABASE.match(database):
        raise invalid(f'Invalid database name "{database}": projects/PROJECT/databases/DATABASE is needed.')
    return database


@lru_cache(maxsize=16384)
def check_document(name: str) -> str:
    """Return the database of a document name, or refuse a name that the service refuses."""
    parts = name.split("/")
    if len(parts) < 7 or parts[4] != "documents" or len(parts) % 2 == 0:
        raise invalid(f'Document name "{name}" lacks "/" at index {len(name)}.')
    database = check_database("/".join(parts[:4]))
    for part in parts[5:]:
        if part in ("", ".", ".."):
            raise invalid(f'Document name "{name}" contains a resource id "{part}", which is not allowed.')
        if _RESERVED.match(part) and not _NUMERIC_ID.match(part):
            raise invalid(f'Resource id "{part}" is invalid because it is reserved.')
        if len(part.encode()) > LONGEST_ID:
            raise invalid(f"The key path element name is longer than {LONGEST_ID} bytes.")
    if len(name.encode()) > LONGEST_NAME:
        raise invalid(f"The document name is longer than {LONGEST_NAME} bytes.")
    return database


def check_parent(parent: str) -> str:
    """Return the database of `…/documents` or of a document name."""
    database, found, rest = parent.partition("/documents")
    if not found or (rest and rest.count("/") % 2):
        raise invalid(f'Parent "{parent}" is neither a database\'s documents nor a document.')
    return check_database(database)


def collection_of(name: str) -> str:
    return name.rpartition("/")[0]


@lru_cache(maxsize=8192)
def field_path(text: str) -> tuple[str, ...]:
    """Split a field path into its names; quoted names lose their backticks and escapes."""
    names: list[str] = []
    position = 0
    while True:
        match = _PLAIN.match(text, position) or _QUOTED.match(text, position)
        if match is None:
            break
        quoted = match.re is _QUOTED
        names.append(re.sub(r"\\(.)", r"\1", match.group(1)) if quoted else match.group())
        position = match.end()
        if position == len(text):
            return tuple(names)
        if text[position] != ".":
            break
        position += 1
    raise invalid(
        f'Invalid property path "{text}". Unquoted property paths must match regex '
        r"([a-zA-Z_][a-zA-Z_0-9]*), and quoted property paths must match regex (`(?:[^`\\]|(?:\\.))+`)"
    )


def check_field_name(name: str) -> None:
    if not name:
        raise invalid("field name is empty")
    if _RESERVED.match(name):
        raise invalid(f"field name {name} is reserved")
    if len(name.encode()) > LONGEST_ID:
        raise invalid(f"The property.name is longer than {LONGEST_ID} bytes.")
