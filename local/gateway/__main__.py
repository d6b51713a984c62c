"""Serve every function of the manifest on one loopback port: gunicorn, two workers, many threads.

Two workers, because a function that computes would otherwise hold up every other request; threads,
because a stream holds one for as long as it lasts (facts/runtime.md, 1 and 3).
"""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from local.cloud.serving.process import announce, die_with_parent
from local.gateway import bytecode
from local.gateway.app import Gateway
from local.gateway.bundles import BundleLoader
from local.gateway.config import Config
from local.gateway.loader import SourceLoader
from local.gateway.worker import Master, Worker

ROOT = Path(__file__).resolve().parents[2]
_POLL = 0.5


class _Server(BaseApplication):  # type: ignore[misc]
    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        settings: dict[str, Any] = {
            "bind": f"127.0.0.1:{self._options.port}",
            "worker_class": Worker,
            "workers": self._options.workers,
            "threads": self._options.threads,
            "preload_app": True,
            "keepalive": 30,
            "timeout": 60,
            # A replaced worker may finish its streams; a stopping gateway waits a second (see worker.py).
            "graceful_timeout": 60,
            "loglevel": "warning",
            "worker_tmp_dir": "/dev/shm" if os.path.isdir("/dev/shm") else None,  # noqa: S108
            "limit_request_line": 8190,
            "when_ready": self._ready,
            "post_fork": _forked,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Gateway:
        # Only the gateway itself is loaded before the fork; `shared` is each worker's own, so that
        # replacing the workers replaces it.
        options = self._options
        config = Config(options.manifest, options.stack, options.dispatch, options.identity, options.step_url)
        return Gateway(
            config, BundleLoader(options.bundles) if options.bundles else SourceLoader(options.root)
        )

    def run(self) -> None:
        Master(self).run()

    def _ready(self, _arbiter: Any) -> None:
        if not getattr(self, "_announced", False):
            self._announced = True
            threading.Thread(
                target=_watch, args=(self._options.root / "shared",), name="watch", daemon=True
            ).start()
            announce(f"127.0.0.1:{self._options.port}")


def _watch(folder: Path) -> None:
    """Replace the workers when anything in `shared` changes: the master keeps the port open meanwhile."""
    seen = bytecode.fingerprint(folder)
    while True:
        threading.Event().wait(_POLL)
        now = bytecode.fingerprint(folder)
        if now != seen:
            seen = now
            bytecode.ensure_tree(folder)
            os.kill(os.getpid(), signal.SIGHUP)


def _forked(_arbiter: Any, _worker: Any) -> None:
    die_with_parent()


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m local.gateway", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--data", type=Path, help="accepted for the servers' uniform shape; the gateway keeps nothing"
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="the source tree: functions/ and shared/")
    parser.add_argument("--manifest", type=Path, help="default: functions/manifest.json of the source tree")
    parser.add_argument("--stack", type=Path, help="stack.json, shown at /_local/")
    parser.add_argument(
        "--dispatch", help="host:port of the dispatch process, for /_local/events and the like"
    )
    parser.add_argument(
        "--identity",
        type=Path,
        help="the folder that holds identity/: check the tokens of steps as Cloud Run does",
    )
    parser.add_argument("--step-url", default=Config.step_url, help="a function's own address, with {name}")
    parser.add_argument(
        "--bundles",
        type=Path,
        default=os.environ.get("BRIDGE_BUNDLES") or None,
        help="run each function from its built bundle in this folder, in an environment of its own",
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=32)
    options = parser.parse_args()
    options.root = options.root.resolve()
    if options.bundles:
        # One worker: a second one would start every function's process again.
        options.bundles, options.workers = options.bundles.resolve(), 1
    options.manifest = options.manifest or options.root / "functions" / "manifest.json"
    if sys.path[0] != str(options.root):
        sys.path.insert(0, str(options.root))
    # What is written are only checked bytecode files, by `bytecode`; the usual kind can be stale.
    sys.dont_write_bytecode = True
    bytecode.ensure_tree(options.root / "shared")
    sys.argv = sys.argv[:1]  # gunicorn reads them, too.
    _Server(options).run()


if __name__ == "__main__":
    main()
