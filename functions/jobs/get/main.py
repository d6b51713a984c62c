"""GET /v1/jobs/{job_id}: state, progress, errors and result of background work."""

from shared.platform.background import jobs
from shared.platform.background.jobs import JobView
from shared.platform.edge import Call, http
from shared.platform.postgres import pool


@http("GET", "/v1/jobs/{job_id}", "/v1/onboarding/jobs/{job_id}", role="user")
def get(call: Call) -> JobView:
    with pool.transaction(call.teams) as tx:
        return jobs.get(tx, call.path["job_id"])
