"""A way to Postgres that loses answers: the server keeps a transaction, and its client never hears of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

_COMMIT = b"COMMIT\x00"


class Wire:
    """A TCP relay in front of a server. It counts commits, and cuts a connection before a commit's answer."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._losing: set[int] = set()
        self.commits = 0
        """How many commits have been asked for since `lose`."""
        self.lost = 0
        """How many of their answers were lost."""
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, *numbers: int) -> None:
        """Lose the answers of these commits, the next one being number 1."""
        with self._lock:
            self._losing, self.commits, self.lost = set(numbers), 0, 0

    def close(self) -> None:
        """Take no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            doomed = threading.Event()
            for source, target, ask in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._relay, args=(source, target, doomed, ask), daemon=True).start()

    def _relay(
        self, source: socket.socket, target: socket.socket, doomed: threading.Event, ask: bool
    ) -> None:
        try:
            while data := source.recv(65_536):
                if ask and _COMMIT in data and self._is_lost():
                    doomed.set()
                elif not ask and doomed.is_set():
                    return  # The server has answered: the transaction is kept.
                target.sendall(data)
        except OSError:
            return
        finally:
            for one in (source, target):
                # A close alone waits for the other thread, which reads from it.
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    def _is_lost(self) -> bool:
        with self._lock:
            self.commits += 1
            lost = self.commits in self._losing
            self.lost += lost
            return lost


@contextmanager
def wire(url: str) -> Iterator[tuple[Wire, str]]:
    """A wire to the Postgres of this address, and the address that leads over it."""
    parts = urlsplit(url)
    made = Wire(parts.hostname or "", parts.port or 0)
    try:
        credentials = parts.netloc.rpartition("@")[0]
        yield made, urlunsplit(parts._replace(netloc=f"{credentials}@127.0.0.1:{made.port}"))
    finally:
        made.close()
