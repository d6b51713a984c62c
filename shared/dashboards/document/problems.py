"""What is wrong with a document: its problems at once, each with its place and what to do.

A document can have more problems than anybody reads, and each costs a look for the nearest known word. So the
first hundred errors and the first hundred warnings are told, and how many more there are.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.platform.text.safe_yaml import Path, Positions

MOST = 100
MOST_MESSAGE, MOST_HINT, MOST_WORD = 600, 400, 120
"""Characters of a message, of a hint, and of a word that is shown in one."""
MOST_COMPARED = 60
"""Characters of a word by which it is compared with others: that takes time by the square of them."""
LEFT_OUT = "MORE_PROBLEMS"
"""The code of the last problem of a list that was cut."""
MOST_CHOICES = 500
"""Known words among which the nearest is looked for."""
Severity = Literal["error", "warning"]
Hint = str | Callable[[], str | None] | None
"""What to do; one that is looked for is looked for only where it will be told."""


class Problem(BaseModel):
    """One finding. `path` is dotted, with indexes in brackets: layout[2].options.x."""

    model_config = ConfigDict(frozen=True)

    path: str
    line: int | None = None
    column: int | None = None
    message: str
    hint: str | None = None
    code: str | None = None
    severity: Severity = "error"


class Problems:
    """Findings as they are collected; places come from the text's positions."""

    def __init__(self, positions: Positions | None = None) -> None:
        self.positions = positions or {}
        self.found: list[Problem] = []
        self._told: Counter[Severity] = Counter()
        self._left_out: Counter[Severity] = Counter()

    def error(self, path: Path, message: str, hint: Hint = None, code: str | None = None) -> None:
        """Something that keeps the document from being saved; `code` where it has one of its own."""
        self._add(path, message, hint, "error", code)

    def warning(self, path: Path, message: str, hint: Hint = None) -> None:
        """Something that a person should know."""
        self._add(path, message, hint, "warning")

    def full(self, severity: Severity = "error") -> bool:
        """Whether a further one is only counted."""
        return self._told[severity] >= MOST

    def count(self, more: int, severity: Severity = "error") -> None:
        """So many more, of which nothing else is told."""
        self._left_out[severity] += more

    @property
    def errors(self) -> list[Problem]:
        """The findings that refuse the document, in the order of the text."""
        return [problem for problem in self.in_order() if problem.severity == "error"]

    @property
    def warnings(self) -> list[Problem]:
        """The findings that don't."""
        return [problem for problem in self.in_order() if problem.severity == "warning"]

    def in_order(self) -> list[Problem]:
        """All, in the order of the text; behind them, how many more there are."""
        cut = [
            Problem(
                path="",
                message=f"There {'is' if more == 1 else 'are'} {more:,} more {severity}{'s' if more > 1 else ''}.",
                hint="Mend these first.",
                code=LEFT_OUT,
                severity=severity,
            )
            for severity, more in self._left_out.items()
            if more
        ]
        return sorted(
            [*self.found, *cut],
            key=lambda p: (p.code == LEFT_OUT, p.line or 0, p.column or 0, p.path),
        )

    def place(self, path: Path) -> tuple[int, int] | tuple[None, None]:
        """Line and column of a path, or of the nearest thing around it."""
        while path and path not in self.positions:
            path = path[:-1]
        return self.positions.get(path, (None, None))

    def _add(self, path: Path, message: str, hint: Hint, severity: Severity, code: str | None = None) -> None:
        if self.full(severity):
            self.count(1, severity)
            return
        self._told[severity] += 1
        line, column = self.place(path)
        said = hint() if callable(hint) else hint
        self.found.append(
            Problem(
                path=dotted(path),
                line=line,
                column=column,
                message=_short(message, MOST_MESSAGE),
                hint=_short(said, MOST_HINT) if said is not None else None,
                code=code,
                severity=severity,
            )
        )


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def dotted(path: Path) -> str:
    """layout[2].options.x for ("layout", 2, "options", "x")."""
    text = ""
    for part in path:
        name = part if isinstance(part, int) else part if len(part) <= MOST_WORD else part[:MOST_WORD] + "…"
        text += f"[{name}]" if isinstance(part, int) else f".{name}" if text else str(name)
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint that names the closest known word, or the first few."""
    choices = list(islice(known, MOST_CHOICES))
    for change in (str, str.lower):
        compared = {change(choice[:MOST_COMPARED]): choice for choice in choices}
        close = difflib.get_close_matches(change(word[:MOST_COMPARED]), compared, n=1, cutoff=0.55)
        if close:
            return f"Did you mean {compared[close[0]]}?"
    if not choices:
        return None
    return f"Known here: {', '.join(choices[:12])}{' …' if len(choices) > 12 else ''}."
