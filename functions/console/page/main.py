"""GET /, /chat, /dash/{slug} …: the console's page."""

from shared.console import service
from shared.platform.edge import Call, Reply, http


@http(
    "GET",
    "/",
    "/chat",
    "/chat/{session_id}",
    "/dash/{slug}",
    "/connections",
    "/catalog",
    role="public",
    any_query=True,
    timeout=15,
)
def page(call: Call) -> Reply:
    return service.page(call.headers.get("Accept-Encoding", ""))
