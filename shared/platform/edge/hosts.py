"""By which names an endpoint is addressed: those of the configuration, and no other.

    BRIDGE_BASE_URL      the public origin
    BRIDGE_HOSTS         what the platform calls the function itself (`{name}-*.a.run.app`), other domains
    loopback names       on a laptop: localhost, 127.0.0.0/8, [::1]; also names without a dot, which no
                         stranger can own: another machine or container of the person's

A page of a stranger can have its own name lead to this machine's address (DNS rebinding): its requests then
come from within, and say that name in `Host`. Nothing here makes an address from `Host`; this keeps it so
that none can be. Steps are not asked: their callers prove by a token for which function it is.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from urllib.parse import urlsplit

from flask import Request

from shared.platform.errors import BridgeError
from shared.platform.settings import settings
from shared.platform.text import numerals

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(?::[0-9]{1,5})?\Z")


class HostNotServed(BridgeError):
    """Nothing is served under this name."""

    code, status, retryable = "HOST_NOT_SERVED", 421, False


def check(request: Request, function: str) -> None:
    """Raise HostNotServed unless the request is addressed to a name of this function."""
    given = _HOST.match(request.headers.get("Host") or "")
    if given is None:
        raise HostNotServed(field="Host", reason="missing or malformed")
    name = given["name"].lower().removesuffix(".").strip("[]")
    config = settings()
    if _names(config.base_url, config.hosts, function).match(name):
        return
    near = config.is_local or _is_loopback(urlsplit(config.base_url).hostname or "")
    if near and (_is_loopback(name) or _is_of_this_network(name)):
        return
    raise HostNotServed(field="Host", reason="not one of the configured names (BRIDGE_HOSTS)")


@lru_cache(maxsize=64)
def _names(base_url: str, hosts: tuple[str, ...], function: str) -> re.Pattern[str]:
    """The names of the configuration as one pattern; a `*` is a part of one label."""
    names = [urlsplit(base_url).hostname or "", *hosts]
    parts = (
        "[a-z0-9-]+".join(map(re.escape, one.replace("{name}", function).lower().split("*"))) for one in names
    )
    return re.compile(f"(?:{'|'.join(parts)})\\Z")


def _is_loopback(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_of_this_network(name: str) -> bool:
    return "." not in name and ":" not in name and numerals.whole(name) is None
