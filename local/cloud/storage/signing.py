"""V4 signed URLs: the canonical request is rebuilt from what arrived and the RSA signature verified.

Method (cloud.google.com/storage/docs/authentication/canonical-requests):

    GOOG4-RSA-SHA256 \\n date \\n scope \\n sha256(method, path, query, headers, signed header names, payload hash)
"""

import binascii
import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from local.cloud.storage.accounts import public_keys
from local.cloud.storage.errors import ApiError, forbidden
from local.cloud.storage.wire import Request

_SIGNATURE = "X-Goog-Signature"
_ALGORITHM = "GOOG4-RSA-SHA256"
_SCOPE = re.compile(r"(?P<email>[^/]+)/(?P<scope>(?P<day>\d{8})/[^/]+/storage/goog4_request)")
_LONGEST = 604800
_CLOCK_SKEW = timedelta(minutes=15)


def is_signed(request: Request) -> bool:
    """Whether a request claims to be signed, in the V4 or the old V2 form."""
    return bool({_SIGNATURE, "X-Goog-Algorithm", "Signature", "GoogleAccessId"} & request.query.keys())


def verify(request: Request, data: Path) -> str:
    """The e-mail address of the signer, or 403 that says what doesn't hold."""
    query = request.query
    if _SIGNATURE not in query:
        raise _mismatch("X-Goog-Signature is missing; only V4 signed URLs are accepted.")
    if query.get("X-Goog-Algorithm") != _ALGORITHM:
        raise _mismatch(f"X-Goog-Algorithm must be {_ALGORITHM}.")
    credential = _SCOPE.fullmatch(query.get("X-Goog-Credential", ""))
    if credential is None:
        raise _mismatch("X-Goog-Credential must be EMAIL/DATE/LOCATION/storage/goog4_request.")
    _check_time(query.get("X-Goog-Date", ""), query.get("X-Goog-Expires", ""), credential["day"])
    key = public_keys(data).get(credential["email"])
    if key is None:
        raise forbidden(f"The service account {credential['email']} is not known here.", "AccessDenied")
    digest = hashlib.sha256(_canonical_request(request).encode()).hexdigest()
    to_sign = "\n".join((_ALGORITHM, query["X-Goog-Date"], credential["scope"], digest))
    try:
        signature = binascii.unhexlify(query[_SIGNATURE])
        key.verify(signature, to_sign.encode(), padding.PKCS1v15(), hashes.SHA256())
    except (binascii.Error, ValueError, InvalidSignature) as error:
        raise _mismatch(
            "The request signature we calculated does not match the signature you provided."
            " Check your Google secret key and signing method."
        ) from error
    return str(credential["email"])


def _check_time(date: str, expires: str, day: str) -> None:
    try:
        signed = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise _mismatch("X-Goog-Date must have the form YYYYMMDDTHHMMSSZ.") from error
    if not date.startswith(day):
        raise _mismatch("X-Goog-Date and the date of X-Goog-Credential differ.")
    if not expires.isdecimal() or not 0 < int(expires) <= _LONGEST:
        raise _mismatch(f"X-Goog-Expires must be 1 to {_LONGEST} seconds.")
    moment = datetime.now(UTC)
    if moment < signed - _CLOCK_SKEW:
        raise forbidden("The signed URL is not valid yet.", "AccessDenied")
    if moment >= (end := signed + timedelta(seconds=int(expires))):
        raise forbidden(f"Request signature expired at: {end.isoformat()}", "ExpiredToken")


def _canonical_request(request: Request) -> str:
    path = quote(unquote(request.raw_path), safe="/~")
    pairs = sorted(
        f"{quote(name, safe='~')}={quote(value, safe='~')}"
        for name, value in request.query_pairs
        if name != _SIGNATURE
    )
    names = request.query.get("X-Goog-SignedHeaders", "").split(";")
    _check_header_names(request, names)
    lines = [f"{name}:{_header_value(request, name)}" for name in names]
    payload = request.header("x-goog-content-sha256") if "x-goog-content-sha256" in names else None
    return "\n".join(
        (request.method, path, "&".join(pairs), *lines, "", ";".join(names), payload or "UNSIGNED-PAYLOAD")
    )


def _check_header_names(request: Request, names: list[str]) -> None:
    if "host" not in names:
        raise _mismatch("The host header must be signed.")
    if names != sorted(name.lower() for name in names):
        raise _mismatch("X-Goog-SignedHeaders must be lower case and in order.")
    for name in request.headers:
        lower = name.lower()
        if lower.startswith("x-goog-") and lower not in names:
            raise _mismatch(f"The header {lower} was sent but not signed.")


def _header_value(request: Request, name: str) -> str:
    values = request.headers.get_all(name)
    if values is None:
        raise _mismatch(f"The header {name} was signed but not sent.")
    return ",".join(" ".join(str(value).split()) for value in values)


def _mismatch(message: str) -> ApiError:
    return forbidden(message, "SignatureDoesNotMatch")
