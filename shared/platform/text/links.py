"""One judge of addresses that people and models write: where a link may lead, and what loads something by itself.

    /dash/sales                  inside: a path of this console
    https://example.com/page     outside: another site, over TLS, without a name before its host
    //evil.example, /\\evil.example, https://bridge@evil.example, javascript:…, a tab in a scheme    nowhere

A browser drops tabs and line breaks, takes a backslash for a slash, and takes what follows two slashes for a host
(https://url.spec.whatwg.org). So an address with any of them is no address here. The console has the same judge
in `console/js/links.js`: the same patterns, and a test holds both to the same examples.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

Place = Literal["inside", "outside"]

# Controls, spaces of every kind, marks without width or that turn the text, half surrogate pairs, and the
# characters that no address holds as they are (RFC 3986, 2).
NEVER = (
    r"[\u0000-\u0020\u007f-\u00a0\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
    r'\ud800-\udfff\\"<>^`{|}]'
)
INSIDE = r"^\/(?!\/)"
OUTSIDE = r"^https:\/\/[^\/?#@:\[\]%]+(?::[0-9]{1,5})?(?:[\/?#]|$)"
LINK = r"\[([^\[\]]{1,300})\]\(([^) \n]{1,2000})\)"
_NEVER = re.compile(NEVER)
_INSIDE = re.compile(INSIDE)
_OUTSIDE = re.compile(OUTSIDE)
_LINK = re.compile(LINK)

# A style names a picture by one of these functions in any case, and any character of a name may be written as a
# backslash with its number (https://www.w3.org/TR/css-syntax-3, 4.3.7).
_LOADS = re.compile(r"(?<![A-Za-z0-9_-])(?:-[a-z]+-)?(?:url|src|image|image-set|cross-fade)\(", re.IGNORECASE)
_CODE = re.compile(r"\\(?:([0-9a-f]{1,6})\s?|(.))", re.IGNORECASE | re.DOTALL)
_CARRIES = re.compile(r"data:(?:(?:text|image|application|audio|video|font|model)/|[;,])", re.IGNORECASE)
_DROPPED = re.compile(r"[\x00-\x20\x7f]")


def place(address: str) -> Place | None:
    """Where a link with this address leads; None for one that must not be a link."""
    if _NEVER.search(address):
        return None
    return "inside" if _INSIDE.match(address) else "outside" if _OUTSIDE.match(address) else None


def refused(markdown: str) -> Iterator[str]:
    """The addresses of the text's links that are shown as text, because they may not be links."""
    for _, address in _LINK.findall(markdown):
        if place(address) is None:
            yield address


def loads(text: str) -> bool:
    """Whether a browser loads something for this text where a style or a picture is expected."""
    return bool(_LOADS.search(_CODE.sub(_character, text)) or _CARRIES.match(_DROPPED.sub("", text)))


def _character(match: re.Match[str]) -> str:
    if match[1] is None:
        return match[2]
    code = int(match[1], 16)
    return chr(code) if code <= 0x10FFFF else "\ufffd"
