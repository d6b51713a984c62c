"""The methods of google.firestore.v1.Firestore by which documents are read and written: no queries but "all of it"."""

import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

from local.cloud.firestore import wire, writes
from local.cloud.firestore.paths import check_database, check_document, check_parent, invalid
from local.cloud.firestore.store import Store
from local.cloud.firestore.transactions import Transaction, Transactions
from local.cloud.serving.grpc_server import Code, Method, Refused, Service

_EXPIRED_AT_ONCE = 500
_MOST_IDS = 1000


class Firestore:
    """Handlers; each is atomic between its awaits because one event loop runs them all."""

    def __init__(self, store: Store, transactions: Transactions) -> None:
        self.store = store
        self.transactions = transactions

    # Reading

    async def batch_get_documents(self, request: Any) -> AsyncIterator[Any]:
        database = check_database(request.database)
        _refuse_unknown("BatchGetDocuments", request, {"database", "documents", "transaction"})
        for name in request.documents:
            if check_document(name) != database:
                raise invalid(f'Document "{name}" is not in the database "{database}" of the request.')
        transaction = None
        if request.transaction:
            transaction = self.transactions.get(request.transaction, database)
            await self.transactions.read(transaction, list(request.documents))
        read_time = wire.timestamp(self.store.now())
        found = {name: self._seen(transaction, name) for name in request.documents}
        for name, document in found.items():
            response = wire.BatchGetDocumentsResponse(read_time=read_time)
            if document is None:
                response.missing = name
            else:
                response.found.CopyFrom(document)
            yield response

    def _seen(self, transaction: Transaction | None, name: str) -> Any | None:
        if transaction is not None and name in transaction.past:
            return transaction.past[name]
        return self.store.get(name)

    async def run_query(self, request: Any) -> AsyncIterator[Any]:
        """All documents of one collection, by name."""
        check_parent(request.parent)
        _refuse_unknown("RunQuery", request, {"parent", "structured_query"})
        _refuse_unknown("RunQuery: structured_query", request.structured_query, {"from_"})
        source = request.structured_query.from_
        if len(source) != 1 or source[0].all_descendants or not source[0].collection_id:
            raise _unsupported("RunQuery over anything but one collection")
        read_time = wire.timestamp(self.store.now())
        found = list(self.store.collection(f"{request.parent}/{source[0].collection_id}"))
        if not found:
            yield wire.RunQueryResponse(read_time=read_time)
        for document in found:
            yield wire.RunQueryResponse(document=document, read_time=read_time)

    async def list_collection_ids(self, request: Any) -> Any:
        """All in one page."""
        check_parent(request.parent)
        _refuse_unknown("ListCollectionIds", request, {"parent", "page_size"})
        found = self.store.collection_ids(request.parent)
        if len(found) > min(request.page_size or _MOST_IDS, _MOST_IDS):
            raise _unsupported("a second page of ListCollectionIds")
        return wire.ListCollectionIdsResponse(collection_ids=found)

    # Writing

    async def begin_transaction(self, request: Any) -> Any:
        database = check_database(request.database)
        if request.options.WhichOneof("mode") == "read_only":
            raise _unsupported("a read-only transaction")
        transaction = self.transactions.begin(database, request.options)
        return wire.BeginTransactionResponse(transaction=transaction.id)

    async def rollback(self, request: Any) -> Any:
        try:
            transaction = self.transactions.get(request.transaction, check_database(request.database))
        except Refused:
            return wire.Empty()  # what is gone needs no undoing
        self.transactions.end(transaction)
        return wire.Empty()

    async def commit(self, request: Any) -> Any:
        database = check_database(request.database)
        size = request.ByteSize()
        if size > writes.LARGEST_REQUEST:
            raise invalid(
                f"Transaction too big. Decrease transaction size: {size:,} bytes are above the maximum of "
                f"{writes.LARGEST_REQUEST:,}."
            )
        writes.check_database(request.writes, database)
        if not request.transaction:
            return await self._apply(request.writes)
        transaction = self.transactions.get(request.transaction, database)
        try:
            return await self._apply(request.writes, transaction)
        finally:
            self.transactions.end(transaction)

    async def _apply(self, asked: Any, transaction: Transaction | None = None) -> Any:
        """Wait for the locks, then check and apply everything without a pause in between."""
        deadline = time.monotonic() + self.transactions.lock_wait
        while True:
            if transaction is not None and transaction.wounded:
                raise Refused(Code.ABORTED, "Too much contention on these documents. Please try again.")
            plan = writes.plan(asked, self.store.get)
            if await self.transactions.settle(transaction, plan.changes.keys(), deadline):
                break
        before = {name: self.store.get(name) for name in plan.changes}
        self.transactions.wound(transaction, before)
        at = self.store.commit(plan.changes)
        response = wire.CommitResponse(write_results=plan.stamp(at))
        wire.set_micros(response.commit_time, at)
        return response

    async def sweep(self) -> None:
        """Delete expired documents, and let the file shrink by what they leave."""
        self.transactions.expire()
        while found := self.store.expired(self.store.now(), _EXPIRED_AT_ONCE):
            deleted = 0
            for document in found:
                write = wire.Write(delete=document.name)
                write.current_document.update_time.CopyFrom(document.update_time)
                # Someone reads it in a transaction, or has just prolonged it: the next sweep looks again.
                with contextlib.suppress(Refused):
                    await self._apply([write])
                    deleted += 1
            if deleted < _EXPIRED_AT_ONCE:
                break
        self.store.give_back()


def _refuse_unknown(where: str, message: Any, known: set[str]) -> None:
    for field, _value in message.ListFields():
        if field.name not in known:
            raise _unsupported(f"{where} with {field.name}")


def _unsupported(what: str) -> Refused:
    return Refused(Code.UNIMPLEMENTED, f"{what} is not supported by the local Firestore.")


def service(firestore: Firestore) -> Service:
    """The generic handlers."""
    one = {
        "BeginTransaction": (
            wire.BeginTransactionRequest,
            wire.BeginTransactionResponse,
            firestore.begin_transaction,
        ),
        "Commit": (wire.CommitRequest, wire.CommitResponse, firestore.commit),
        "Rollback": (wire.RollbackRequest, wire.Empty, firestore.rollback),
        "ListCollectionIds": (
            wire.ListCollectionIdsRequest,
            wire.ListCollectionIdsResponse,
            firestore.list_collection_ids,
        ),
    }
    many = {
        "BatchGetDocuments": (
            wire.BatchGetDocumentsRequest,
            wire.BatchGetDocumentsResponse,
            firestore.batch_get_documents,
        ),
        "RunQuery": (wire.RunQueryRequest, wire.RunQueryResponse, firestore.run_query),
    }
    methods = {name: Method(*parts) for name, parts in one.items()}
    methods |= {name: Method(*parts, kind="unary_stream") for name, parts in many.items()}
    return Service("google.firestore.v1.Firestore", methods)
