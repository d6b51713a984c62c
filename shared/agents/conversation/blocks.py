"""Prompt blocks: versioned text of the system prompt, kept in the directory.

The order is by how long the provider keeps a block, longest first, and stable inside: one byte that
changes before a breakpoint makes everything after it a cache miss.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared.agents import store
from shared.agents.protocol.model import CacheControl, SystemBlock
from shared.platform.caches import Bounded, fresh
from shared.platform.errors import NotFound
from shared.platform.postgres import pool

KEPT_SECONDS, MOST_KEPT = 60.0, 64
_CACHE: dict[str, CacheControl] = {"ephemeral": "5m", "permanent": "1h"}
_LIFETIME: dict[CacheControl | None, int] = {"1h": 0, "5m": 1, None: 2}

_kept: Bounded[tuple[str, ...], tuple[SystemBlock, ...]] = fresh(MOST_KEPT, KEPT_SECONDS)


def active(names: Sequence[str]) -> tuple[SystemBlock, ...]:
    """The active version of each block, in prompt order. Raises NotFound naming those that are missing."""
    key = tuple(names)
    found = _kept.get(key)
    if found is not None:
        return found
    with pool.transaction() as tx:
        rows = {row["block_name"]: row for row in store.active_blocks(tx, list(names))}
    missing = [name for name in names if name not in rows]
    if missing:
        raise NotFound(f"No active prompt block is named {', '.join(missing)}.", field="block_name")
    blocks = order(
        SystemBlock(name, rows[name]["content"].strip(), _CACHE.get(rows[name]["cache_control_type"] or ""))
        for name in names
    )
    _kept.put(key, blocks)
    return blocks


def order(blocks: Iterable[SystemBlock]) -> tuple[SystemBlock, ...]:
    """Longest-lived first; blocks of one lifetime keep their order."""
    return tuple(sorted(blocks, key=lambda block: _LIFETIME[block.cache]))
