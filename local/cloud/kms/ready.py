"""A key service over a data folder, with the keys that callers count on."""

import re
from collections.abc import Iterable
from pathlib import Path

from google.cloud.kms_v1.types import service as messages

from local.cloud.kms.keyring import Ring
from local.cloud.kms.service import Kms
from local.cloud.serving.grpc_server import Code, Refused, plain

_KEY = re.compile(r"(projects/[^/]+/locations/[^/]+)/keyRings/([^/]+)/cryptoKeys/([^/]+)")


async def opened(data: Path, keys: Iterable[str]) -> Kms:
    """The service over DATA/kms.json; creates each of these keys, and its ring, unless it exists."""
    kms = Kms(Ring(data / "kms.json"))
    for name in keys:
        await _ensure(kms, name)
    return kms


async def _ensure(kms: Kms, name: str) -> None:
    parts = _KEY.fullmatch(name)
    if parts is None:
        raise SystemExit(f"--ensure-key {name}: projects/P/locations/L/keyRings/R/cryptoKeys/K is needed")
    location, ring, key = parts.groups()
    make_ring = plain(messages.CreateKeyRingRequest)(parent=location, key_ring_id=ring)
    make_key = plain(messages.CreateCryptoKeyRequest)(parent=f"{location}/keyRings/{ring}", crypto_key_id=key)
    make_key.crypto_key.purpose = "ENCRYPT_DECRYPT"
    for create, request in ((kms.create_key_ring, make_ring), (kms.create_crypto_key, make_key)):
        try:
            await create(request)
        except Refused as refused:
            if refused.code is not Code.ALREADY_EXISTS:
                raise SystemExit(f"--ensure-key {name}: {refused.message}") from None
