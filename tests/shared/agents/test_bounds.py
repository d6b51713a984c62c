"""A model is somebody else's program: what it says at once is bounded, and it is told so."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from shared.agents.declared import ProviderError
from shared.agents.loop import model_call
from shared.agents.loop.model_call import Answer, Watch
from shared.agents.loop.toolbox import Outcome, Toolbox
from shared.agents.protocol import bounds, untrusted
from shared.agents.protocol.model import (
    ProviderEvent,
    Request,
    Stop,
    TextDelta,
    ToolCallReady,
    ToolContext,
    ToolUse,
    Usage,
)
from shared.agents.providers import anthropic
from shared.platform.ids import TeamId, UserId
from tests.shared.agents.playing import Echo, Save, Scripted, calls

ASKED = Request("m", (), (), ())


def answer(scene: list[Any]) -> Answer:
    """What one call of a provider that plays this scene gives."""
    return model_call.call(Scripted(scene), ASKED, Watch(lambda: None, 20, 20), lambda _text: None)


def place(call: ToolUse) -> ToolContext:
    return ToolContext(TeamId("t"), UserId("u"), "s", "n", call.id, None, lambda: 60.0)


def called(arguments: Any) -> tuple[Outcome, Echo]:
    """What a tool's call gives, and the tool."""
    tool = Echo()
    call = ToolUse("c", "echo", arguments)
    return Toolbox([tool]).call(call, place(call)), tool


def nested(depth: int) -> Any:
    value: Any = "end"
    for _ in range(depth):
        value = [value]
    return value


def test_calls_beyond_the_most_of_a_reply_are_answered_and_not_run() -> None:
    """Each has its result, so the conversation stays sound, and the model can call again."""
    tool = Echo()
    wanted = [ToolUse(f"c{n}", "echo", {"word": str(n)}) for n in range(bounds.MAX_CALLS + 30)]
    outcomes = list(Toolbox([tool]).run(wanted, place))
    assert [outcome.call.id for outcome in outcomes] == [call.id for call in wanted]
    assert sorted(tool.runs, key=int) == [str(n) for n in range(bounds.MAX_CALLS)]
    assert {outcome.content["error"]["code"] for outcome in outcomes[bounds.MAX_CALLS :]} == {
        "TOO_MANY_CALLS"
    }
    assert all(outcome.is_error for outcome in outcomes[bounds.MAX_CALLS :])


def test_four_hundred_calls_are_not_even_kept() -> None:
    """So many results would fill the conversation; the rest is counted, for the user to be told."""
    scene = calls(*[(f"c{n}", "echo", {"word": "x"}) for n in range(400)])
    got = answer(list(scene))
    assert got.error is None
    assert len(got.calls) == bounds.MAX_KEPT_CALLS
    assert got.dropped_calls == 400 - bounds.MAX_KEPT_CALLS


def test_a_write_behind_the_most_is_not_run_either() -> None:
    """Reads run together and writes alone; the bound is over all of them."""
    save = Save()
    wanted = [ToolUse(f"c{n}", "echo", {"word": "x"}) for n in range(bounds.MAX_CALLS)]
    list(Toolbox([Echo(), save]).run([*wanted, ToolUse("s", "save", {"word": "x"})], place))
    assert save.runs == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"word": nested(900)}, "nested deeper"),
        ({"word": "x" * 10_000_000}, "characters"),
        ({"word": list(range(100_000))}, "values"),
        ({f"k{n}": n for n in range(100_000)}, "values"),
        ({"k" * 500_000: 1}, "characters"),
    ],
    ids=["depth", "text", "list", "members", "name"],
)
def test_arguments_that_are_too_large_are_refused_with_the_reason(arguments: Any, said: str) -> None:
    """By the box itself, and where a provider hands them on: nothing of them is kept."""
    outcome, tool = called(arguments)
    assert outcome.is_error
    assert outcome.content["error"]["code"] == "ARGUMENTS_TOO_LARGE"
    assert said in outcome.content["error"]["message"]
    got = answer([ToolCallReady("c", "echo", arguments), Usage(), Stop("tool_use")])
    assert got.error is None
    (kept,) = got.calls
    assert len(json.dumps(kept.arguments)) < 200
    again, _ = called(kept.arguments)
    assert again.content == outcome.content
    assert tool.runs == []


