"""What dashboards add to the platform: errors, exports, their queue, their documents and their results."""

from shared.platform.errors import Conflict, Unprocessable
from shared.platform.registry.kinds import Bucket, Collection, Doors, Flag, Queue, counted


class AmbiguousSlug(Conflict):
    """Several of your teams have a dashboard of this name; add ?team_id=."""

    code = "AMBIGUOUS_SLUG"


class DashboardInvalid(Unprocessable):
    """The dashboard document has errors."""

    code = "DASHBOARD_INVALID"


EXPORTS = counted("exports", 200, 5, "Exports made")
FLAGS = (
    Flag("dashboard_sharing", True, "Links that show a dashboard to people outside its team"),
    Flag("dashboard_exports", True, "Exports of a dashboard's data"),
)
WARMING = Queue("dashboards", "Dashboards to index and to warm")
DOCUMENTS = Bucket("dashboards", "Dashboard documents", versioned=True, queue="dashboards")
RESULTS = Collection(
    "results", "Results of queries, as tiles get them", 61 * 86_400
)  # fresh for 30 days, served for 30 more
DOORS = Doors("dashboards", "Dashboard documents, their versions and their data.")
