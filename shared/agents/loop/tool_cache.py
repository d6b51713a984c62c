"""Results of deterministic tools, kept for a team and shared by its sessions.

The key holds the arguments, the team, the connection, the version of its catalog and the generation of its
credentials: a rescan that changed anything, and other rights, make every older entry unreachable, and no team
can meet another's. Of callers that miss at the same time one makes the result and the others wait for it, as
long as it lives.

    row in the directory (who, until when, how often)  ──►  {team}/{tool}/{sha}.json.gz in the lake
"""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.agents import store
from shared.platform import clock
from shared.platform.cloud import objects
from shared.platform.errors import NotFound
from shared.platform.ids import TeamId, new_id
from shared.platform.leases.heartbeat import beating
from shared.platform.postgres import pool
from shared.platform.telemetry import context as telemetry
from shared.platform.text import strict_json

LEASE_SECONDS, BEAT_SECONDS = 12.0, 3.0
"""A maker that died holds up a turn no longer than that turn's own lease (shared/agents/turn/lease.py) does."""
_REMEMBERED, _REMEMBERED_BYTES = 256, 256_000


@dataclass(frozen=True)
class Scope:
    """What a cached result depends on besides its arguments."""

    team: TeamId
    connection_id: str | None
    catalog_version: int
    credentials_generation: int = 0


@dataclass(frozen=True)
class Found:
    """A result and where it came from."""

    value: Any
    cached: bool
    key: str


def key_of(tool: str, arguments: Mapping[str, Any], scope: Scope) -> str:
    """`tool:{tool}:{sha256}` of everything that the result depends on."""
    parts = {
        "args": dict(arguments),
        "team": scope.team,
        "connection": scope.connection_id,
        "catalog_version": scope.catalog_version,
        "credentials_generation": scope.credentials_generation,
    }
    return f"tool:{tool}:{hashlib.sha256(strict_json.canonical(parts)).hexdigest()}"


def through(
    scope: Scope,
    tool: str,
    arguments: Mapping[str, Any],
    ttl: int,
    make: Callable[[], Any],
    remaining: Callable[[], float],
) -> Found:
    """The kept result, or the one that `make` gives now. An error of `make` is nobody's result."""
    key, maker = key_of(tool, arguments, scope), new_id()
    pause = 0.02
    while True:
        with pool.transaction(scope.team) as tx:
            hit = store.hit_tool_cache(tx, scope.team, key)
            mine = hit is None and store.claim_tool_result(
                tx, scope.team, key, tool=tool, ttl=ttl, maker=maker, lease_seconds=LEASE_SECONDS
            )
        if hit is not None:
            try:
                return Found(_payload(scope.team, tool, key, str(hit["expires_at"])), True, key)
            except NotFound:
                telemetry.log("the payload of a cached tool result is gone", "WARNING", tool=tool)
                with pool.transaction(scope.team) as tx:
                    store.expire_tool_result(tx, scope.team, key)
                continue
        if mine:
            with beating(
                lambda: _renewed(scope.team, key, maker),
                every=BEAT_SECONDS, at_most=remaining(), what=f"a result of {tool}",
            ):  # fmt: skip
                return Found(_make(scope.team, tool, key, maker, make), False, key)
        clock.sleep(min(pause, remaining()))
        pause = min(pause * 1.5, 0.25)


def _make(team: TeamId, tool: str, key: str, maker: str, make: Callable[[], Any]) -> Any:
    try:
        value = make()
        payload = gzip.compress(strict_json.dumps(value), mtime=0)
        name = _name(team, tool, key)
        objects.put("cache", name, payload, content_type="application/gzip")
        with pool.transaction(team) as tx:
            store.keep_tool_result(
                tx, team, key, maker=maker, uri=objects.uri("cache", name), size=len(payload)
            )
    except BaseException:
        with pool.transaction(team) as tx:
            store.give_tool_result_up(tx, team, key, maker=maker)
        raise
    return value


def _renewed(team: TeamId, key: str, maker: str) -> bool:
    with pool.transaction(team) as tx:
        return store.renew_tool_result(tx, team, key, maker=maker, lease_seconds=LEASE_SECONDS)


_remembered: OrderedDict[tuple[str, str], bytes] = OrderedDict()
_lock = threading.Lock()


def _payload(team: TeamId, tool: str, key: str, version: str) -> Any:
    """The kept value; small ones stay in this instance's memory under their version."""
    with _lock:
        packed = _remembered.get((key, version))
    if packed is None:
        packed, _ = objects.get("cache", _name(team, tool, key))
        if len(packed) <= _REMEMBERED_BYTES:
            with _lock:
                _remembered[(key, version)] = packed
                while len(_remembered) > _REMEMBERED:
                    _remembered.popitem(last=False)
    return strict_json.loads(gzip.decompress(packed))


def _name(team: TeamId, tool: str, key: str) -> str:
    return objects.safe_name(team, tool, f"{key.rsplit(':', 1)[1]}.json.gz")
