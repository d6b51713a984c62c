"""The plain protobuf classes of Firestore v1, taken from the installed client package."""

from typing import Any

from google.cloud.firestore_v1.types import (
    document,
    firestore,
    write,
)
from google.protobuf import empty_pb2, timestamp_pb2

from local.cloud.serving.grpc_server import plain

Document = plain(document.Document)
Write = plain(write.Write)
WriteResult = plain(write.WriteResult)

BatchGetDocumentsRequest = plain(firestore.BatchGetDocumentsRequest)
BatchGetDocumentsResponse = plain(firestore.BatchGetDocumentsResponse)
BeginTransactionRequest = plain(firestore.BeginTransactionRequest)
BeginTransactionResponse = plain(firestore.BeginTransactionResponse)
CommitRequest = plain(firestore.CommitRequest)
CommitResponse = plain(firestore.CommitResponse)
RollbackRequest = plain(firestore.RollbackRequest)
RunQueryRequest = plain(firestore.RunQueryRequest)
RunQueryResponse = plain(firestore.RunQueryResponse)
ListCollectionIdsRequest = plain(firestore.ListCollectionIdsRequest)
ListCollectionIdsResponse = plain(firestore.ListCollectionIdsResponse)

Empty = empty_pb2.Empty
Timestamp = timestamp_pb2.Timestamp


def set_micros(stamp: Any, micros: int) -> None:
    """Write a time in microseconds since 1970 into a Timestamp."""
    stamp.seconds, rest = divmod(micros, 1_000_000)
    stamp.nanos = rest * 1000


def micros(stamp: Any) -> int:
    """A Timestamp in microseconds since 1970; finer digits are cut, as the service does."""
    return int(stamp.seconds) * 1_000_000 + int(stamp.nanos) // 1000


def timestamp(at: int) -> Any:
    stamp = Timestamp()
    set_micros(stamp, at)
    return stamp
