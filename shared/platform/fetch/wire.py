"""One HTTP exchange with an address that was checked, and with no other.

    name ─► resolver ─► every address is judged ─► urllib3 dials one of exactly these
                                                   └─ SNI, certificate and Host are the name's

The name is resolved once. What a second answer would be does not matter, since nobody asks again: the
connection is given its addresses instead of looking them up.
"""

from __future__ import annotations

import http.client
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NewConnectionError, SSLError
from urllib3.response import BaseHTTPResponse

from shared.platform import clock, threads
from shared.platform.errors import DeadlineExceeded
from shared.platform.fetch.addresses import is_public
from shared.platform.fetch.errors import AddressNotAllowed, RemoteAnswerRefused, RemoteUnreachable
from shared.platform.fetch.targets import Target

Resolve = Callable[[str, int], Sequence[str]]
MOST_DIALLED = 4
"""How many of a name's addresses are tried before it counts as unreachable."""


def system_resolver(host: str, port: int) -> list[str]:
    """Every address that the machine's resolver has for a name. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@lru_cache(maxsize=1)
def trusted() -> ssl.SSLContext:
    """One context per process: loading the authorities takes milliseconds."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@dataclass(frozen=True)
class Network:
    """What lies outside: names, trust, and whether this machine counts as outside."""

    resolve: Resolve = system_resolver
    tls: Callable[[], ssl.SSLContext] = trusted
    loopback: bool = False


class Deadline:
    """The time for everything: at its end the connection is cut, whatever it is waiting for.

    A timeout of the socket alone starts anew with every byte, so a peer that drips could hold us forever.
    """

    def __init__(self, seconds: float) -> None:
        self._end = clock.monotonic() + seconds
        self._seconds = seconds
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._ended = threading.Event()

    def __enter__(self) -> Deadline:
        threads.start("deadline", self._cut_at_the_end)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with self._lock:
            for twin in self._open:
                twin.close()
            self._open.clear()

    def remaining(self) -> float:
        """Seconds left; raises DeadlineExceeded when there are none."""
        left = self._end - clock.monotonic()
        if left <= 0:
            raise self.exceeded()
        return left

    def exceeded(self) -> DeadlineExceeded:
        """The error of being late."""
        return DeadlineExceeded(f"The address did not answer within {self._seconds:g} s.", field="url")

    def covers(self, connection: socket.socket) -> None:
        """Cut this connection at the end. TLS takes the socket over, so a twin of it is kept."""
        with self._lock:
            self._open.append(connection.dup())

    def _cut_at_the_end(self) -> None:
        if clock.wait(self._ended, self._seconds):
            return
        with self._lock:
            for twin in self._open:
                try:
                    twin.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # It ended by itself.


def checked(target: Target, network: Network, deadline: Deadline) -> list[str]:
    """The addresses of a target, all of them public; raises AddressNotAllowed when one is not."""
    found = [target.host] if target.is_address else _resolved(target, network, deadline)
    if not found:
        raise RemoteUnreachable(f"The host {target.host} has no address.", field="url")
    if not all(is_public(address, loopback=network.loopback) for address in found):
        # Which address it is stays here: it would tell a stranger how our network looks.
        raise AddressNotAllowed(
            f"The host {target.host} is not on the public internet.", field="url", reason="not public"
        )
    return found


@contextmanager
def exchange(
    target: Target,
    addresses: Sequence[str],
    *,
    method: str,
    headers: Mapping[str, str],
    body: bytes | None,
    network: Network,
    deadline: Deadline,
) -> Iterator[BaseHTTPResponse]:
    """The answer of one of these addresses, its body unread. Redirects are not followed here."""
    ours: dict[str, Any] = {"timeout": deadline.remaining(), "maxsize": 1, "retries": False}
    pool: urllib3.HTTPConnectionPool
    if target.scheme == "https":
        pool = urllib3.HTTPSConnectionPool(
            target.host,
            target.port,
            ssl_context=network.tls(),
            addresses=addresses,
            deadline=deadline,
            **ours,
        )
        pool.ConnectionCls = _DialledTls
    else:
        pool = urllib3.HTTPConnectionPool(
            target.host, target.port, addresses=addresses, deadline=deadline, **ours
        )
        pool.ConnectionCls = _Dialled
    try:
        yield pool.urlopen(
            method,
            target.path,
            body,
            {**headers, "Host": target.authority},
            retries=False,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
        )
    except SSLError as error:
        deadline.remaining()
        raise RemoteAnswerRefused(
            f"No trusted connection to {target.host}: its certificate or TLS is not acceptable.",
            field="url",
            reason="tls",
        ) from error
    except (HTTPError, http.client.HTTPException, OSError) as error:
        deadline.remaining()
        raise RemoteUnreachable(f"{target.host} does not answer as it should.", field="url") from error
    finally:
        pool.close()


def _resolved(target: Target, network: Network, deadline: Deadline) -> list[str]:
    """Ask the resolver beside us: it can't be interrupted, but it need not be waited for."""
    answer: queue.SimpleQueue[Sequence[str] | Exception] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answer.put(network.resolve(target.host, target.port))
        except Exception as error:
            answer.put(error)

    threads.start("resolve", ask)
    try:
        found = answer.get(timeout=deadline.remaining())
    except queue.Empty:
        raise deadline.exceeded() from None
    if isinstance(found, OSError | UnicodeError):
        raise RemoteUnreachable(f"The host {target.host} has no address.", field="url") from found
    if isinstance(found, Exception):
        raise found
    return list(dict.fromkeys(found))


def _dial(connection: Any, addresses: Sequence[str], deadline: Deadline) -> socket.socket:
    """A connection to the first of the addresses that takes one. Nothing here knows a name."""
    tried = list(addresses)[:MOST_DIALLED]
    problem: OSError | None = None
    for index, address in enumerate(tried):
        dialled = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            dialled.settimeout(deadline.remaining() / (len(tried) - index))
            dialled.connect((address, connection.port))
            dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            deadline.covers(dialled)
            # After that: what the deadline no longer cuts must not begin.
            dialled.settimeout(deadline.remaining())
            return dialled
        except OSError as error:
            dialled.close()
            problem = error
        except BaseException:
            dialled.close()
            raise
    raise NewConnectionError(connection, f"no address took the connection: {problem}") from problem


class _Dialled(HTTPConnection):
    """A connection that is given its addresses."""

    def __init__(self, *args: Any, addresses: Sequence[str], deadline: Deadline, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._addresses, self._deadline = addresses, deadline

    def _new_conn(self) -> socket.socket:
        return _dial(self, self._addresses, self._deadline)


class _DialledTls(HTTPSConnection):
    """The same with TLS for the name."""

    def __init__(self, *args: Any, addresses: Sequence[str], deadline: Deadline, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._addresses, self._deadline = addresses, deadline

    def _new_conn(self) -> socket.socket:
        return _dial(self, self._addresses, self._deadline)
