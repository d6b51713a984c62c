"""GET /v1/dashboards/{slug}/yaml: the document as it is kept."""

from shared.dashboards import service
from shared.dashboards.views import InTeam
from shared.platform.edge import Call, Reply, http


@http("GET", "/v1/dashboards/{slug}/yaml", role="member", query=InTeam, team=service.by_slug)
def get_yaml(call: Call) -> Reply:
    text, generation = service.text_of(call.team, call.path["slug"])
    return Reply(
        text, media_type="text/yaml", etag=f'"{generation}"', headers={"Cache-Control": "private, no-cache"}
    )
