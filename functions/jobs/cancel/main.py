"""POST /v1/jobs/{job_id}/cancel: stop background work; its steps end without effect."""

from shared.platform.background import jobs
from shared.platform.background.jobs import JobView
from shared.platform.edge import Call, http


@http("POST", "/v1/jobs/{job_id}/cancel", role="member", team=jobs.team_of)
def cancel(call: Call) -> JobView:
    return jobs.cancel(call.team, call.path["job_id"], user=call.user)
