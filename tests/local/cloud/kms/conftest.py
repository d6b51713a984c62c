"""KMS and Secret Manager in one process, reached through the real clients."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import grpc
import pytest
from google.cloud import kms
from google.cloud.kms_v1.services.key_management_service.transports import (
    KeyManagementServiceGrpcTransport,
)

from tests.local.grpc_serving import Serving, serving

LOCATION = "projects/bridge-local/locations/us-central1"


class Keys(NamedTuple):
    """A client, its server, and a fresh ring with one key."""

    client: kms.KeyManagementServiceClient
    server: Serving
    key: str
    data: Path


def connect(address: str) -> kms.KeyManagementServiceClient:
    channel = grpc.insecure_channel(address)
    return kms.KeyManagementServiceClient(transport=KeyManagementServiceGrpcTransport(channel=channel))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, Path]]:
    data = tmp_path_factory.mktemp("kms")
    with serving("local.cloud.kms", data) as running:
        yield running, data


@pytest.fixture
def keys(server: tuple[Serving, Path]) -> Iterator[Keys]:
    running, data = server
    client = connect(running.address)
    name = f"r{uuid4().hex[:8]}"
    ring = client.create_key_ring(parent=LOCATION, key_ring_id=name, key_ring={})
    purpose = kms.CryptoKey.CryptoKeyPurpose.ENCRYPT_DECRYPT
    key = client.create_crypto_key(
        parent=ring.name, crypto_key_id="credentials", crypto_key={"purpose": purpose}
    )
    yield Keys(client, running, key.name, data)
    client.transport.close()
