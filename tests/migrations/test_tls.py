"""The directory over TLS, with a certificate like Cloud SQL's: signed by the instance's own authority, for its name."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pg8000.native
import pytest

from migrations import runner
from shared.platform.errors import Unavailable
from shared.platform.postgres import connect as pg_connect
from shared.platform.settings import BadConfiguration, settings
from tests.local.postgres.conftest import Postgres
from tests.migrations.cloud_sql import Authority, Proxy

pytestmark = pytest.mark.slow


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
        pg_connect._tls.cache_clear()

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
        for attempt in (lambda: runner.connect(url), pg_connect.connect):
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
