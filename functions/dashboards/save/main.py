"""POST /v1/dashboards: keep a dashboard, or a new version of one."""

from shared.dashboards import service
from shared.dashboards.views import Draft, SavedVersion
from shared.platform.edge import Call, created, http


@http(
    "POST",
    "/v1/dashboards",
    role="member",
    body=Draft,
    once=True,
    status=201,
    timeout=120,
    memory_mb=512,
)
def save(call: Call, draft: Draft) -> SavedVersion:
    saved = service.save(call.team, draft, author=call.user, id=call.new_id(), admin=call.role == "admin")
    return created(saved)
