"""The methods of google.firestore.v1.Firestore over one store."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from local.cloud.firestore import aggregate, listing, values, wire, writes
from local.cloud.firestore import query as queries
from local.cloud.firestore.indexes import Indexes
from local.cloud.firestore.listen import Listeners
from local.cloud.firestore.paths import check_database, check_document, check_parent, field_path, invalid
from local.cloud.firestore.store import RETENTION, Store
from local.cloud.firestore.transactions import Transaction, Transactions
from local.cloud.serving.grpc_server import Code, Method, Refused, Service

MOST_BATCH_WRITES = 500


class Firestore:
    """Handlers; each is atomic between its awaits because one event loop runs them all."""

    def __init__(self, store: Store, transactions: Transactions, indexes: Indexes) -> None:
        self.store = store
        self.transactions = transactions
        self.indexes = indexes
        self.listeners = Listeners(store, indexes)

    # Reading

    def _view(self, request: Any, database: str) -> tuple[Transaction | None, bytes, int | None]:
        """The transaction that the request reads in, a new one's id to answer, and the time to read at."""
        chosen = request.WhichOneof("consistency_selector")
        if chosen == "read_time":
            return None, b"", self._past(request.read_time)
        if chosen == "new_transaction":
            transaction = self._begin(database, request.new_transaction)
            return transaction, transaction.id, transaction.snapshot
        if chosen == "transaction":
            transaction = self.transactions.get(request.transaction, database)
            return transaction, b"", transaction.snapshot
        return None, b"", None

    def _begin(self, database: str, options: Any) -> Transaction:
        if options.WhichOneof("mode") == "read_only" and options.read_only.HasField("read_time"):
            self._past(options.read_only.read_time)
        return self.transactions.begin(database, options, self.store.now())

    def _past(self, stamp: Any) -> int:
        at, now = wire.micros(stamp), self.store.now()
        if at > now:
            raise invalid("read_time is in the future.")
        if at < max(now - RETENTION, self.store.started):
            raise Refused(Code.FAILED_PRECONDITION, "The requested snapshot version is too old.")
        return at

    def _masked(self, document: Any, request: Any) -> Any:
        if not request.HasField("mask"):
            return document
        return values.project(document, [field_path(path) for path in request.mask.field_paths])

    async def get_document(self, request: Any) -> Any:
        database = check_document(request.name)
        transaction, _new, at = self._view(request, database)
        if transaction is not None:
            await self.transactions.read(transaction, [request.name])
            at = transaction.snapshot
        document = self.store.get(request.name, at)
        if document is None:
            raise Refused(Code.NOT_FOUND, f'Document "{request.name}" not found.')
        return self._masked(document, request)

    async def batch_get_documents(self, request: Any) -> AsyncIterator[Any]:
        database = check_database(request.database)
        for name in request.documents:
            if check_document(name) != database:
                raise invalid(f'Document "{name}" is not in the database "{database}" of the request.')
        transaction, new, at = self._view(request, database)
        if transaction is not None:
            await self.transactions.read(transaction, list(request.documents))
            at = transaction.snapshot
        read_time = wire.timestamp(self.store.now() if at is None else at)
        found = {name: self.store.get(name, at) for name in request.documents}
        if new:
            yield wire.BatchGetDocumentsResponse(transaction=new)
        for name, document in found.items():
            response = wire.BatchGetDocumentsResponse(read_time=read_time)
            if document is None:
                response.missing = name
            else:
                response.found.CopyFrom(self._masked(document, request))
            yield response

    def _run(
        self, message: Any, request: Any, aggregated: Sequence[str] = ()
    ) -> tuple[list[Any], int, bytes, int]:
        """Documents, how many were skipped, a new transaction's id, and the read time."""
        query = queries.parse(request.parent, message, aggregated)
        self.indexes.check(request.parent, message, aggregated)
        transaction, new, at = self._view(request, query.database)
        if transaction is not None:
            self.transactions.lock_query(transaction, query.matches)
        found, skipped = queries.run(query, self.store, at)
        return found, skipped, new, self.store.now() if at is None else at

    async def run_query(self, request: Any) -> AsyncIterator[Any]:
        message = request.structured_query
        found, skipped, new, at = self._run(message, request)
        paths = queries.selection(message)
        read_time = wire.timestamp(at)
        if new:
            yield wire.RunQueryResponse(transaction=new)
        if skipped or not found:
            yield wire.RunQueryResponse(read_time=read_time, skipped_results=skipped)
        for document in found:
            part = document if paths is None else values.project(document, paths)
            yield wire.RunQueryResponse(document=part, read_time=read_time)

    async def run_aggregation_query(self, request: Any) -> AsyncIterator[Any]:
        asked = request.structured_aggregation_query
        aggregate.check(asked.structured_query, asked.aggregations)
        aggregated = aggregate.fields(asked.aggregations)
        found, _skipped, new, at = self._run(asked.structured_query, request, aggregated)
        response = wire.RunAggregationQueryResponse(transaction=new, read_time=wire.timestamp(at))
        response.result.CopyFrom(aggregate.result(found, asked.aggregations))
        yield response

    async def list_documents(self, request: Any) -> Any:
        database = check_parent(request.parent)
        transaction, _new, at = self._view(request, database)
        if transaction is not None:
            raise invalid("ListDocuments in a transaction is not served by this Firestore: use a query.")
        found, token = listing.documents(self.store, request, at)
        response = wire.ListDocumentsResponse(next_page_token=token)
        response.documents.extend(self._masked(document, request) for document in found)
        return response

    async def list_collection_ids(self, request: Any) -> Any:
        check_parent(request.parent)
        at = self._past(request.read_time) if request.WhichOneof("consistency_selector") else None
        ids, token = listing.collection_ids(self.store, request, at)
        return wire.ListCollectionIdsResponse(collection_ids=ids, next_page_token=token)

    async def partition_query(self, request: Any) -> Any:
        query = queries.parse(request.parent, request.structured_query)
        if not query.all_descendants or [order.path for order in query.orders] != [()]:
            raise invalid("PartitionQuery takes a collection group ordered by name, without filters.")
        if request.partition_count < 1:
            raise invalid("partition_count must be at least 1.")
        found, _skipped = queries.run(query, self.store)
        names = listing.split([document.name for document in found], request.partition_count)
        response = wire.PartitionQueryResponse()
        for name in names:
            response.partitions.add().values.add().reference_value = name
        return response

    async def listen(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for response in self.listeners.stream(requests):
            yield response

    # Writing

    async def begin_transaction(self, request: Any) -> Any:
        transaction = self._begin(check_database(request.database), request.options)
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
        if request.writes and transaction.read_only:
            raise invalid("Cannot modify entities in a read-only transaction.")
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
            plan = writes.plan(asked, self.store.get, self.store.now())
            images = [(name, self.store.get(name), after) for name, after in plan.changes.items()]
            if await self.transactions.settle(transaction, images, deadline):
                break
        self.transactions.wound(transaction, images, self.store.now())
        at = self.store.commit(plan.changes)
        self.listeners.changed(images, at)
        response = wire.CommitResponse(write_results=plan.stamp(at))
        wire.set_micros(response.commit_time, at)
        return response

    async def batch_write(self, request: Any) -> Any:
        database = check_database(request.database)
        if len(request.writes) > MOST_BATCH_WRITES:
            raise invalid(f"maximum {MOST_BATCH_WRITES} writes allowed per request")
        writes.check_database(request.writes, database)
        names = [writes.target(one) for one in request.writes]
        if len(names) != len(set(names)):
            raise invalid("the same document cannot be written more than once in a single request")
        response = wire.BatchWriteResponse()
        for one in request.writes:
            try:
                committed = await self._apply([one])
            except Refused as refused:
                response.status.add(code=refused.code.value[0], message=refused.message)
                response.write_results.add()
            else:
                response.status.add()
                response.write_results.append(committed.write_results[0])
        return response

    async def create_document(self, request: Any) -> Any:
        name = f"{request.parent}/{request.collection_id}/{request.document_id or listing.new_id()}"
        check_document(name)
        write = wire.Write(update=request.document)
        write.update.name = name
        write.current_document.exists = False
        await self._apply([write])
        return self._masked(self.store.get(name), request)

    async def update_document(self, request: Any) -> Any:
        check_document(request.document.name)
        write = wire.Write(update=request.document)
        if request.HasField("update_mask"):
            write.update_mask.CopyFrom(request.update_mask)
        if request.HasField("current_document"):
            write.current_document.CopyFrom(request.current_document)
        await self._apply([write])
        return self._masked(self.store.get(request.document.name), request)

    async def delete_document(self, request: Any) -> Any:
        check_document(request.name)
        write = wire.Write(delete=request.name)
        if request.HasField("current_document"):
            write.current_document.CopyFrom(request.current_document)
        await self._apply([write])
        return wire.Empty()

    async def sweep(self, seconds: float, expired: Callable[[int], list[Any]]) -> None:
        """Delete expired documents and forget old versions, for ever."""
        while True:
            await asyncio.sleep(seconds)
            self.transactions.expire()
            for document in expired(self.store.now()):
                write = wire.Write(delete=document.name)
                write.current_document.update_time.CopyFrom(document.update_time)
                # Someone reads it in a transaction, or has just prolonged it: the next sweep looks again.
                with contextlib.suppress(Refused):
                    await self._apply([write])
            self.store.forget_old()


def service(firestore: Firestore) -> Service:
    """The generic handlers."""
    one = {
        "GetDocument": (wire.GetDocumentRequest, wire.Document, firestore.get_document),
        "ListDocuments": (wire.ListDocumentsRequest, wire.ListDocumentsResponse, firestore.list_documents),
        "CreateDocument": (wire.CreateDocumentRequest, wire.Document, firestore.create_document),
        "UpdateDocument": (wire.UpdateDocumentRequest, wire.Document, firestore.update_document),
        "DeleteDocument": (wire.DeleteDocumentRequest, wire.Empty, firestore.delete_document),
        "BeginTransaction": (
            wire.BeginTransactionRequest,
            wire.BeginTransactionResponse,
            firestore.begin_transaction,
        ),
        "Commit": (wire.CommitRequest, wire.CommitResponse, firestore.commit),
        "Rollback": (wire.RollbackRequest, wire.Empty, firestore.rollback),
        "PartitionQuery": (
            wire.PartitionQueryRequest,
            wire.PartitionQueryResponse,
            firestore.partition_query,
        ),
        "ListCollectionIds": (
            wire.ListCollectionIdsRequest,
            wire.ListCollectionIdsResponse,
            firestore.list_collection_ids,
        ),
        "BatchWrite": (wire.BatchWriteRequest, wire.BatchWriteResponse, firestore.batch_write),
    }
    many = {
        "BatchGetDocuments": (
            wire.BatchGetDocumentsRequest,
            wire.BatchGetDocumentsResponse,
            firestore.batch_get_documents,
        ),
        "RunQuery": (wire.RunQueryRequest, wire.RunQueryResponse, firestore.run_query),
        "RunAggregationQuery": (
            wire.RunAggregationQueryRequest,
            wire.RunAggregationQueryResponse,
            firestore.run_aggregation_query,
        ),
    }
    methods = {name: Method(*parts) for name, parts in one.items()}
    methods |= {name: Method(*parts, kind="unary_stream") for name, parts in many.items()}
    methods["Listen"] = Method(wire.ListenRequest, wire.ListenResponse, firestore.listen, "stream_stream")
    return Service("google.firestore.v1.Firestore", methods)
