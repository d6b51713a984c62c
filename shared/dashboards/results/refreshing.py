"""One refresh for many readers of a stale result."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from shared.dashboards.flow import WarmDashboard
from shared.dashboards.results.sources import Source
from shared.platform import clock
from shared.platform.leases.firestore import DocumentSlot
from shared.platform.text import strict_json

REFRESH_SECONDS = 60.0


def message(source: Source, given: Mapping[str, str | Sequence[str]], *, occasion: str) -> WarmDashboard:
    """The step that brings the results for these choices up to date."""
    return WarmDashboard(
        team=source.team,
        dashboard=source.id,
        slug=source.slug,
        version=source.version,
        occasion=f"{occasion} {choices_hash(given)}",
        filters={name: [value] if isinstance(value, str) else list(value) for name, value in given.items()},
        computed_before=clock.epoch() - 1.0,
    )


def turn(source: Source, given: Mapping[str, str | Sequence[str]]) -> DocumentSlot:
    """Whose turn it is to promise the refresh: who takes this promises it, the others leave it to them."""
    return DocumentSlot(f"refresh:{source.key(choices_hash(given))}")


def choices_hash(given: Mapping[str, str | Sequence[str]]) -> str:
    """A short name for the reader's choices."""
    plain = {name: value if isinstance(value, str) else list(value) for name, value in given.items()}
    return hashlib.sha256(strict_json.canonical(plain)).hexdigest()[:16]
