"""By which names the laptop's own pages are addressed: those of this machine, and those in BRIDGE_HOSTS.

A page of a stranger can have its own name lead to this machine (DNS rebinding). Its requests reach the
gateway and say that name in `Host`: they must not read traces or stir the queues. Functions look by
themselves.
"""

import ipaddress
import os
import re

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(?::[0-9]{1,5})?\Z")


def is_served(host: str) -> bool:
    """Whether a request with this Host header may see `/_local`."""
    given = _HOST.match(host)
    if given is None:
        return False
    name = given[1].lower().removesuffix(".").strip("[]")
    if name.endswith(".localhost") or not (set(name) & {".", ":"} or name.isdigit()):
        return True
    if name in {one.strip().lower() for one in os.environ.get("BRIDGE_HOSTS", "").split(",")}:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
