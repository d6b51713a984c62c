"""POST /v1/onboarding/connections: store credentials for a warehouse."""

from shared.connections import service
from shared.connections.model import Connection, NewConnection
from shared.platform.edge import Call, created, http


@http(
    "POST",
    "/v1/onboarding/connections",
    role="admin",
    body=NewConnection,
    once=True,
    status=201,
)
def create(call: Call, new: NewConnection) -> Connection:
    return created(service.create(new, team=call.team, user=call.user, id=call.new_id()))
