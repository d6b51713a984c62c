"""POST /v1/ops/dead-letters/{letter_id}/replay: try a dead step again, once for each letter."""

from shared.platform.edge import Call, http
from shared.platform.ops import letters
from shared.platform.ops.letters import DeadLetter


@http("POST", "/v1/ops/dead-letters/{letter_id}/replay", role="platform_admin")
def replay_dead_letter(call: Call) -> DeadLetter:
    return letters.replay(call.path["letter_id"], user=call.user)
