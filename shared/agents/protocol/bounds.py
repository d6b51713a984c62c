"""How much a model may say at once: its prose, its calls and their arguments come from outside, too.

reply ── events, characters ── too much: the call of the model fails
  └─ calls ── more than are run: the others answer with an error ── more than are kept: left out
       └─ arguments ── characters, depth, values: replaced by what is wrong with them
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_EVENTS = 50_000
"""Pieces of one reply; a token is a piece at the most, and a reply has at most some ten thousand."""
MAX_REPLY = 1_000_000
"""Characters of one reply, prose and arguments together."""
MAX_CALLS = 64
"""Tool calls of one reply that are run."""
MAX_KEPT_CALLS = 2 * MAX_CALLS
MAX_NAME = 200
MAX_ARGUMENTS = 400_000
"""Characters of one call's arguments: the largest document, and its escapes."""
MAX_DEPTH, MAX_VALUES = 32, 20_000
REFUSED = "refused_arguments"
"""The one member of arguments that were not kept; its value is the reason."""


def bounded(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, or what stands for those that are too large."""
    problem = excess(arguments)
    return dict(arguments) if problem is None else refused(problem)


def refused(problem: str) -> dict[str, Any]:
    """What stands for arguments that were not kept."""
    return {REFUSED: problem}


def excess(arguments: Mapping[str, Any]) -> str | None:
    """What of the arguments is too much, or None. It looks no further than it must, and not by recursion."""
    characters = values = 0
    stack: list[tuple[Any, int]] = [(arguments, 1)]
    while stack:
        value, depth = stack.pop()
        values += 1
        if values > MAX_VALUES:
            return f"the arguments have more than {MAX_VALUES:,} values"
        if isinstance(value, str):
            characters += len(value)
        elif isinstance(value, Mapping | list | tuple):
            if depth > MAX_DEPTH:
                return f"the arguments are nested deeper than {MAX_DEPTH} levels"
            if values + len(stack) + len(value) > MAX_VALUES:
                return f"the arguments have more than {MAX_VALUES:,} values"
            if isinstance(value, Mapping):
                characters += sum(len(str(name)) for name in value)
                stack.extend((item, depth + 1) for item in value.values())
            else:
                stack.extend((item, depth + 1) for item in value)
        if characters > MAX_ARGUMENTS:
            return f"the arguments have more than {MAX_ARGUMENTS:,} characters"
    return None


def size(arguments: Mapping[str, Any]) -> int:
    """About how many characters bounded arguments have."""
    total, stack = 0, [arguments]
    while stack:
        value: Any = stack.pop()
        if isinstance(value, str):
            total += len(value)
        elif isinstance(value, Mapping):
            total += sum(len(str(name)) for name in value)
            stack.extend(value.values())
        elif isinstance(value, list | tuple):
            stack.extend(value)
        total += 8
    return total
