"""What Cloud Storage accepts as bucket and object names (cloud.google.com/storage/docs/objects#naming)."""

import re

from local.cloud.storage.errors import ApiError, invalid

_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9._-]{1,220}[a-z0-9])")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")


def check_bucket_name(name: object) -> str:
    """The name, or 400: 3 to 63 characters (222 with dots, 63 between dots), lower case, not an address."""
    fits = isinstance(name, str) and _BUCKET.fullmatch(name) and all(len(p) <= 63 for p in name.split("."))
    if not fits or _ADDRESS.fullmatch(str(name)) or str(name).startswith("goog") or ".." in str(name):
        raise invalid(f"Invalid bucket name: {str(name)[:80]!r}", location="name")
    return str(name)


def check_object_name(name: object) -> str:
    """The name, or 400: 1 to 1024 bytes of UTF-8, no CR or LF, not `.` or `..`, no ACME challenge path."""
    if not isinstance(name, str) or not name:
        raise ApiError(400, "required", "Required parameter: name", location="name")
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise invalid("The object name is not valid UTF-8.", location="name") from error
    if size > 1024:
        raise invalid(f"The object name is {size} bytes; at most 1024 are allowed.", location="name")
    if "\r" in name or "\n" in name:
        raise invalid("The object name contains a carriage return or a line feed.", location="name")
    if name in (".", "..") or name.startswith(".well-known/acme-challenge/"):
        raise invalid(f"The object name {name!r} is reserved.", location="name")
    return name
