"""PUT /v1/onboarding/connections/{connection_id}/credentials: replace the stored credentials."""

from shared.connections import service
from shared.connections.model import Connection, NewCredentials
from shared.platform.edge import Call, http


@http(
    "PUT",
    "/v1/onboarding/connections/{connection_id}/credentials",
    role="admin",
    team=service.team_of,
    body=NewCredentials,
)
def rotate_credentials(call: Call, new: NewCredentials) -> Connection:
    return service.rotate(call.team, call.path["connection_id"], new, user=call.user)
