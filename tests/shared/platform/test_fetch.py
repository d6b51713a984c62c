"""Fetching what a person's address gives, from real servers; only the resolver's answers are given."""

from __future__ import annotations

import gzip
import http.server
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.platform.errors import DeadlineExceeded
from shared.platform.fetch.client import Answer, Rules, fetch
from shared.platform.fetch.errors import AddressNotAllowed, RemoteAnswerRefused, RemoteUnreachable
from shared.platform.fetch.wire import Network
from tests.shared.platform.peers import Authority, Peer, answer, authority, serving, talking

MB = 1 << 20


class Names:
    """A resolver that knows a few names and counts how often it is asked."""

    def __init__(self, **names: list[str]) -> None:
        self.names, self.asked = names, list[str]()

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host.partition(".")[0] not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return self.names[host.partition(".")[0]]


HERE = Names(here=["127.0.0.1"], there=["127.0.0.1"])


def get(url: str, *, ports: tuple[int, ...] = (80, 443), names: Any = HERE, **options: Any) -> Answer:
    """One fetch with loopback open; keyword arguments of Rules are taken out of the options."""
    network = Network(names, loopback=options.pop("loopback", True), **options.pop("network", {}))
    rules = {
        name: options.pop(name)
        for name in ("media_types", "max_bytes", "seconds", "redirects", "schemes")
        if name in options
    }
    return fetch(url, Rules(**({"media_types": (), "ports": ports} | rules)), network=network, **options)


@pytest.fixture
def certificates(tmp_path: Path) -> Authority:
    """An authority that the tests trust."""
    return authority(tmp_path)


@pytest.fixture
def hello() -> Iterator[Peer]:
    """A server that greets."""
    with serving(answer(body=b"hello", Set_Cookie="a=b")) as peer:
        yield peer


def test_the_answer_comes_with_its_type_and_status(hello: Peer) -> None:
    """Bytes, headers and where they came from."""
    found = get(f"http://here.example:{hello.port}/a?b=c", ports=(hello.port,), headers={"X-Key": "1"})
    assert (found.status, found.body, found.media_type) == (200, b"hello", "text/plain")
    assert found.url == f"http://here.example:{hello.port}/a?b=c"
    method, path, headers, _ = hello.seen[0]
    assert (method, path) == ("GET", "/a?b=c")
    assert headers["host"] == f"here.example:{hello.port}"
    assert (headers["x-key"], headers["user-agent"]) == ("1", "Bridge/1")


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["::ffff:127.0.0.1"],
        ["8.8.8.8", "127.0.0.1"],
        ["8.8.8.8", "fd20:ce::254"],
        ["fe80::1%lo"],
        ["not an address"],
    ],
    ids=lambda given: "+".join(given),
)
def test_a_name_with_one_closed_address_is_not_called(hello: Peer, addresses: list[str]) -> None:
    """Every address of the answer counts, not the first, and nothing is dialled."""
    with pytest.raises(AddressNotAllowed) as caught:
        get(
            f"http://x.example:{hello.port}/",
            ports=(hello.port,),
            names=Names(x=addresses),
            loopback=False,
        )
    assert not hello.seen
    assert not any(address in caught.value.message for address in addresses), "our network stays unknown"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.1.2.3"])
def test_a_closed_address_is_not_called_by_number_either(hello: Peer, host: str) -> None:
    """A number needs no resolver and gets no exception."""
    names = Names()
    with pytest.raises(AddressNotAllowed):
        get(f"http://{host}:{hello.port}/", ports=(hello.port,), names=names, loopback=False)
    assert (hello.seen, names.asked) == ([], [])


