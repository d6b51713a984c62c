"""Conversations that a provider accepts, whatever happened to them."""

import random
from typing import Any

import pytest

from shared.agents.protocol import history
from shared.agents.protocol.model import Message, Text, ToolResult, ToolUse


def user(*texts: str) -> Message:
    return Message("user", tuple(Text(text) for text in texts))


def assistant(*blocks: Any) -> Message:
    return Message("assistant", tuple(Text(block) if isinstance(block, str) else block for block in blocks))


def call(id: str) -> ToolUse:
    return ToolUse(id, "t", {})


def result(id: str) -> ToolResult:
    return ToolResult(id, {"ok": True})


def valid(messages: tuple[Message, ...]) -> None:
    """What the vendor requires."""
    open_calls: list[str] = []
    for index, message in enumerate(messages):
        assert message.role == ("user" if index % 2 == 0 else "assistant")
        assert message.blocks
        results = [block.tool_use_id for block in message.blocks if isinstance(block, ToolResult)]
        assert sorted(results) == sorted(open_calls)
        open_calls = [block.id for block in message.blocks if isinstance(block, ToolUse)]
        assert all(block.text.strip() for block in message.blocks if isinstance(block, Text))
    assert not open_calls


def test_a_sound_conversation_stays_as_it_is() -> None:
    """Nothing is touched that a provider would accept."""
    sound = (user("a"), assistant("b", call("1")), Message("user", (result("1"),)), assistant("c"), user("d"))
    assert history.repaired(sound) == sound


def test_an_orphan_call_gets_a_result_that_says_so() -> None:
    """A turn that died between a call and its result does not kill the conversation."""
    repaired = history.repaired([user("a"), assistant(call("1"), call("2")), user("next")])
    valid(repaired)
    results = [block for block in repaired[2].blocks if isinstance(block, ToolResult)]
    assert [block.tool_use_id for block in results] == ["1", "2"]
    assert all(block.is_error and block.content["error"]["code"] == "INTERRUPTED" for block in results)
    assert repaired[2].blocks[-1] == Text("next")


def test_a_result_without_its_call_is_left_out() -> None:
    """As after a cut that fell between the two."""
    repaired = history.repaired([Message("user", (result("x"),)), user("a"), assistant("b"), user("c")])
    valid(repaired)
    assert repaired == (user("a"), assistant("b"), user("c"))


def test_any_ruin_of_a_conversation_becomes_valid() -> None:
    """A thousand conversations with messages dropped, doubled and shuffled: all acceptable afterwards."""
    dice = random.Random(7)
    for _ in range(1000):
        messages: list[Message] = []
        for number in range(dice.randint(1, 12)):
            id = str(number)
            messages += [
                user(f"q{number}"),
                assistant("", call(id)),
                Message("user", (result(id),)),
                assistant("a"),
            ]
        messages = [message for message in messages for _ in range(dice.choice([0, 1, 1, 1, 2]))]
        if dice.random() < 0.3:
            dice.shuffle(messages)
        valid_or_empty = history.repaired([*messages, user("end")])
        valid(valid_or_empty)
        assert valid_or_empty[-1].blocks[-1] == Text("end")


def lines(turns: list[int]) -> list[dict[str, Any]]:
    """Log lines of turns with these numbers of messages."""
    return [
        {"role": "user" if at == 0 else "assistant", "turn_id": str(turn), "n": at}
        for turn, size in enumerate(turns)
        for at in range(size)
    ]


@pytest.mark.parametrize("size", [1, 2, 5, 7, 30])
@pytest.mark.parametrize("count", [1, 3, 10, 40])
def test_a_window_begins_where_a_turn_begins(size: int, count: int) -> None:
    """With the newest turn whole, at least the last twenty messages, and never a cut pair."""
    every = lines([size] * count)
    known = every[-history.LOADED :]
    window = history.window(known, len(every))
    assert window == known[len(known) - len(window) :]
    assert not window or window[0]["role"] == "user"
    assert len(window) >= min(history.WINDOW, len(every) if size < history.WINDOW else size)
    assert len(window) < 2 * history.WINDOW + 2 * size


def test_the_beginning_of_the_window_moves_in_steps() -> None:
    """Over sixty turns the beginning changes only every ten or so: a prompt cache can hit in between."""
    begins = set()
    every = lines([2] * 60)
    for count in range(2, len(every) + 1, 2):
        known = every[:count][-history.LOADED :]
        begins.add(history.window(known, count)[0]["turn_id"])
    assert len(begins) <= 7


@pytest.mark.parametrize("size", [1, 2, 5, 18, 30])
@pytest.mark.parametrize("count", [1, 2, 3, 10, 40])
def test_what_reaches_is_all_that_the_window_needs(size: int, count: int) -> None:
    """Stopping there gives the same window as reading on."""
    every = lines([size] * count)
    whole = history.window(every[-history.LOADED :], len(every))
    for known in range(1, min(len(every), history.LOADED) + 1):
        some = every[-known:]
        if history.reaches(some[::-1], len(every)):
            assert history.window(some, len(every)) == whole
            break
