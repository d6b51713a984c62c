"""GET /v1/audit: who changed what in a team, newest first."""

from shared.platform import audit
from shared.platform.audit import AuditEntries, AuditFilter
from shared.platform.edge import Call, http


@http("GET", "/v1/audit", role="admin", query=AuditFilter)
def list_audit(call: Call, only: AuditFilter) -> AuditEntries:
    return audit.page(call.team, only)
