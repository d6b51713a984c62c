"""The plain protobuf classes of Firestore v1, taken from the installed client package."""

from typing import Any

from google.cloud.firestore_v1.types import (
    aggregation_result,
    common,
    document,
    firestore,
    query,
    write,
)
from google.protobuf import empty_pb2, timestamp_pb2
from google.rpc import status_pb2

from local.cloud.serving.grpc_server import plain

Document = plain(document.Document)
Value = plain(document.Value)
ArrayValue = plain(document.ArrayValue)
DocumentMask = plain(common.DocumentMask)
Precondition = plain(common.Precondition)
TransactionOptions = plain(common.TransactionOptions)
Write = plain(write.Write)
WriteResult = plain(write.WriteResult)
DocumentTransform = plain(write.DocumentTransform)
StructuredQuery = plain(query.StructuredQuery)
Cursor = plain(query.Cursor)
AggregationResult = plain(aggregation_result.AggregationResult)
Target = plain(firestore.Target)
TargetChange = plain(firestore.TargetChange)

GetDocumentRequest = plain(firestore.GetDocumentRequest)
ListDocumentsRequest = plain(firestore.ListDocumentsRequest)
ListDocumentsResponse = plain(firestore.ListDocumentsResponse)
CreateDocumentRequest = plain(firestore.CreateDocumentRequest)
UpdateDocumentRequest = plain(firestore.UpdateDocumentRequest)
DeleteDocumentRequest = plain(firestore.DeleteDocumentRequest)
BatchGetDocumentsRequest = plain(firestore.BatchGetDocumentsRequest)
BatchGetDocumentsResponse = plain(firestore.BatchGetDocumentsResponse)
BeginTransactionRequest = plain(firestore.BeginTransactionRequest)
BeginTransactionResponse = plain(firestore.BeginTransactionResponse)
CommitRequest = plain(firestore.CommitRequest)
CommitResponse = plain(firestore.CommitResponse)
RollbackRequest = plain(firestore.RollbackRequest)
RunQueryRequest = plain(firestore.RunQueryRequest)
RunQueryResponse = plain(firestore.RunQueryResponse)
RunAggregationQueryRequest = plain(firestore.RunAggregationQueryRequest)
RunAggregationQueryResponse = plain(firestore.RunAggregationQueryResponse)
PartitionQueryRequest = plain(firestore.PartitionQueryRequest)
PartitionQueryResponse = plain(firestore.PartitionQueryResponse)
ListenRequest = plain(firestore.ListenRequest)
ListenResponse = plain(firestore.ListenResponse)
ListCollectionIdsRequest = plain(firestore.ListCollectionIdsRequest)
ListCollectionIdsResponse = plain(firestore.ListCollectionIdsResponse)
BatchWriteRequest = plain(firestore.BatchWriteRequest)
BatchWriteResponse = plain(firestore.BatchWriteResponse)

Empty = empty_pb2.Empty
Status = status_pb2.Status
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
