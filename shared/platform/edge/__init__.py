"""The edge of an endpoint: what its door imports.

This package and `steps` are the ones with re-exports: a door needs nearly all of its kind's, and reads
better for it. An endpoint does not reach what only steps need.
"""

from shared.platform.edge.call import Call, Found, Reply, accepted, created, no_content, with_cookies
from shared.platform.edge.http import http
from shared.platform.edge.intake import TeamOf
from shared.platform.edge.sse import Event, sse

__all__ = [
    "Call",
    "Event",
    "Found",
    "Reply",
    "TeamOf",
    "accepted",
    "created",
    "http",
    "no_content",
    "sse",
    "with_cookies",
]
