"""Bring one dashboard's cached results up to date."""

from shared.dashboards import warming
from shared.dashboards.flow import WarmDashboard
from shared.platform.steps import task


@task(
    WarmDashboard,
    once="{dashboard}/{version}/{occasion}",
    timeout=300,
    gave_up=warming.warming_failed,
)
def warm_dashboard(step: WarmDashboard) -> None:
    warming.warm(step)
