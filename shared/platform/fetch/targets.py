"""A URL that a person gave, read once: what is dialled, named and sent comes from this one reading.

A host has one form here. Numbers in any other than four decimal parts, names that are escaped, user names
in front of an @ and whatever two readers could read differently are refused, not repaired.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote, urljoin, urlsplit

from shared.platform.fetch.errors import AddressNotAllowed

MAX_URL = 2048
DEFAULT_PORTS = {"http": 80, "https": 443}

_UNFIT = re.compile(r"[\x00-\x20\x7f-\xa0\\]")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")
_KEPT_IN_PATH, _KEPT_IN_QUERY = "/%:@!$&'()*+,;=~-._", "/%:@!$&'()*+,;=~-._?"


@dataclass(frozen=True)
class Target:
    """Where one request goes."""

    scheme: str
    host: str
    """A name in ASCII, or an address without brackets."""
    port: int
    path: str
    """What is asked for, with the query string."""

    @property
    def origin(self) -> tuple[str, str, int]:
        """Credentials stay within one of these."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The address in its one form."""
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP address and not a name."""
        return ":" in self.host or bool(_NUMBER.match(self.host.rpartition(".")[2]))


def parse(url: str, *, schemes: Collection[str], ports: Collection[int]) -> Target:
    """The target of a URL; raises AddressNotAllowed with the reason."""
    if len(url) > MAX_URL:
        raise _refused(f"is longer than {MAX_URL} characters")
    if _UNFIT.search(url):
        raise _refused("has a space, a control character or a backslash")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("is not a well-formed address") from None
    if parts.scheme not in schemes:
        raise _refused(f"must begin with {' or '.join(f'{one}://' for one in schemes)}")
    if "@" in parts.netloc:
        raise _refused("must not hold a user name or a password")
    host = _host(parts.netloc)
    port = DEFAULT_PORTS[parts.scheme] if port is None else port
    if port not in ports:
        raise _refused(f"has the port {port}; allowed are {', '.join(map(str, sorted(ports)))}")
    path = quote(parts.path or "/", safe=_KEPT_IN_PATH)
    query = f"?{quote(parts.query, safe=_KEPT_IN_QUERY)}" if parts.query else ""
    return Target(parts.scheme, host, port, path + query)


def follow(target: Target, location: str, *, schemes: Collection[str], ports: Collection[int]) -> Target:
    """Where a redirect leads; raises AddressNotAllowed, also for one that leaves encryption behind."""
    try:
        joined = urljoin(target.url, location)
    except ValueError:
        raise _refused("redirects to something that is not an address") from None
    found = parse(joined, schemes=schemes, ports=ports)
    if target.scheme == "https" and found.scheme != "https":
        raise _refused("redirects from https to http")
    return found


def _host(netloc: str) -> str:
    if netloc.startswith("["):
        inside, _, rest = netloc[1:].partition("]")
        if rest and not rest.startswith(":"):
            raise _refused("is not a well-formed address")
        try:
            address = IPv6Address(inside)
        except ValueError:
            raise _refused("has a host that is not an IPv6 address") from None
        if address.scope_id is not None:
            raise _refused("names a network interface")
        return str(address)
    host = _ascii(netloc.partition(":")[0]).removesuffix(".")
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.match(label) for label in labels):
        raise _refused("has a host that is not a name")
    if _NUMBER.match(labels[-1]):
        # inet_aton reads 127.1, 0x7f.1, 0177.0.0.1 and 2130706433 as the same machine.
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise _refused("has a number for a host; write four decimal parts") from None
    return host


def _ascii(host: str) -> str:
    """The name as DNS and certificates have it. Compatibility characters become what they stand for."""
    if host.isascii():
        return host.lower()
    import idna

    try:
        return idna.encode(host, uts46=True, std3_rules=True).decode()
    except idna.IDNAError:
        raise _refused("has a host that is not a name") from None


def _refused(reason: str) -> AddressNotAllowed:
    return AddressNotAllowed(f"The address {reason}.", field="url", reason=reason)
