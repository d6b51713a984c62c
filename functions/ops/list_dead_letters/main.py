"""GET /v1/ops/dead-letters: steps that were given up, newest first."""

from shared.platform.edge import Call, http
from shared.platform.ops import letters
from shared.platform.ops.letters import DeadLetters, LetterPage


@http("GET", "/v1/ops/dead-letters", role="platform_admin", query=LetterPage)
def list_dead_letters(_call: Call, page: LetterPage) -> DeadLetters:
    return letters.list_page(page)
