"""A Firestore client whose every call ends with the operation that it belongs to.

The library gives a transaction's begin and commit no timeout of ours, and repeats each for a minute. So the
channel itself holds the deadline: a call gets what is left of its operation, and none begins when that is over.

Neither library has types, so mypy takes their classes for Any and does not let them be extended unsaid.
"""

from __future__ import annotations

from typing import Any

import grpc
from google.cloud import firestore
from google.cloud.firestore_v1.services.firestore import client as generated
from google.cloud.firestore_v1.services.firestore.transports import FirestoreGrpcTransport

from shared.platform import deadline


class Client(firestore.Client):  # type: ignore[misc]
    """The library's client over a punctual channel."""

    @property
    def _firestore_api(self) -> Any:
        return self._firestore_api_helper(_Transport, generated.FirestoreClient, generated)


class _Transport(FirestoreGrpcTransport):  # type: ignore[misc]
    def __init__(self, *, channel: Any, **others: Any) -> None:
        super().__init__(channel=grpc.intercept_channel(channel, _Punctual()), **others)


class _Punctual(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):  # type: ignore[misc]
    def intercept_unary_unary(self, proceed: Any, details: Any, request: Any) -> Any:
        return proceed(_timed(details), request)

    def intercept_unary_stream(self, proceed: Any, details: Any, request: Any) -> Any:
        return proceed(_timed(details), request)


def _timed(details: Any) -> Any:
    left = deadline.left()
    if left is None:
        return details
    if left <= 0:
        if not details.method.endswith("/Rollback"):
            raise deadline.TimeIsOver
        left = deadline.LEAST_SECONDS  # What a transaction has locked would stay so for a minute.
    return details._replace(timeout=left if details.timeout is None else min(left, details.timeout))
