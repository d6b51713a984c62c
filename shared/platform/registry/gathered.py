"""What all rooms declared, as data: known to every function, whatever it imports.

A bundle carries only what its function reaches, so a function can't ask the other rooms. `make manifest` gathers
what they declare into the file beside this module, which every bundle carries (docs/decisions/0008).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.platform.registry.kinds import Flag, Limit

_FILE: dict[str, Any] = json.loads(Path(__file__).with_name("gathered.json").read_bytes())
_limits = [Limit(**one) for one in _FILE["limits"]]

LIMITS: Mapping[str, Limit] = {one.name: one for one in _limits if not (one.is_rate or one.is_personal)}
"""What is spent, by name. The name of a resource's daily quota is the resource's own."""
RATES: Mapping[str, Limit] = {one.name: one for one in _limits if one.is_rate}
"""Requests a minute, by class of route. Those of a team can be overridden for it, as what is spent can."""
PERSONAL: Mapping[str, Limit] = {one.name: one for one in _limits if one.is_personal}
"""What one person may have made and not taken back: each team has quotas of its own. No team can override these."""
OVERRIDABLE: Mapping[str, Limit] = {
    **LIMITS,
    **{name: limit for name, limit in RATES.items() if name.startswith("rate_team_")},
}
"""What an administrator of the platform may set for one team. Users and addresses belong to no team alone."""
FLAGS: Mapping[str, Flag] = {one["name"]: Flag(**one) for one in _FILE["flags"]}
QUEUES: frozenset[str] = frozenset(_FILE["queues"])
BUCKETS: Mapping[str, str] = _FILE["buckets"]
"""The queue that carries a bucket's events, by the bucket's role."""
COLLECTIONS: Mapping[str, float] = _FILE["collections"]
"""The longest life of a document in seconds, by the name of its collection."""


def windows(resource: str) -> tuple[Limit, ...]:
    """The limits of a resource, in the order in which their counters are locked."""
    found = tuple(
        sorted((one for one in LIMITS.values() if one.resource == resource), key=lambda one: one.name)
    )
    if not found:
        raise KeyError(f"{resource!r} is not a resource that has limits")
    return found
