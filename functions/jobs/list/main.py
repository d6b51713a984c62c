"""GET /v1/jobs: a team's background work, newest first."""

from shared.platform.background import jobs
from shared.platform.background.jobs import JobPage, Jobs
from shared.platform.edge import Call, http


@http("GET", "/v1/jobs", role="member", query=JobPage)
def list(call: Call, page: JobPage) -> Jobs:
    return jobs.list_page(call.team, page)
