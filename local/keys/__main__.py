"""python -m local.keys --port N --secrets-port M --data DIR [--ensure-key KEY]...

KMS and Secret Manager in one process, each on its port: together they cost the memory of one.
"""

import argparse
import asyncio
from pathlib import Path

from local.cloud.faults import grpc_faults
from local.cloud.kms import ready
from local.cloud.kms import service as kms
from local.cloud.secrets import service as secrets
from local.cloud.secrets.vault import Vault
from local.cloud.serving import grpc_server


async def run(given: argparse.Namespace) -> None:
    keys = await ready.opened(given.data, given.ensure_key)
    kept = secrets.Secrets(Vault(given.data / "secrets.json"))
    ports = {given.port: [kms.service(keys)], given.secrets_port: [secrets.service(kept)]}
    await grpc_server.serve(ports, [grpc_faults.Interceptor(grpc_faults.FaultRules())])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.keys")
    parser.add_argument("--port", type=int, required=True, help="KMS")
    parser.add_argument("--secrets-port", type=int, required=True, help="Secret Manager")
    parser.add_argument("--data", type=Path, required=True, help="folder for kms.json and secrets.json")
    parser.add_argument("--ensure-key", action="append", default=[], metavar="KEY", help="create if missing")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
