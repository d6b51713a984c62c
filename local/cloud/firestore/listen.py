"""Listen: a query's or some documents' present state, and then every change to it.

Each target keeps what it last told its listener. After a commit that touches it, the query runs again and
the difference is sent, so limits and orders are right by construction. A resume token is the time of the
last state sent; while the history reaches back to it, only what changed since is sent, otherwise the target
is reset and sent whole.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from local.cloud.firestore import query as queries
from local.cloud.firestore import wire
from local.cloud.firestore.indexes import Indexes
from local.cloud.firestore.paths import check_document, invalid
from local.cloud.firestore.store import RETENTION, Store
from local.cloud.firestore.transactions import Images
from local.cloud.serving.grpc_server import Refused

_CHANGE = wire.TargetChange.TargetChangeType


@dataclass
class Target:
    """One thing listened to, and the update time of each document last told."""

    id: int
    once: bool
    names: frozenset[str] | None = None
    query: queries.Query | None = None
    told: dict[str, int] = field(default_factory=dict)

    def state(self, store: Store, at: int | None = None) -> dict[str, Any]:
        if self.query is not None:
            found = queries.run(self.query, store, at)[0]
        else:
            found = [store.get(name, at) for name in self.names or ()]
        return {document.name: document for document in found if document is not None}

    def touched(self, images: Images) -> bool:
        if self.query is None:
            return any(name in (self.names or ()) for name, _before, _after in images)
        return any(self.query.covers(name) for name, _before, _after in images)


class Listeners:
    """All open listen streams."""

    def __init__(self, store: Store, indexes: Indexes) -> None:
        self._store = store
        self._indexes = indexes
        self._streams: set[_Stream] = set()

    def changed(self, images: Images, at: int) -> None:
        """Tell every stream that a commit touches."""
        for stream in self._streams:
            stream.changed(images, at)

    async def stream(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        stream = _Stream(self._store, self._indexes)
        self._streams.add(stream)
        reading = asyncio.ensure_future(stream.read(requests))
        try:
            while True:
                response = await stream.out.get()
                if response is None:
                    break
                yield response
            reading.result()
        finally:
            self._streams.discard(stream)
            reading.cancel()


class _Stream:
    def __init__(self, store: Store, indexes: Indexes) -> None:
        self._store = store
        self._indexes = indexes
        self._targets: dict[int, Target] = {}
        self.out: asyncio.Queue[Any] = asyncio.Queue()

    async def read(self, requests: AsyncIterator[Any]) -> None:
        try:
            async for request in requests:
                if request.WhichOneof("target_change") == "add_target":
                    self._add(request.add_target)
                else:
                    self._targets.pop(request.remove_target, None)
                    self._say(_CHANGE.Value("REMOVE"), [request.remove_target])
        finally:
            self.out.put_nowait(None)

    def _add(self, message: Any) -> None:
        """Tell a new target's state; what is wrong with a target ends the target, not the stream."""
        target = Target(message.target_id or 1, message.once)
        if target.id in self._targets:
            raise invalid(f"Target id {target.id} is in use on this stream.")
        self._say(_CHANGE.Value("ADD"), [target.id])
        try:
            self._check(target, message)
            since = self._since(message)
            self._targets[target.id] = target
            self._begin(target, since)
        except Refused as refused:
            self._targets.pop(target.id, None)
            self._say(_CHANGE.Value("REMOVE"), [target.id], cause=refused)

    def _check(self, target: Target, message: Any) -> None:
        if message.WhichOneof("target_type") == "query":
            target.query = queries.parse(message.query.parent, message.query.structured_query)
            self._indexes.check(message.query.parent, message.query.structured_query)
        elif message.WhichOneof("target_type") == "documents":
            for name in message.documents.documents:
                check_document(name)
            target.names = frozenset(message.documents.documents)
        else:
            raise invalid("A listen target needs a query or documents.")

    def _begin(self, target: Target, since: int | None) -> None:
        now = self._store.now()
        if since is not None and max(now - RETENTION, self._store.started) <= since <= now:
            before = target.state(self._store, since)
            target.told = {name: wire.micros(document.update_time) for name, document in before.items()}
        elif since is not None:
            self._say(_CHANGE.Value("RESET"), [target.id])
        self._tell(target, now)
        self._say(_CHANGE.Value("CURRENT"), [target.id], now)
        self._say(_CHANGE.Value("NO_CHANGE"), [], now)
        if target.once:
            del self._targets[target.id]
            self._say(_CHANGE.Value("REMOVE"), [target.id])

    @staticmethod
    def _since(message: Any) -> int | None:
        resume = message.WhichOneof("resume_type")
        if resume == "read_time":
            return wire.micros(message.read_time)
        if resume == "resume_token" and message.resume_token:
            if len(message.resume_token) != 8:
                raise invalid("resume_token was not made by this server.")
            return int.from_bytes(message.resume_token, "big")
        return None

    def changed(self, images: Images, at: int) -> None:
        touched = [target for target in self._targets.values() if target.touched(images)]
        for target in touched:
            self._tell(target, at)
        if touched:
            self._say(_CHANGE.Value("NO_CHANGE"), [], at)

    def _tell(self, target: Target, at: int) -> None:
        """Send the difference between what the listener knows and what is."""
        state = target.state(self._store)
        for name in [name for name in target.told if name not in state]:
            del target.told[name]
            response = wire.ListenResponse()
            document = self._store.get(name)
            if document is None:
                gone = response.document_delete
                gone.document = name
                gone.removed_target_ids.append(target.id)
                wire.set_micros(gone.read_time, at)
            else:
                response.document_change.document.CopyFrom(document)
                response.document_change.removed_target_ids.append(target.id)
            self.out.put_nowait(response)
        for name, document in state.items():
            updated = wire.micros(document.update_time)
            if target.told.get(name) != updated:
                target.told[name] = updated
                response = wire.ListenResponse()
                response.document_change.document.CopyFrom(document)
                response.document_change.target_ids.append(target.id)
                self.out.put_nowait(response)

    def _say(self, kind: int, ids: list[int], at: int | None = None, cause: Refused | None = None) -> None:
        response = wire.ListenResponse()
        change = response.target_change
        change.target_change_type = kind
        change.target_ids.extend(ids)
        if at is not None:
            wire.set_micros(change.read_time, at)
            change.resume_token = at.to_bytes(8, "big")
        if cause is not None:
            change.cause.code, change.cause.message = cause.code.value[0], cause.message
        self.out.put_nowait(response)
