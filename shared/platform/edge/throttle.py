"""Which rate limit a request counts against, and for whom: a user and their team, or an address."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import cast

from werkzeug.wrappers import Request

from shared.platform.edge.auth import Principal
from shared.platform.edge.declare import Declaration
from shared.platform.ids import TeamId
from shared.platform.limits import rates, team_rates
from shared.platform.limits.rates import Standing
from shared.platform.registry.gathered import RATES
from shared.platform.settings import settings

STANDING = "bridge.rate"
"""Where the request keeps what its answer's RateLimit headers say."""


def caller(request: Request, declaration: Declaration, principal: Principal | None) -> None:
    """Count the request for its user, or for its address where nobody is known. Raises RateLimited."""
    route_class = declaration.route_class
    if principal is None or route_class in ("login", "public"):
        name = "rate_login" if route_class == "login" else "rate_public"
        standing = rates.spend(name, "address:" + address_key(request))
    else:
        standing = rates.spend(f"rate_{route_class}", f"user:{principal.user_id}")
    request.environ[STANDING] = standing


def team(request: Request, declaration: Declaration, id: TeamId) -> None:
    """Count the request for its team too, against the team's own limit where it has one. Raises RateLimited."""
    name = f"rate_team_{declaration.route_class}"
    if name in RATES:
        standing = rates.spend(name, f"team:{id}", most=team_rates.own(id, name))
        if standing.remaining < standing_of(request).remaining:
            request.environ[STANDING] = standing


def headers(request: Request) -> dict[str, str]:
    """The RateLimit headers of an answer; none where nothing was counted."""
    return standing_of(request).headers() if STANDING in request.environ else {}


def standing_of(request: Request) -> Standing:
    """What was counted for the request."""
    return cast(Standing, request.environ[STANDING])


def address_key(request: Request) -> str:
    """The client's network, hashed. Entries of X-Forwarded-For that no proxy of ours wrote are the client's word."""
    hops = settings().proxy_hops
    chain = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    text = chain[-hops] if 0 < hops <= len(chain) else request.remote_addr or ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        network = "unknown"
    else:
        # Who has one IPv6 address has 2 ** 64 of them.
        network = str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else text
    return hashlib.sha256(network.encode()).hexdigest()[:32]
