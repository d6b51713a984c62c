"""Make the directory say what a dashboard's object says, whoever wrote it."""

from shared.dashboards import indexing
from shared.platform.ids import TeamId
from shared.platform.steps import Finalized, finalized


@finalized("dashboards/{team}/{slug}.yaml", timeout=180, gave_up=indexing.index_failed)
def index_dashboard(event: Finalized) -> None:
    indexing.index(TeamId(event.names["team"]), event.names["slug"])
