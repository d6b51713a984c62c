"""Serve BigQuery on loopback: `python -m local.cloud.bigquery --port N --data DIR`."""

import argparse
import logging
import sys
from pathlib import Path

import uvicorn

from local.cloud.bigquery.rest.app import build
from local.cloud.bigquery.service import open_service
from local.cloud.serving.process import announce, die_with_parent, on_stop


class _Server(uvicorn.Server):
    """Announces itself once the socket listens; signals are handled by `local.cloud.serving.process`."""

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            announce(f"http://{self.config.host}:{self.config.port}")

    def capture_signals(self):  # type: ignore[no-untyped-def]
        from contextlib import nullcontext

        return nullcontext()


def main() -> int:
    parser = argparse.ArgumentParser(prog="local.cloud.bigquery", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2, help="threads of the query engine")
    parser.add_argument("--memory", default="2GB", help="memory limit of the query engine")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    die_with_parent()
    service = open_service(arguments.data, threads=arguments.threads, memory_limit=arguments.memory)
    config = uvicorn.Config(
        build(service), host="127.0.0.1", port=arguments.port, log_level="warning", access_log=False,
        timeout_graceful_shutdown=1, lifespan="off",
    )  # fmt: skip
    server = _Server(config)

    def stop() -> None:
        server.should_exit = True

    on_stop(stop)
    server.run()
    service.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
