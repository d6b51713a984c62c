"""The chains of dashboards.

POST /v1/dashboards, PUT …/yaml (or any other writer of the bucket)
the agent's save: POST …/stream, POST …/generate, or chat/resume_turn that goes on with them
  └─ dashboards/{team}/{slug}.yaml
       └─ finalized ──────────► dashboards/index_dashboard   (finds nothing to do after a save)
            └─ WarmDashboard ─► dashboards/warm_dashboard

every 10 minutes ─► dashboards/warm_due
                      └─ WarmDashboard × n ─► dashboards/warm_dashboard

every 15 minutes ─► dashboards/reconcile
                      └─ a document that the directory missed: its event once more, as above

GET …/data that meets a soft-stale result
  └─ WarmDashboard (once a lease) ─► dashboards/warm_dashboard
"""

from __future__ import annotations

from pydantic import Field

from shared.platform.background.messages import Message


class WarmDashboard(Message, step="dashboards-warm-dashboard", queue="dashboards"):
    """Bring a dashboard's results up to date for these filter values."""

    team: str
    dashboard: str
    slug: str
    version: int
    occasion: str
    """What caused it (a save, a due time, a stale read): with the rest, the step's key."""
    filters: dict[str, list[str]] = Field(default_factory=dict)
    computed_before: float = 0.0
    """Results computed before this moment are computed again, however fresh (a schedule says so)."""
