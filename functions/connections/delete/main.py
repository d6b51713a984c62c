"""DELETE /v1/onboarding/connections/{connection_id}: remove a connection and its credentials."""

from shared.connections import service
from shared.platform.edge import Call, http


@http(
    "DELETE",
    "/v1/onboarding/connections/{connection_id}",
    role="admin",
    team=service.team_of_deleted_too,
    status=204,
)
def delete(call: Call) -> None:
    service.delete(call.team, call.path["connection_id"], user=call.user)