def test_a_whole_document_fits_into_arguments() -> None:
    """The largest one that may be saved, with an escape for each of its lines."""
    text = "# a comment\n" * (256 * 1024 // 12)
    assert bounds.excess({"yaml_content": text}) is None


def test_what_is_wrong_with_arguments_is_told_in_part_and_counted() -> None:
    """Twelve thousand unknown members are no reason for twelve thousand lines."""
    outcome, _ = called({f"k{n}": n for n in range(5_000)} | {"word": "a"})
    problems = outcome.content["error"]["details"]["errors"]
    assert outcome.content["error"]["code"] == "INVALID_ARGUMENTS"
    assert len(problems) == 21
    assert problems[-1]["message"] == "and 4,980 more problems"


@pytest.mark.parametrize(
    "scene",
    [
        [TextDelta("word " * 1_000) for _ in range(1_000)],
        [TextDelta("x") for _ in range(bounds.MAX_EVENTS + 10)],
        [ToolCallReady(f"c{n}", "echo", {"word": "x" * 100_000}) for n in range(40)],
    ],
    ids=["prose", "pieces", "arguments"],
)
def test_a_reply_without_end_is_cut(scene: list[Any]) -> None:
    """The call fails with a reason, and what was said before stays."""
    got = answer([*scene, Usage(), Stop("end_turn")])
    assert isinstance(got.error, ProviderError)
    assert "longer than one may be" in got.error.message
    assert got.blocks
    assert len(got.text) + sum(bounds.size(call.arguments) for call in got.calls) <= 2 * bounds.MAX_REPLY


def test_prose_in_many_pieces_is_one_block() -> None:
    """Whatever stands between two calls is one text, in its order."""
    scene = [
        *[TextDelta(f"{n} ") for n in range(3)],
        ToolCallReady("c", "echo", {"word": "x"}),
        TextDelta("after"),
    ]
    got = answer([*scene, Usage(), Stop("tool_use")])
    assert [getattr(block, "text", "call") for block in got.blocks] == ["0 1 2 ", "call", "after"]


def test_a_provider_that_is_faster_than_its_listener_waits() -> None:
    """What nobody has taken yet is bounded, and a provider that nobody listens to ends."""
    made: list[int] = []
    gone = threading.Event()

    class Endless(Scripted):
        def stream(self, request: Request) -> Iterator[ProviderEvent]:
            try:
                while not request.stopped():
                    made.append(1)
                    yield TextDelta("x")
            finally:
                gone.set()

    def stop_after_a_while() -> None:
        if len(made) > 500:
            raise ProviderError("enough")

    got = model_call.call(Endless(), ASKED, Watch(stop_after_a_while, 20, 20), lambda _text: None)
    assert isinstance(got.error, ProviderError)
    assert gone.wait(120)
    assert len(made) < 5_000


def test_a_long_result_is_cut_before_secrets_are_looked_for() -> None:
    """Thirty thousand beginnings of tokens; what is left says that it was cut, and holds no half secret."""
    secret = "eyJ" + "a" * 40 + "." + "b" * 40 + "." + "c" * 40
    long = {"a": "eyJ-" * 31_007, "b": "x " * 3_990 + secret, "c": f"see {secret} here"}

    def said(_context: Any, _word: str) -> Any:
        return long

    call = ToolUse("c", "echo", {"word": "x"})
    outcome = Toolbox([Echo(said)]).call(call, place(call))
    text = json.dumps(outcome.content)
    assert "long texts were shortened" in outcome.content["_cut"]
    assert len(text) <= untrusted.MAX_TOTAL * 1.2
    assert secret[:20] not in text
    assert outcome.content["c"] == "see [token removed] here"


def test_a_result_with_very_many_members_or_levels_is_cut() -> None:
    """Also one that a tool made of what a warehouse answered."""
    for wide in (
        {f"k{n}": "v" for n in range(100_000)},
        {"a": nested(200)},
        {"a": [["x" * 3_000] * 400] * 400},
    ):
        kept, left_out = untrusted.clip(wide)
        assert left_out
        assert len(json.dumps(kept)) < 3 * untrusted.MAX_READ


class _Event:
    """An event of the vendor's SDK."""

    def __init__(self, type: str, **fields: Any) -> None:
        self.type = type
        self.__dict__.update(fields)


def test_arguments_that_stream_in_without_end_are_not_gathered() -> None:
    """Ten megabytes in pieces: the call is kept, its arguments are not."""
    tool = _Event("tool_use", id="c", name="echo")
    piece = _Event("input_json_delta", partial_json='"' + "x" * 10_000)
    usage = _Event("u", input_tokens=1, cache_read_input_tokens=0, cache_creation_input_tokens=0, cache_creation=None, output_tokens=1)  # fmt: skip
    stream = [
        _Event("message_start", message=_Event("m", usage=usage)),
        _Event("content_block_start", content_block=tool),
        *[_Event("content_block_delta", delta=piece)] * 1_000,
        _Event("content_block_stop"),
        _Event("message_delta", delta=_Event("d", stop_reason="tool_use"), usage=usage),
        _Event("message_stop"),
    ]
    (ready,) = [event for event in anthropic._translated(stream) if isinstance(event, ToolCallReady)]
    outcome, _ = called(ready.arguments)
    assert outcome.content["error"]["code"] == "ARGUMENTS_TOO_LARGE"
    assert "400,000 characters" in outcome.content["error"]["message"]
