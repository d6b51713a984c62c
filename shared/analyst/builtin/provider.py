"""The built-in analyst as a provider: no network, no key, the same tool loop as a model's.

request ─► desk (what was asked and answered) ─► procedure ─► words, then the next calls or the end
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from shared.agents.protocol.model import (
    ProviderEvent,
    Request,
    Stop,
    TextDelta,
    ToolCallReady,
    ToolCallStarted,
    Usage,
)
from shared.analyst.builtin import desk as desks
from shared.analyst.builtin import procedure
from shared.analyst.builtin.desk import Desk, Finished, Waiting
from shared.analyst.builtin.effort import TOO_MUCH, Effort, Stopped, TooMuch

_PIECE = re.compile(r"\S+\s*|\s+")
_WORDS_A_PIECE = 2


class Builtin:
    """A deterministic analyst that plays the part of a model."""

    name = vendor = "builtin"
    remote = False
    supports_prompt_caching = False
    supports_tools = True

    def stream(self, request: Request) -> Iterator[ProviderEvent]:
        """Continue the conversation: a pure function of the request."""
        turn = desks.read(request.messages)
        desk = Desk(turn.answers, Effort(request.stopped))
        calls: tuple[desks.Call, ...] = ()
        try:
            procedure.run(desk, turn, request)
        except Waiting as waiting:
            calls = waiting.calls
        except Finished:
            pass
        except TooMuch:
            desk.say(TOO_MUCH)
        except Stopped:
            return
        yield from _spoken(desk.said)
        for call in calls:
            id = desks.call_id(turn, call)
            yield ToolCallStarted(id, call.tool)
            yield ToolCallReady(id, call.tool, dict(call.arguments))
        yield Usage()
        yield Stop("tool_use" if calls else "end_turn")

    def count_tokens(self, request: Request) -> int:  # noqa: ARG002 - the protocol's signature
        """None are counted: nothing is sent anywhere."""
        return 0


def _spoken(text: str) -> Iterator[TextDelta]:
    """Prose in small pieces, so that a page shows it as it is said."""
    pieces = _PIECE.findall(text)
    for start in range(0, len(pieces), _WORDS_A_PIECE):
        yield TextDelta("".join(pieces[start : start + _WORDS_A_PIECE]))
