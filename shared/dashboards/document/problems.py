"""What is wrong with a document: every problem at once, each with its place and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.platform.text.safe_yaml import Path, Positions


class Problem(BaseModel):
    """One finding. `path` is dotted, with indexes in brackets: layout[2].options.x."""

    model_config = ConfigDict(frozen=True)

    path: str
    line: int | None = None
    column: int | None = None
    message: str
    hint: str | None = None
    code: str | None = None
    severity: Literal["error", "warning"] = "error"


class Problems:
    """Findings as they are collected; places come from the text's positions."""

    def __init__(self, positions: Positions | None = None) -> None:
        self.positions = positions or {}
        self.found: list[Problem] = []

    def error(self, path: Path, message: str, hint: str | None = None, code: str | None = None) -> None:
        """Something that keeps the document from being saved; `code` where it has one of its own."""
        self._add(path, message, hint, "error", code)

    def warning(self, path: Path, message: str, hint: str | None = None) -> None:
        """Something that a person should know."""
        self._add(path, message, hint, "warning")

    @property
    def errors(self) -> list[Problem]:
        """The findings that refuse the document, in the order of the text."""
        return [problem for problem in self.in_order() if problem.severity == "error"]

    @property
    def warnings(self) -> list[Problem]:
        """The findings that don't."""
        return [problem for problem in self.in_order() if problem.severity == "warning"]

    def in_order(self) -> list[Problem]:
        """All, in the order of the text."""
        return sorted(self.found, key=lambda p: (p.line or 0, p.column or 0, p.path))

    def _add(
        self,
        path: Path,
        message: str,
        hint: str | None,
        severity: Literal["error", "warning"],
        code: str | None = None,
    ) -> None:
        place = path
        while place and place not in self.positions:
            place = place[:-1]
        line, column = self.positions.get(place, (None, None))
        self.found.append(
            Problem(
                path=dotted(path),
                line=line,
                column=column,
                message=message,
                hint=hint,
                code=code,
                severity=severity,
            )
        )


def dotted(path: Path) -> str:
    """layout[2].options.x for ("layout", 2, "options", "x")."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint that names the closest known word, or the first few."""
    choices = list(known)
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.55)
    if not close:
        lowered = {choice.lower(): choice for choice in choices}
        close = [
            lowered[match]
            for match in difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.55)
        ]
    if close:
        return f"Did you mean {close[0]}?"
    if not choices:
        return None
    return f"Known here: {', '.join(choices[:12])}{' …' if len(choices) > 12 else ''}."
