"""GET /v1/health: whether this instance can serve and reach the directory."""

from pydantic import BaseModel

from shared.platform.edge import Call, http
from shared.platform.edge import health as checks


class Health(BaseModel):
    """What a load balancer and a person look at."""

    status: str
    directory: str
    version: str


@http("GET", "/v1/health", role="public", timeout=10)
def health(call: Call) -> Health:
    call.remaining()
    return Health(status="ok", directory=checks.directory(), version=checks.VERSION)
