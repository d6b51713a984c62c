"""POST /v1/onboarding/connections/{connection_id}/validate: try the stored credentials."""

from shared.connections import service
from shared.platform.background.jobs import JobAccepted
from shared.platform.edge import Call, accepted, http


@http(
    "POST",
    "/v1/onboarding/connections/{connection_id}/validate",
    "/v1/onboarding/connections/{connection_id}/test",
    role="member",
    team=service.team_of,
    once=True,
    status=202,
)
def validate(call: Call) -> JobAccepted:
    return accepted(
        service.request_validation(call.team, call.path["connection_id"], user=call.user, job=call.new_id())
    )