def test_a_name_that_changes_its_mind_is_called_where_it_was_checked() -> None:
    """The resolver is asked once; its second answer, another machine, is never dialled."""

    class Rebinding(Names):
        def __call__(self, host: str, port: int) -> list[str]:
            super().__call__(host, port)
            return ["127.0.0.1"] if len(self.asked) == 1 else ["127.0.0.2"]

    names = Rebinding(x=["127.0.0.1"])
    with (
        serving(answer(body=b"checked")) as first,
        serving(answer(body=b"other"), address="127.0.0.2", port=first.port) as second,
    ):
        assert get(f"http://x.example:{first.port}/", ports=(first.port,), names=names).body == b"checked"
        assert (len(names.asked), second.seen) == (1, [])


def test_the_next_address_is_tried_when_one_takes_no_connection(hello: Peer) -> None:
    """A name's addresses are alternatives."""
    found = get(
        f"http://x.example:{hello.port}/", ports=(hello.port,), names=Names(x=["127.0.0.9", "127.0.0.1"])
    )
    assert found.body == b"hello"


def test_tls_is_for_the_name_and_not_for_the_address(certificates: Authority) -> None:
    """SNI and certificate are checked against what the person wrote."""
    trust = {"tls": certificates.client}
    with serving(answer(), tls=certificates.server("here.example")) as peer:
        url = f"https://here.example:{peer.port}/"
        assert get(url, ports=(peer.port,), network=trust).body == b"hello"
        assert peer.named == ["here.example"]
        for host in ("there.example", "127.0.0.1"):
            with pytest.raises(RemoteAnswerRefused) as caught:
                get(f"https://{host}:{peer.port}/", ports=(peer.port,), network=trust)
            assert caught.value.reason == "tls"
        with pytest.raises(RemoteAnswerRefused):
            get(url, ports=(peer.port,))  # An authority that nobody trusts.
        assert len(peer.seen) == 1


def redirecting(to: dict[str, str], status: int = 302) -> Any:
    """Redirects by path, everything else is greeted."""

    def handle(request: http.server.BaseHTTPRequestHandler) -> None:
        location = to.get(request.path)
        (answer(status, b"", Location=location) if location else answer())(request)

    return handle


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/computeMetadata/v1/",
        "http://10.0.0.1/",
        "http://inside.example/",
        "http://metadata.example/",
        "http://[::ffff:10.0.0.1]/",
        "http://0x7f.1/",
        "http://user:pass@here.example/",
        "file:///etc/passwd",
        "gopher://here.example/",
        "http://here.example:6379/",
    ],
)
def test_a_redirect_to_a_closed_place_is_not_followed(location: str) -> None:
    """Each hop is read, resolved and judged like the first."""
    names = Names(here=["127.0.0.1"], inside=["127.0.0.1", "10.0.0.1"], metadata=["169.254.169.254"])
    with serving(redirecting({"/": location})) as peer:
        with pytest.raises(AddressNotAllowed):
            get(f"http://here.example:{peer.port}/", ports=(80, peer.port), names=names)
        assert len(peer.seen) == 1


def test_redirects_are_bounded() -> None:
    """Three are followed, a circle is not."""
    with serving(redirecting({"/1": "/2", "/2": "/3", "/3": "/4", "/0": "/1", "/x": "/x"})) as peer:
        base = f"http://here.example:{peer.port}"
        assert get(f"{base}/1", ports=(peer.port,)).url == f"{base}/4"
        for path in ("/0", "/x"):
            with pytest.raises(RemoteAnswerRefused) as caught:
                get(f"{base}{path}", ports=(peer.port,))
            assert caught.value.reason == "redirects"
        assert len(peer.seen) == 4 + 2 * 4


