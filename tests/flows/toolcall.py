"""One call of an agent's tool, as the worst model would make it: `python -m tests.flows.toolcall`.

It runs in a process of its own with a stack's environment, over the real directory and warehouse. Reads
{"team", "user", "session", "connection", "calls": [[tool, arguments], …]} and writes [[outcome, code], …].
"""

import json
import os
import sys
from typing import Any


def outcome(tool: Any, context: Any, arguments: dict[str, Any]) -> list[str]:
    """What the model would get: an answer, or an error's code."""
    from pydantic import ValidationError

    from shared.agents.protocol.model import ToolFailed
    from shared.platform.errors import BridgeError

    try:
        answer = tool.run(context, tool.arguments.model_validate(arguments))
    except ToolFailed as error:
        return ["refused", error.code]
    except BridgeError as error:
        return ["refused", error.code]
    except ValidationError:
        return ["refused", "INVALID_ARGUMENTS"]
    if isinstance(answer, dict) and answer.get("error"):
        return ["refused", answer["error"]["code"]]
    return ["answered", json.dumps(answer, default=str)]


def main() -> None:
    """Make the calls."""
    from shared.agents.protocol.model import ToolContext
    from shared.analyst.tools import offered

    order = json.load(sys.stdin)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # Log lines go elsewhere.
    known = {tool.name: tool for tool in offered.tools()}
    context = ToolContext(
        team=order["team"],
        user=order["user"],
        session_id=order["session"],
        turn_id=order["session"],
        call_id="call_1",
        connection_id=order["connection"],
        remaining=lambda: 60.0,
    )
    print(json.dumps([outcome(known[name], context, given) for name, given in order["calls"]]), file=answers)


if __name__ == "__main__":
    main()
