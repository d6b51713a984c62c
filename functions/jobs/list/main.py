"""GET /v1/jobs: a team's background work, newest first."""

from shared.platform import jobs
from shared.platform.edge import Call, http
from shared.platform.jobs import JobPage, Jobs


@http("GET", "/v1/jobs", role="member", query=JobPage)
def list(call: Call, page: JobPage) -> Jobs:
    return jobs.list_page(call.team, page)
