"""POST /v1/dashboards/validate: everything that is wrong with a document, and what its queries would scan."""

from shared.dashboards import service
from shared.dashboards.views import Candidate, Report
from shared.platform.edge import Call, http


@http("POST", "/v1/dashboards/validate", role="member", body=Candidate, timeout=120, memory_mb=512)
def validate(call: Call, candidate: Candidate) -> Report:
    return service.validate(call.team, candidate.yaml_content)
