"""Results of deterministic tools, kept for a team and shared by its sessions.

The key holds the arguments, the team, the connection, the version of its catalog and the generation of its
credentials: a rescan that changed anything, and other rights, make every older entry unreachable, and no team
can meet another's. Of callers that miss at the same time one makes the result and the others wait for it, as
long as it lives.

    row in the directory (who, until when, how often)  ──►  {team}/{tool}/{sha}-{fence}.json.gz in the bucket `cache`
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from shared.agents import store
from shared.platform.caches import Bounded, recent
from shared.platform.cloud import objects
from shared.platform.errors import DeadlineExceeded, NotFound
from shared.platform.ids import TeamId
from shared.platform.leases.contract import Lease, Terms
from shared.platform.leases.heartbeat import Heartbeat
from shared.platform.leases.single_flight import Done, Flight, Later, NotInTime
from shared.platform.postgres import pool
from shared.platform.telemetry import context as telemetry
from shared.platform.telemetry.bookkeeping import bookkeeping
from shared.platform.text import strict_json

TERMS = Terms(seconds=12.0, heartbeat=3.0, at_most=600.0)
"""A maker that died holds up a turn no longer than that turn's own lease (shared/agents/turn/lease.py) does."""
REMEMBERED_BYTES = 32_000_000
"""Payloads that one instance keeps."""


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
    wanted = _Wanted(scope.team, tool, key_of(tool, arguments, scope), ttl, make, remaining)
    try:
        outcome = _flight.run((scope.team, wanted.key), lambda: _attempt(wanted), remaining=remaining)
    except NotInTime:
        raise DeadlineExceeded("The tool took longer than the turn may.") from None
    return outcome.value if outcome.led else replace(outcome.value, cached=True)


_flight: Flight[Found] = Flight(shares=lambda _error: False)


@dataclass(frozen=True)
class _Wanted:
    """What a caller asks for."""

    team: TeamId
    tool: str
    key: str
    ttl: int
    make: Callable[[], Any]
    remaining: Callable[[], float]


def _attempt(wanted: _Wanted) -> Done[Found] | Later:
    """Find the result, make it where nobody does, or say how long its maker's lease lasts.

    Who waits reads without locking the row, so waiters never hold up the one who keeps the result.
    """
    team, key, lease = wanted.team, wanted.key, None
    with pool.transaction(team) as tx:
        hit = store.hit_tool_cache(tx, team, key)
        if hit is None:
            left = store.tool_result_left(tx, team, key)
            if left > 0:
                return Later(left)
            lease = store.claim_tool_result(
                tx, team, key, tool=wanted.tool, ttl=wanted.ttl, lease_seconds=TERMS.seconds
            )
    if hit is not None:
        try:
            return Done(Found(_payload(key, str(hit["payload_uri"]), str(hit["expires_at"])), True, key))
        except NotFound:
            telemetry.log("the payload of a cached tool result is gone", "WARNING", tool=wanted.tool)
            with pool.transaction(team) as tx:
                store.expire_tool_result(tx, team, key)
            return Later(0.0)
    if lease is None:
        return Later(0.0)
    return Done(Found(_make(wanted, lease), False, key))


def _make(wanted: _Wanted, lease: Lease) -> Any:
    team, key = wanted.team, wanted.key

    def renew() -> bool:
        with pool.transaction(team) as tx:
            return store.renew_tool_result(tx, team, key, lease, TERMS.seconds)

    kept = False
    with Heartbeat(renew, TERMS.lasting(wanted.remaining()), f"a result of {wanted.tool}"):
        try:
            value = wanted.make()
            kept = _keep(wanted, lease, value)
            return value
        finally:
            if not kept:
                _give_up(wanted, lease)


def _keep(wanted: _Wanted, lease: Lease, value: Any) -> bool:
    """Keep what was made, as best it can: whoever asked gets it in any case. False when it is not kept."""
    kept = False
    with bookkeeping("a tool's result", "the next caller makes it again", tool=wanted.tool):
        payload = gzip.compress(strict_json.dumps(value), mtime=0)
        name = _name(wanted.team, wanted.tool, wanted.key, lease.fence)
        objects.put("cache", name, payload, content_type="application/gzip")
        with pool.transaction(wanted.team) as tx:
            kept = store.keep_tool_result(
                tx, wanted.team, wanted.key, lease, uri=objects.uri("cache", name), size=len(payload)
            )
    return kept


def _give_up(wanted: _Wanted, lease: Lease) -> None:
    """Let the next caller make it."""
    with bookkeeping("the end of a lease", "it ends by itself", what=f"a result of {wanted.tool}"):
        with pool.transaction(wanted.team) as tx:
            store.give_tool_result_up(tx, wanted.team, wanted.key, lease)


_remembered: Bounded[tuple[str, str], bytes] = recent(REMEMBERED_BYTES, len)


def _payload(key: str, uri: str, version: str) -> Any:
    """The kept value; small ones stay in this instance's memory under their version."""
    packed = _remembered.get((key, version))
    if packed is None:
        packed, _ = objects.get("cache", uri.removeprefix(objects.uri("cache", "")))
        _remembered.put((key, version), packed)
    return strict_json.loads(gzip.decompress(packed))


def _name(team: TeamId, tool: str, key: str, fence: int) -> str:
    """Each maker writes an object of its own: one that was replaced overwrites nothing that counts."""
    return objects.safe_name(team, tool, f"{key.rsplit(':', 1)[1]}-{fence}.json.gz")
