"""The directory over TLS, with a certificate like Cloud SQL's: signed by the instance's own authority, for its name."""

import contextlib
import datetime as dt
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pg8000.native
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from migrations import runner
from shared.platform import pg
from shared.platform.errors import Unavailable
from shared.platform.settings import BadConfiguration, settings
from tests.local.postgres.conftest import Postgres

pytestmark = pytest.mark.slow

SSL_REQUEST = struct.pack(">II", 8, 80877103)
"""What a client sends first when it wants TLS (PostgreSQL, "Message Formats")."""


class Authority:
    """Signs certificates for one name."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Google Cloud SQL Server CA")])
        self.pem = self._sign(self.name, self.key.public_key(), is_authority=True)

    def certificate(self, name: str) -> tuple[str, str]:
        """A server's certificate and key, as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return self._sign(subject, key.public_key(), is_authority=False), pem.decode()

    def _sign(self, subject: x509.Name, key: Any, *, is_authority: bool) -> str:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


class Proxy:
    """Speaks TLS for a Postgres that has none, as Cloud SQL's server does: the client asks, then the handshake."""

    def __init__(self, target: int, certificate: tuple[str, str], folder: Path) -> None:
        self._target = target
        (folder / "server.crt").write_text(certificate[0])
        (folder / "server.key").write_text(certificate[1])
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "server.crt", folder / "server.key")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.handshakes = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._one, args=(client,), daemon=True).start()

    def _one(self, client: socket.socket) -> None:
        """One connection, until either side ends it; a client that does not like the certificate just leaves."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._target)) as server:
            first = client.recv(8)
            if first == SSL_REQUEST:
                client.sendall(b"S")
                client = self._context.wrap_socket(client, server_side=True)
                self.handshakes += 1
            else:
                server.sendall(first)
            answers = threading.Thread(target=_pump, args=(server, client), daemon=True)
            answers.start()
            _pump(client, server)
            answers.join(5)
        client.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def proxy(postgres: Postgres, authority: Authority, tmp_path: Path) -> Iterator[Proxy]:
    """The instance, reached by an address that its certificate does not name."""
    made = Proxy(postgres.port, authority.certificate("bridge-prod:directory"), tmp_path)
    yield made
    made.close()


@pytest.fixture
def connect(
    postgres: Postgres, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., bool]]:
    """Connect as migrations and as functions do; whether both were encrypted. Raises what both raise."""
    for name in ("BRIDGE_BASE_URL", "BRIDGE_STEP_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/_fn/{name}")
    for name, value in {
        "BRIDGE_ENV": "dev",
        "GOOGLE_CLOUD_PROJECT": "bridge-tls",
        "BRIDGE_BUCKET_PREFIX": "bridge-tls",
        "BRIDGE_KMS_KEY": "projects/p/locations/l/keyRings/r/cryptoKeys/k",
        "BRIDGE_STEP_SERVICE_ACCOUNT": "steps@x.iam",
        "BRIDGE_EVENTS_SERVICE_ACCOUNT": "events@x.iam",
    }.items():
        monkeypatch.setenv(name, value)

    def forget() -> None:
        settings.cache_clear()
        pg._tls.cache_clear()

    def both(mode: str, authority: str | None) -> bool:
        if authority is None:
            monkeypatch.delenv("BRIDGE_DATABASE_CA", raising=False)
        else:
            monkeypatch.setenv("BRIDGE_DATABASE_CA", authority)
        url = f"{postgres.url()}?sslmode={mode}".replace(f":{postgres.port}/", f":{proxy.port}/")
        monkeypatch.setenv("DATABASE_URL", url)
        forget()
        said: list[bool] = []
        failed: list[Exception] = []
        for attempt in (lambda: runner.connect(url), lambda: pg._connect().driver):
            before = proxy.handshakes
            try:
                with contextlib.closing(attempt()) as connection:
                    assert connection.run("SELECT current_user") == [["bridge_owner"]]
                    said.append(proxy.handshakes > before)
            except Exception as error:
                failed.append(error)
        assert len(said) in (0, 2), f"one connects and the other says {failed}"
        if failed:
            raise ExceptionGroup("neither connects", failed)
        assert said[0] == said[1]
        return said[0]

    yield both
    monkeypatch.undo()
    forget()


def test_the_instances_own_authority_is_enough(authority: Authority, connect: Callable[..., bool]) -> None:
    """Cloud SQL is reached by an address that no certificate names: verify-ca compares the authority alone."""
    assert connect("verify-ca", authority.pem) is True
    assert connect("disable", None) is False


def test_a_server_of_another_authority_or_name_is_refused(
    authority: Authority, connect: Callable[..., bool]
) -> None:
    """Who sits between us and the database has no certificate of its authority, or one for another name."""
    for mode, known in (
        ("verify-ca", Authority().pem),
        ("verify-full", authority.pem),
        ("verify-full", None),
    ):
        with pytest.raises(ExceptionGroup) as caught:
            connect(mode, known)
        of_migrations, of_functions = caught.value.exceptions
        assert isinstance(of_migrations, pg8000.native.InterfaceError | OSError)
        assert isinstance(of_functions, Unavailable)


def test_what_would_trust_anybody_is_refused_before_connecting(connect: Callable[..., bool]) -> None:
    """verify-ca without an authority would accept any site's certificate; an unknown mode means nothing."""
    for mode in ("verify-ca", "require", "prefer"):
        with pytest.raises(ExceptionGroup) as caught:
            connect(mode, None)
        assert [type(error) for error in caught.value.exceptions] == [runner.MigrationError, BadConfiguration]
