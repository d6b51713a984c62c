"""Patterns of object names: `{connection}/{dataset}/{scan}.json.gz`, where `{x}` is part of one segment."""

import re
from functools import lru_cache

_FIELD = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")


@lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern; `{x}` matches one or more characters, none of them `/`."""
    literal = _FIELD.split(pattern)
    return re.compile("([^/]+)".join(re.escape(part) for part in literal))


def matches(pattern: str, name: str) -> bool:
    """Whether an object's name has the form of the pattern."""
    return compiled(pattern).fullmatch(name) is not None
