"""GET /v1/dashboards/{slug}/versions/{number}: the document as it was."""

from shared.dashboards import service
from shared.dashboards.store import Head
from shared.dashboards.views import InTeam
from shared.platform.edge import Call, Reply, http


@http("GET", "/v1/dashboards/{slug}/versions/{number}", role="member", query=InTeam, team=service.by_slug)
def get_version(call: Call[Head]) -> Reply:
    text = service.text_of_version(call.team, call.path["slug"], call.found["id"], call.path["number"])
    return Reply(text, media_type="text/yaml")
