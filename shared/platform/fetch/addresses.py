"""Which IP addresses are the public internet's, and which lead to us, to the cloud or to nobody.

IPv4 is open except for what IANA's special-purpose registry and common sense take out. IPv6 is closed
except for global unicast, and of that without the ranges that wrap another address (6to4, Teredo): a
wrapped address is refused whatever it wraps, since who unwraps it on the way is not known. So are
IPv4-mapped, IPv4-compatible and NAT64 addresses, which lie outside global unicast.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_CLOSED_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network; 0.0.0.0 is this machine
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's platform channel, public by number alone
        "169.254.0.0/16",  # link-local; 169.254.169.254 is the metadata server
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_OPEN_V6 = IPv6Network("2000::/3")
_CLOSED_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
_ISATAP = (0x00005EFE, 0x02005EFE)
"""The middle of an interface id that wraps an IPv4 address (RFC 5214)."""


def is_public(text: str, *, loopback: bool = False) -> bool:
    """Whether an address may be dialled; with `loopback` this machine's own may be, too."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv4Address):
        return (loopback and address.is_loopback) or not any(address in closed for closed in _CLOSED_V4)
    if address.scope_id is not None:
        return False
    return (loopback and address == IPv6Address("::1")) or _is_open_v6(address)


def _is_open_v6(address: IPv6Address) -> bool:
    if address not in _OPEN_V6 or any(address in closed for closed in _CLOSED_V6):
        return False
    return int(address) >> 32 & 0xFFFFFFFF not in _ISATAP
