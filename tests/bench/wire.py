"""A client that costs little: one keep-alive HTTP/1.1 connection, requests as ready-made bytes.

The load and what it measures share two cores. `requests` spends more on a call than the gateway does on
answering a 304, so its cost would be most of the figure.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit


class Broken(Exception):
    """The server closed the connection or said something that is not HTTP."""


@dataclass(frozen=True)
class Response:
    """An answer, read whole."""

    status: int
    headers: dict[str, str]
    body: bytes


def address(url: str) -> tuple[str, int]:
    """Host and port; only this machine is ever measured."""
    parts = urlsplit(url)
    if parts.hostname != "127.0.0.1":
        raise ValueError(f"benchmarks only go to 127.0.0.1, not to {parts.hostname}")
    return parts.hostname, parts.port or 80


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body or method in ("POST", "PUT"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Line:
    """One connection. Not for two threads at once."""

    def __init__(self, server: tuple[str, int], timeout: float = 60.0) -> None:
        self._server, self._timeout = server, timeout
        self._socket: socket.socket | None = None
        self._kept = b""

    def exchange(self, message: bytes) -> Response:
        """Send and read the whole answer; a kept connection that the server has closed is replaced once."""
        fresh = self._socket is None
        try:
            return self._exchange(message)
        except (Broken, ConnectionError):
            self.close()
            if fresh:
                raise
            return self._exchange(message)

    def stream(self, message: bytes) -> Iterator[tuple[float, bytes]]:
        """The body of an answer piece by piece, each with the time (perf_counter) at which it was here.

        Raises Broken unless the answer is 200. The connection ends with the stream.
        """
        self._send(message)
        status, headers = self._head()
        if status != 200:
            body = self._body(headers)
            self.close()
            raise Broken(f"{status}: {body[:500]!r}")
        kept, chunked = self._kept, headers.get("transfer-encoding") == "chunked"
        self._kept = b""
        decoder = _Chunks() if chunked else None
        try:
            while True:
                now = time.perf_counter()
                data = decoder.feed(kept) if decoder else kept
                if data:
                    yield now, data
                if decoder and decoder.ended:
                    return
                kept = self._socket.recv(65536) if self._socket else b""
                if not kept:
                    return
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the connection; the next exchange makes a new one."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._kept = None, b""

    def _exchange(self, message: bytes) -> Response:
        self._send(message)
        status, headers = self._head()
        body = b"" if status in (204, 304) else self._body(headers)
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Response(status, headers, body)

    def _send(self, message: bytes) -> None:
        if self._socket is None:
            self._socket = socket.create_connection(self._server, self._timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(message)

    def _head(self) -> tuple[int, dict[str, str]]:
        while b"\r\n\r\n" not in self._kept:
            self._more()
        head, _, self._kept = self._kept.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        try:
            status = int(first.split(" ", 2)[1])
        except (IndexError, ValueError):
            raise Broken(f"not HTTP: {first[:80]!r}") from None
        return status, {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)
        }

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            decoder = _Chunks()
            body = decoder.feed(self._kept)
            self._kept = b""
            while not decoder.ended:
                self._more()
                body += decoder.feed(self._kept)
                self._kept = b""
            return body
        length = int(headers.get("content-length", "0"))
        while len(self._kept) < length:
            self._more()
        body, self._kept = self._kept[:length], self._kept[length:]
        return body

    def _more(self) -> None:
        assert self._socket is not None
        data = self._socket.recv(262_144)
        if not data:
            raise Broken("the server closed the connection")
        self._kept += data


class _Chunks:
    """Decodes `Transfer-Encoding: chunked` as it comes."""

    def __init__(self) -> None:
        self._kept = b""
        self.ended = False

    def feed(self, data: bytes) -> bytes:
        """The content in the new bytes."""
        self._kept += data
        out = b""
        while not self.ended:
            size, found, rest = self._kept.partition(b"\r\n")
            if not found:
                break
            length = int(size.split(b";")[0], 16)
            if len(rest) < length + 2:
                break
            out += rest[:length]
            self._kept = rest[length + 2 :]
            self.ended = length == 0
        return out
