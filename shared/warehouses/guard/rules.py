"""What the guard knows of a dialect: lists of what a read-only statement may be made of.

Allow-lists, not block-lists: a node, function or type that a later parser learns to read is refused until
somebody adds it to the file of its dialect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Rules:
    """One dialect's lists, by the parser's names of its nodes."""

    nodes: frozenset[str]
    functions: frozenset[str]
    plain_names: frozenset[str]
    """Functions that the parser has no class for, by what they are called on."""
    on_names: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Functions behind a name and a dot: NAME → functions."""
    types: frozenset[str] | None = None
    """What may stand behind CAST and as the type of a literal; None: whatever the parser knows as a type."""
    table_functions: frozenset[str] = frozenset()
    """What may stand where a table is expected, beside tables."""
    wildcards: bool = False
    """Whether the name of a table may end in * for all that begin so."""
    metadata_schemas: frozenset[str] = frozenset(("INFORMATION_SCHEMA",))
    """Schemas of the warehouse's own, in capitals."""
    metadata_prefixes: tuple[str, ...] = ()
    """How other names of the warehouse's own begin, in capitals."""

    def is_metadata(self, name: str) -> bool:
        """Whether a part of a path leads to what the warehouse tells of itself."""
        upper = name.upper()
        return bool(self.metadata_schemas & set(upper.split("."))) or upper.startswith(self.metadata_prefixes)
