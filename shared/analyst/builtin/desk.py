"""What the analyst has asked and been told in this turn: it works by starting over.

Each time the analyst is called it runs its procedure from the top. `ask` hands back what a tool has already
answered; at the first question without an answer it stops there, and the missing calls are what this round asks for.
So the analyst keeps no state: the conversation is its state, and the same conversation always continues the same way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.agents.protocol.model import Message, Text, ToolResult, ToolUse
from shared.analyst.builtin.effort import MOST_CALLS, Effort

CONTEXT_BLOCK = "conversation_context"
"""The system block in which the service tells what the conversation is about: lines of `name: value`."""


@dataclass(frozen=True)
class Call:
    """A question to a tool."""

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The same question, the same key."""
        return json.dumps([self.tool, self.arguments], sort_keys=True, ensure_ascii=False, default=str)


@dataclass(frozen=True)
class Answer:
    """What a tool said."""

    content: Any
    failed: bool = False

    @property
    def error(self) -> str:
        """The message of a failure."""
        problem = self.content.get("error") if isinstance(self.content, dict) else None
        return str(problem.get("message", "") if isinstance(problem, dict) else problem or "")

    @property
    def code(self) -> str:
        """The code of a failure."""
        problem = self.content.get("error") if isinstance(self.content, dict) else None
        return str(problem.get("code", "")) if isinstance(problem, dict) else ""

    def get(self, name: str, default: Any = None) -> Any:
        """A field of the answer."""
        return self.content.get(name, default) if isinstance(self.content, dict) else default


class Waiting(Exception):
    """The procedure can't go on before these calls are answered."""

    def __init__(self, calls: Sequence[Call]) -> None:
        super().__init__(f"{len(calls)} calls")
        self.calls = tuple(calls)


class Finished(Exception):
    """Everything has been said."""


class Desk:
    """The procedure's view of the turn."""

    def __init__(self, answers: Mapping[str, Answer], effort: Effort | None = None) -> None:
        self._answers = answers
        self.effort = effort or Effort()
        self._said: list[str] = []

    @property
    def said(self) -> str:
        """What is new in this round: words before an answered question were said in the round that asked it."""
        return "".join(self._said)

    def say(self, text: str) -> None:
        """Tell the person something."""
        self._said.append(text)

    def ask(self, *calls: Call) -> list[Answer]:
        """The tools' answers, in the order of the calls; raises Waiting while some are missing.

        Many are asked in several rounds.
        """
        missing = list({call.key: call for call in calls if call.key not in self._answers}.values())
        if missing:
            raise Waiting(missing[:MOST_CALLS])
        if calls:
            self._said.clear()
        return [self._answers[call.key] for call in calls]

    def ask_one(self, tool: str, **arguments: Any) -> Answer:
        """The answer to one question."""
        return self.ask(Call(tool, arguments))[0]

    def finish(self, text: str) -> None:
        """Say the last words."""
        self.say(text)
        raise Finished


@dataclass(frozen=True)
class Turn:
    """The current turn as the messages tell it, and what came before it."""

    goal: str
    answers: Mapping[str, Answer]
    before: tuple[Message, ...]
    calls: int
    """How many calls there have been, so that ids stay distinct."""


def read(messages: Sequence[Message]) -> Turn:
    """Find where the turn begins (the last message in which the person speaks) and what was answered since."""
    start = max((index for index, message in enumerate(messages) if _speech(message)), default=0)
    goal = _speech(messages[start]) if messages else ""
    questions: dict[str, Call] = {}
    answers: dict[str, Answer] = {}
    interrupted: dict[str, int] = {}
    for message in messages[start + 1 :]:
        for block in message.blocks:
            if isinstance(block, ToolUse):
                questions[block.id] = Call(block.name, block.arguments)
            elif isinstance(block, ToolResult) and block.tool_use_id in questions:
                key = questions[block.tool_use_id].key
                answer = Answer(block.content, block.is_error)
                if answer.failed and answer.code == "INTERRUPTED":
                    interrupted[key] = interrupted.get(key, 0) + 1
                    if interrupted[key] < 2:
                        # The process died under the call: ask once more.
                        continue
                answers[key] = answer
    return Turn(goal, answers, tuple(messages[:start]), len(questions))


def calls_before(turn: Turn, tool: str) -> list[tuple[Mapping[str, Any], Answer]]:
    """The calls of a tool in earlier turns with their answers, oldest first."""
    asked: dict[str, ToolUse] = {}
    found: list[tuple[Mapping[str, Any], Answer]] = []
    for message in turn.before:
        for block in message.blocks:
            if isinstance(block, ToolUse) and block.name == tool:
                asked[block.id] = block
            elif isinstance(block, ToolResult) and block.tool_use_id in asked:
                found.append((asked[block.tool_use_id].arguments, Answer(block.content, block.is_error)))
    return found


def last_question(turn: Turn) -> tuple[str, Mapping[str, Any]] | None:
    """The goal and the question, where the turn before this one ended in a question to the person."""
    goal, question = "", None
    for message in turn.before:
        if said := _speech(message):
            goal, question = said, None
        for block in message.blocks:
            if isinstance(block, ToolUse) and block.name == "ask_user":
                question = block.arguments
    return (goal, question) if question is not None else None


def call_id(turn: Turn, call: Call) -> str:
    """The id of a call: derived, so that a repetition of the round asks under the same id."""
    text = f"{len(turn.before)}|{turn.goal}|{turn.calls}|{call.key}"
    return "call_" + hashlib.sha256(text.encode()).hexdigest()[:24]


def _speech(message: Message) -> str:
    if message.role != "user":
        return ""
    return "\n".join(block.text for block in message.blocks if isinstance(block, Text)).strip()
