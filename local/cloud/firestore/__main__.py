"""python -m local.cloud.firestore --port N --data DIR [--indexes FILE] [--ttl GROUP.FIELD]..."""

import argparse
import asyncio
from pathlib import Path

from local.cloud.faults import grpc_faults
from local.cloud.firestore import ttl
from local.cloud.firestore.service import Firestore, service
from local.cloud.firestore.store import Store
from local.cloud.firestore.transactions import Transactions
from local.cloud.serving import grpc_server


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.cloud.firestore")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder for firestore.sqlite")
    parser.add_argument("--indexes", type=Path, help="firestore.indexes.json: its TTL policies")
    parser.add_argument("--ttl", action="append", default=[], type=ttl.policy, metavar="GROUP.FIELD")
    parser.add_argument("--ttl-sweep-seconds", type=float, default=60.0, help="how late expiry may be")
    parser.add_argument("--lock-wait-seconds", type=float, default=5.0, help="then a commit is ABORTED")
    parser.add_argument("--idle-seconds", type=float, default=60.0, help="an unused transaction expires")
    parser.add_argument("--longest-seconds", type=float, default=270.0, help="any transaction expires")
    given = parser.parse_args()
    policies = [*given.ttl, *(ttl.deployed(given.indexes) if given.indexes else ())]
    store = Store(given.data, ttl.Policies(policies))
    firestore = Firestore(
        store, Transactions(given.idle_seconds, given.longest_seconds, given.lock_wait_seconds)
    )

    async def sweep() -> None:
        while True:
            await asyncio.sleep(given.ttl_sweep_seconds)
            await firestore.sweep()

    asyncio.run(
        grpc_server.serve(
            {given.port: [service(firestore)]}, [grpc_faults.Interceptor(grpc_faults.FaultRules())], [sweep]
        )
    )
    store.close()


if __name__ == "__main__":
    main()
