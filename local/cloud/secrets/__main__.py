"""python -m local.cloud.secrets --port N --data DIR."""

import argparse
import asyncio
from pathlib import Path

from local.cloud.faults import grpc_faults
from local.cloud.secrets.service import Secrets, service
from local.cloud.secrets.vault import Vault
from local.cloud.serving import grpc_server


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.cloud.secrets")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder for secrets.json")
    given = parser.parse_args()
    served = service(Secrets(Vault(given.data / "secrets.json")))
    rules = grpc_faults.FaultRules()
    asyncio.run(grpc_server.serve({given.port: [served]}, [grpc_faults.Interceptor(rules)]))


if __name__ == "__main__":
    main()
