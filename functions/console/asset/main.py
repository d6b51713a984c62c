"""GET /assets/{name}: a script, a style sheet or a picture of the console."""

from shared.console import service
from shared.platform.edge import Call, Reply, http


@http("GET", "/assets/{name:path}", role="public", timeout=15)
def asset(call: Call) -> Reply:
    return service.asset(call.path["name"], call.headers.get("Accept-Encoding", ""))
