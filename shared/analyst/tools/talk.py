"""Tools that end a turn without a dashboard: one clear question, or an honest refusal."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field

from shared.agents.protocol.model import Effect, ToolContext, ToolFailed
from shared.analyst.tools import consent
from shared.analyst.tools.catalog import Arguments


class Question(Arguments):
    """The question and what could be answered."""

    question: str = Field(min_length=1, max_length=600, description="One question.")
    options: list[str] = Field(default_factory=list, max_length=8, description="Answers to choose from.")


class AskUser:
    """Ask the person the one thing that is missing."""

    name: ClassVar[str] = "ask_user"
    description: ClassVar[str] = (
        "Ask the person one clarifying question with options, then end the turn: the answer is the next message."
    )
    arguments: ClassVar[type[BaseModel]] = Question
    effects: ClassVar[tuple[Effect, ...]] = ("read",)
    cache_ttl: ClassVar[int | None] = None

    def run(self, context: ToolContext, arguments: Question) -> dict[str, Any]:
        if consent.question_is_open(context):
            # A yes to this one would be taken for a yes to that one.
            raise ToolFailed(
                "The person is being asked already whether a dashboard may be replaced. End the turn; ask "
                "this in the next.",
                code="QUESTION_OPEN",
            )
        asked = {"question": arguments.question, "options": list(arguments.options)}
        context.emit("question", asked)
        return asked | {
            "status": "asked",
            "next_step": "End the turn; the person answers with the next message.",
        }


class Refusal(Arguments):
    """Why there will be no dashboard."""

    reason: Literal["ambiguous", "unanswerable", "denied", "over_budget"] = Field(
        description="The kind of reason."
    )
    message: str = Field(
        min_length=1, max_length=2_000, description="The reason for the person, with what there is instead."
    )
    available: list[str] = Field(default_factory=list, max_length=12, description="What the data does hold.")


class Decline:
    """Say that the goal can't be met, and why."""

    name: ClassVar[str] = "decline"
    description: ClassVar[str] = (
        "Refuse honestly when the data can't answer: say what is missing and what there is."
    )
    arguments: ClassVar[type[BaseModel]] = Refusal
    effects: ClassVar[tuple[Effect, ...]] = ("read",)
    cache_ttl: ClassVar[int | None] = None

    def run(self, context: ToolContext, arguments: Refusal) -> dict[str, Any]:
        context.emit(
            "warning", {"code": f"DECLINED_{arguments.reason.upper()}", "message": arguments.message}
        )
        return {"status": "declined", "reason": arguments.reason}
