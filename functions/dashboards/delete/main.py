"""DELETE /v1/dashboards/{slug}: remove a dashboard and all that was made of it."""

from shared.dashboards import service
from shared.dashboards.views import InTeam
from shared.platform.edge import Call, http


@http(
    "DELETE",
    "/v1/dashboards/{slug}",
    role="member",
    query=InTeam,
    team=service.by_slug_deleted_too,
    status=204,
)
def delete(call: Call) -> None:
    service.delete(call.team, call.path["slug"], user=call.user, admin=call.role == "admin")
