"""python -m local.cloud.kms --port N --data DIR [--secrets-port M] [--ensure-key KEY]...

KMS and, with --secrets-port, Secret Manager in the same process: together they cost the memory of one.
"""

import argparse
import asyncio
import re
from pathlib import Path

from google.cloud.kms_v1.types import service as messages

from local.cloud.faults import grpc_faults
from local.cloud.kms.keyring import Ring
from local.cloud.kms.service import Kms, service
from local.cloud.secrets.service import Secrets
from local.cloud.secrets.service import service as secrets_service
from local.cloud.secrets.vault import Vault
from local.cloud.serving import grpc_server
from local.cloud.serving.grpc_server import Code, Refused, Service, plain

_KEY = re.compile(r"(projects/[^/]+/locations/[^/]+)/keyRings/([^/]+)/cryptoKeys/([^/]+)")


async def ensure_key(kms: Kms, name: str) -> None:
    """Create the ring and the key unless they exist."""
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


async def run(given: argparse.Namespace) -> None:
    kms = Kms(Ring(given.data / "kms.json"))
    for name in given.ensure_key:
        await ensure_key(kms, name)
    ports: dict[int, list[Service]] = {given.port: [service(kms)]}
    if given.secrets_port:
        ports[given.secrets_port] = [secrets_service(Secrets(Vault(given.data / "secrets.json")))]
    await grpc_server.serve(ports, [grpc_faults.Interceptor(grpc_faults.Weather())])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.cloud.kms")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--secrets-port", type=int, help="serve Secret Manager here, in the same process")
    parser.add_argument("--data", type=Path, required=True, help="folder for kms.json and secrets.json")
    parser.add_argument("--ensure-key", action="append", default=[], metavar="KEY", help="create if missing")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