@pytest.mark.parametrize("host", ["there.example", "here.example.", "127.0.0.1"])
def test_credentials_stay_with_their_origin(host: str) -> None:
    """Another host or port gets only what is harmless, also when it leads back; cookies are never kept."""
    secret = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Api-Key": "y", "Accept": "text/plain"}
    with serving(redirecting({})) as other:

        def handle(request: http.server.BaseHTTPRequestHandler) -> None:
            leads = {
                "/": "/within",
                "/within": f"http://{host}:{other.port}/away",
            }.get(request.path)
            (answer(302, b"", Location=leads, Set_Cookie="s=1") if leads else answer())(request)

        with serving(handle) as peer:
            get(f"http://here.example:{peer.port}/", ports=(peer.port, other.port), headers=secret)
            for _, _, headers, _ in peer.seen:
                assert {name.lower() for name in secret} <= set(headers)
                assert headers["cookie"] == "a=b"
            _, path, headers, _ = other.seen[0]
            assert path == "/away"
            assert set(headers) == {"host", "accept", "accept-encoding", "user-agent"}


def test_credentials_do_not_come_back() -> None:
    """A redirect away and home again has forgotten them."""
    ports: list[int] = []

    def away(request: http.server.BaseHTTPRequestHandler) -> None:
        answer(302, b"", Location=f"http://here.example:{ports[0]}/home")(request)

    with serving(away) as other:
        leads = {"/": f"http://here.example:{other.port}/"}
        with serving(redirecting(leads)) as peer:
            ports.append(peer.port)
            get(
                f"http://here.example:{peer.port}/",
                ports=(peer.port, other.port),
                headers={"Authorization": "Bearer x"},
            )
            assert ["authorization" in headers for _, _, headers, _ in peer.seen] == [True, False]


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [
        (301, "POST", ("GET", b"")),
        (302, "POST", ("GET", b"")),
        (303, "POST", ("GET", b"")),
        (307, "POST", ("POST", b"data")),
        (308, "POST", ("POST", b"data")),
        (303, "HEAD", ("HEAD", b"")),
        (301, "GET", ("GET", b"")),
    ],
)
def test_a_redirect_changes_the_method_as_the_standard_says(
    status: int, method: Any, then: tuple[str, bytes]
) -> None:
    """What was sent goes along only with 307 and 308."""
    with serving(redirecting({"/": "/next"}, status)) as peer:
        get(
            f"http://here.example:{peer.port}/",
            ports=(peer.port,),
            method=method,
            body=b"data" if method == "POST" else None,
        )
        assert (peer.seen[1][0], peer.seen[1][3]) == then


def test_what_was_sent_is_not_passed_on_to_another_origin() -> None:
    """307 to a stranger would hand them the body."""
    with serving(answer()) as other:
        leads = {"/": f"http://there.example:{other.port}/"}
        with (
            serving(redirecting(leads, 307)) as peer,
            pytest.raises(RemoteAnswerRefused, match="redirects what"),
        ):
            get(
                f"http://here.example:{peer.port}/",
                ports=(peer.port, other.port),
                method="POST",
                body=b"data",
            )
        assert not other.seen


def test_encryption_is_not_left_behind(certificates: Authority, hello: Peer) -> None:
    """https redirects to https or not at all."""
    leads = {"/": f"http://here.example:{hello.port}/"}
    with serving(redirecting(leads), tls=certificates.server("here.example")) as peer:
        with pytest.raises(AddressNotAllowed, match="from https to http"):
            get(
                f"https://here.example:{peer.port}/",
                ports=(peer.port, hello.port),
                network={"tls": certificates.client},
            )
    assert not hello.seen


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_is_put_down_at_the_limit(encoding: str) -> None:
    """100 MB of zeros in 100 kB are refused after 1 MB, in about as much memory."""
    pack = gzip.compress if encoding == "gzip" else zlib.compress
    packed = pack(bytes(100 * MB), 9)
    assert len(packed) < MB // 4
    with serving(answer(body=packed, Content_Encoding=encoding)) as peer:
        tracemalloc.start()
        try:
            with pytest.raises(RemoteAnswerRefused) as caught:
                get(f"http://here.example:{peer.port}/", ports=(peer.port,), max_bytes=MB)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert caught.value.reason == "too large"
    assert peak < 4 * MB


