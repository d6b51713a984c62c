"""python -m local.cloud.kms --port N --data DIR [--ensure-key KEY]..."""

import argparse
import asyncio
from pathlib import Path

from local.cloud.faults import grpc_faults
from local.cloud.kms.ready import opened
from local.cloud.kms.service import service
from local.cloud.serving import grpc_server


async def run(given: argparse.Namespace) -> None:
    served = service(await opened(given.data, given.ensure_key))
    await grpc_server.serve({given.port: [served]}, [grpc_faults.Interceptor(grpc_faults.FaultRules())])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.cloud.kms")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder for kms.json")
    parser.add_argument("--ensure-key", action="append", default=[], metavar="KEY", help="create if missing")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
