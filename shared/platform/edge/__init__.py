"""The edge of every function: what a door imports.

The one package with re-exports: every function needs nearly all of it, and a door reads better for it.
"""

from shared.platform.edge.call import Call, Reply, accepted, created, no_content
from shared.platform.edge.http import http
from shared.platform.edge.intake import TeamOf
from shared.platform.edge.sse import Event, sse
from shared.platform.edge.steps import Finalized, Tick, finalized, scheduled, task

__all__ = [
    "Call",
    "Event",
    "Finalized",
    "Reply",
    "TeamOf",
    "Tick",
    "accepted",
    "created",
    "finalized",
    "http",
    "no_content",
    "scheduled",
    "sse",
    "task",
]