def test_a_packed_answer_is_unpacked() -> None:
    """Up to exactly the limit."""
    body = b"0123456789" * 20_000
    with serving(answer(body=gzip.compress(body), Content_Encoding="gzip")) as peer:
        url = f"http://here.example:{peer.port}/"
        assert get(url, ports=(peer.port,), max_bytes=len(body)).body == body
        with pytest.raises(RemoteAnswerRefused, match="more than 199,999 bytes"):
            get(url, ports=(peer.port,), max_bytes=len(body) - 1)
    members = gzip.compress(b"one") + gzip.compress(b"two")
    with serving(answer(body=members, Content_Encoding="gzip")) as peer:
        assert get(f"http://here.example:{peer.port}/", ports=(peer.port,)).body == b"onetwo"


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "x-unknown", "gzip,deflate"])
def test_an_encoding_that_was_not_asked_for_is_refused(encoding: str) -> None:
    """Nested and unknown ones are not tried."""
    packed = gzip.compress(gzip.compress(b"x"))
    with serving(answer(body=packed, Content_Encoding=encoding)) as peer:
        with pytest.raises(RemoteAnswerRefused) as caught:
            get(f"http://here.example:{peer.port}/", ports=(peer.port,))
        assert caught.value.reason == "encoding"


def test_a_body_without_a_length_is_bounded_too() -> None:
    """An endless answer ends at the limit."""

    def endless(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while True:
            request.wfile.write(bytes(64 * 1024))

    with serving(endless) as peer, pytest.raises(RemoteAnswerRefused) as caught:
        get(f"http://here.example:{peer.port}/", ports=(peer.port,), max_bytes=MB)
    assert caught.value.reason == "too large"


def dripping(begin: bytes, drop: bytes) -> Any:
    """Sends a beginning, then a byte every 50 ms, for half a minute or until the other side has gone."""

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(begin)
        for _ in range(600):
            time.sleep(0.05)
            connection.sendall(drop)

    return talk


def silence(connection: socket.socket) -> None:
    """Listens until the other side has gone."""
    while connection.recv(65536):
        pass


@pytest.mark.parametrize(
    "talk",
    [
        dripping(b"", b"H"),
        dripping(b"HTTP/1.1 200 OK\r\n", b"X"),
        dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b"x"),
        dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        dripping(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress(b"")),
        silence,
    ],
    ids=["status line", "headers", "body", "body without length", "chunks", "packed nothings", "silence"],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_peer_that_drips_holds_nobody(talk: Any, scheme: str, certificates: Authority) -> None:
    """The limit is for everything: each byte in time does not prolong it, and what was cut is no answer. The peer
    itself would go on for half a minute."""
    context = certificates.server("here.example")

    def encrypted(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            talk(wrapped)

    with talking(encrypted if scheme == "https" else talk) as peer:
        with pytest.raises(DeadlineExceeded):
            get(
                f"{scheme}://here.example:{peer.port}/",
                ports=(peer.port,),
                seconds=0.5,
                network={"tls": certificates.client},
            )


def test_a_handshake_that_never_ends_is_cut() -> None:
    """TLS takes the socket over; the limit holds all the same."""

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"\x16\x03\x03\x40\x00")
        for _ in range(600):
            time.sleep(0.05)
            connection.sendall(b"\x00")

    with talking(talk) as peer, pytest.raises(DeadlineExceeded):
        get(f"https://here.example:{peer.port}/", ports=(peer.port,), seconds=0.5)


def test_a_resolver_that_hangs_holds_nobody() -> None:
    """It can't be interrupted, but it need not be waited for."""
    released = threading.Event()

    def hang(_host: str, _port: int) -> list[str]:
        released.wait()
        return ["127.0.0.1"]

    try:
        with pytest.raises(DeadlineExceeded):
            get("http://here.example/", names=hang, seconds=0.3)
    finally:
        released.set()


@pytest.mark.parametrize("body", [b"garbage\r\n\r\n", b"", b"HTTP/1.1 abc\r\n\r\n", b"\x15\x03\x01\x00\x02"])
def test_what_is_not_http_is_unreachable(body: bytes) -> None:
    """A server of another protocol, reached by mistake or on purpose, gives nothing away."""

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(body)

    with talking(talk) as peer, pytest.raises(RemoteUnreachable) as caught:
        get(f"http://here.example:{peer.port}/", ports=(peer.port,))
    assert "garbage" not in caught.value.message


def test_a_body_that_breaks_off_is_no_answer() -> None:
    """Fewer bytes than were announced are not all of them."""

    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")

    with talking(talk) as peer, pytest.raises(RemoteUnreachable):
        get(f"http://here.example:{peer.port}/", ports=(peer.port,))


@pytest.mark.parametrize(
    "packed",
    [b"not packed at all", gzip.compress(b"hello" * 1000)[:-12], gzip.compress(b"a") + b"b"],
    ids=["not packed", "half", "something behind it"],
)
def test_a_body_that_does_not_unpack_is_refused(packed: bytes) -> None:
    """Half an archive is not a short text."""
    with serving(answer(body=packed, Content_Encoding="gzip")) as peer:
        with pytest.raises(RemoteAnswerRefused) as caught:
            get(f"http://here.example:{peer.port}/", ports=(peer.port,))
        assert caught.value.reason == "encoding"


def test_nobody_there_is_unreachable() -> None:
    """A name without addresses and a port without a listener."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        for url in (f"http://nowhere.example:{port}/", f"http://here.example:{port}/"):
            with pytest.raises(RemoteUnreachable):
                get(url, ports=(port,))
    with pytest.raises(RemoteUnreachable):
        get("http://x.example/", names=Names(x=[]))


def test_a_media_type_that_was_not_asked_for_is_refused(hello: Peer) -> None:
    """Of an answer that succeeded; a refusal may come as any page."""
    url = f"http://here.example:{hello.port}/"
    assert get(url, ports=(hello.port,), media_types=("text/csv", "text/plain")).body == b"hello"
    with pytest.raises(RemoteAnswerRefused) as caught:
        get(url, ports=(hello.port,), media_types=("application/json",))
    assert caught.value.reason == "media type"
    with serving(answer(404, b"<h1>no</h1>", "text/html")) as peer:
        found = get(f"http://here.example:{peer.port}/", ports=(peer.port,), media_types=("text/csv",))
        assert (found.status, found.body) == (404, b"<h1>no</h1>")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Host", "x"), ("Content-Length", "1"), ("Transfer-Encoding", "chunked"), ("Connection", "close"),
        ("X-A", "b\r\nX-B: c"), ("X-A\r\nX-B", "c"), ("X A", "b"), ("", "b"), ("X-A", "\u00e4"),
    ],
)  # fmt: skip
def test_headers_that_would_change_the_request_are_not_sent(hello: Peer, name: str, value: str) -> None:
    """A caller's mistake is found here and not on the wire."""
    with pytest.raises(ValueError, match="can't be sent"):
        get(f"http://here.example:{hello.port}/", ports=(hello.port,), headers={name: value})
    assert not hello.seen


def test_a_proxy_of_the_environment_is_not_used(hello: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would dial for us what we have not checked."""
    with serving(answer(body=b"proxied")) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert get(f"http://here.example:{hello.port}/", ports=(hello.port,)).body == b"hello"
        assert not proxy.seen


def test_the_machine_s_own_resolver_is_the_default() -> None:
    """Every address that it has for a name, once each."""
    from shared.platform.fetch.wire import system_resolver

    assert "127.0.0.1" in system_resolver("localhost", 80)
    with pytest.raises(AddressNotAllowed):
        fetch("http://localhost/", Rules(media_types=()), network=Network())
