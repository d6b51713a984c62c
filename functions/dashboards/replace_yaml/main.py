"""PUT /v1/dashboards/{slug}/yaml: keep a new version of a dashboard."""

from shared.dashboards import service
from shared.dashboards.views import InTeam, Replacement, SavedVersion
from shared.platform.edge import Call, http


@http(
    "PUT",
    "/v1/dashboards/{slug}/yaml",
    role="member",
    query=InTeam,
    body=Replacement,
    team=service.by_slug,
    once=True,
    timeout=120,
    memory_mb=512,
)
def replace_yaml(call: Call, new: Replacement) -> SavedVersion:
    return service.replace(
        call.team,
        call.path["slug"],
        new.yaml_content,
        expected=service.expected_generation(call.headers.get("If-Match"), new.expected_generation),
        author=call.user,
        admin=call.role == "admin",
        id=call.new_id(),
    )
