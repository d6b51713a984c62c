"""A bad environment refuses to start and names all its problems."""

import pytest

from shared.platform.settings import BadConfiguration, load

GOOD = {
    "BRIDGE_ENV": "prod",
    "BRIDGE_BASE_URL": "https://bridge.acme.test/",
    "BRIDGE_STEP_URL": "https://steps.acme.test/{name}",
    "GOOGLE_CLOUD_PROJECT": "acme-bridge",
    "DATABASE_URL": "postgresql://app:pw@10.0.0.3:5432/bridge",
    "BRIDGE_BUCKET_PREFIX": "acme-bridge",
    "BRIDGE_KMS_KEY": "projects/p/locations/l/keyRings/r/cryptoKeys/k",
    "BRIDGE_STEP_SERVICE_ACCOUNT": "steps@acme.test",
    "BRIDGE_EVENTS_SERVICE_ACCOUNT": "events@acme.test",
}


def test_a_complete_environment_is_read() -> None:
    """Values arrive typed, with the trailing slash of the origin gone."""
    settings = load(GOOD | {"BRIDGE_ALLOWED_ORIGINS": "https://a.test, https://b.test"})
    assert settings.base_url == "https://bridge.acme.test"
    assert settings.allowed_origins == ("https://a.test", "https://b.test")
    assert settings.query_bytes_cap == 100_000_000
    assert settings.role_of("acme-bridge-catalog") == "catalog"
    assert settings.role_of("acme-bridge-other") is None


def test_all_problems_are_reported_together_by_name() -> None:
    """Missing, malformed and placeholder values stand in one message."""
    broken = GOOD | {
        "BRIDGE_ENV": "production",
        "DATABASE_URL": "mysql://x",
        "BRIDGE_QUERY_BYTES_CAP": "lots",
        "ANTHROPIC_API_KEY": "your-key-here",
    }
    del broken["BRIDGE_KMS_KEY"]
    with pytest.raises(BadConfiguration) as caught:
        load(broken)
    for name in (
        "BRIDGE_ENV",
        "DATABASE_URL",
        "BRIDGE_QUERY_BYTES_CAP",
        "ANTHROPIC_API_KEY",
        "BRIDGE_KMS_KEY",
    ):
        assert name in str(caught.value)


def test_secrets_are_not_shown() -> None:
    """Neither the password nor the key is in the representation that a log could catch."""
    text = repr(load(GOOD | {"ANTHROPIC_API_KEY": "sk-canary-123456"}))
    assert "sk-canary" not in text
    assert "app:pw" not in text


def test_platform_admins_are_addresses() -> None:
    """They are compared in lower case, nobody is one by default, and what is no address stops the start."""
    assert load(GOOD).platform_admins == ()
    assert load(GOOD | {"BRIDGE_PLATFORM_ADMINS": "Ann@acme.test, bob@acme.test"}).platform_admins == (
        "ann@acme.test",
        "bob@acme.test",
    )
    with pytest.raises(BadConfiguration, match="BRIDGE_PLATFORM_ADMINS"):
        load(GOOD | {"BRIDGE_PLATFORM_ADMINS": "ann"})


def test_only_a_laptop_fetches_from_itself() -> None:
    """Loopback behind an address that a person gave would be ours anywhere else."""
    assert load(GOOD | {"BRIDGE_ENV": "local", "BRIDGE_FETCH_LOOPBACK": "true"}).fetch_loopback
    with pytest.raises(BadConfiguration, match="BRIDGE_FETCH_LOOPBACK"):
        load(GOOD | {"BRIDGE_FETCH_LOOPBACK": "true"})


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("BRIDGE_LIMITS", '{"scans": 5', "JSON"),
        ("BRIDGE_LIMITS", '{"scans": 5, "scans": 6}', "JSON"),
        ("BRIDGE_LIMITS", '{"bananas": 5}', "no limit 'bananas'"),
        ("BRIDGE_LIMITS", '{"scans": -1}', "scans must be from 0"),
        ("BRIDGE_LIMITS", '{"scans": "5"}', "integer"),
        ("BRIDGE_LIMITS", '{"scans": true}', "integer"),
        ("BRIDGE_LIMITS", "[1]", "dictionary"),
        ("BRIDGE_FLAGS", '{"bananas": true}', "no flag 'bananas'"),
        ("BRIDGE_FLAGS", '{"lab_sweeps": "yes"}', "boolean"),
    ],
)
def test_limits_and_flags_are_read_strictly(name: str, value: str, told: str) -> None:
    """What nobody knows or what is no number stops the start, by the variable's name."""
    with pytest.raises(BadConfiguration, match=name) as caught:
        load(GOOD | {name: value})
    assert told in str(caught.value)


def test_limits_and_flags_of_an_environment() -> None:
    """Rates and quotas in one variable, flags in another; the rest keeps its defaults."""
    settings = load(
        GOOD | {"BRIDGE_LIMITS": '{"scans": 5, "rate_read": 0}', "BRIDGE_FLAGS": '{"lab_sweeps": false}'}
    )
    assert settings.limits == {"scans": 5, "rate_read": 0}
    assert settings.flags == {"lab_sweeps": False}


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://a%40p.iam:pw@10.0.0.3/bridge?auth=iam", "auth=iam and a password"),
        ("postgresql://a%40p.iam@10.0.0.3/bridge?auth=iam&sslmode=disable", "in the clear"),
        ("postgresql://a%40p.iam@10.0.0.3/bridge?auth=kerberos", "auth=kerberos"),
        ("postgresql://app:pw@10.0.0.3/bridge?sslmode=prefer", "sslmode=prefer"),
        ("postgresql://app:pw@10.0.0.3/bridge?sslmode=verify-ca", "required with sslmode=verify-ca"),
    ],
)
def test_an_address_of_the_directory_that_is_unsafe_stops_the_start(url: str, told: str) -> None:
    """A password beside a token, a token in the clear, a certificate of anybody: each is refused by its name."""
    with pytest.raises(BadConfiguration, match=r"  (BRIDGE_DATABASE_CA|DATABASE_URL): ") as caught:
        load(GOOD | {"DATABASE_URL": url})
    assert told in str(caught.value)
    assert "pw" not in str(caught.value)


def test_an_account_signs_in_to_the_directory_over_tls_or_a_socket() -> None:
    """What Cloud SQL offers: a private address under the instance's authority, or its socket."""
    for url in (
        "postgresql://a%40p.iam@10.0.0.3/bridge?auth=iam",
        "postgresql://a%40p.iam@/bridge?host=/cloudsql/p:r:i&auth=iam",
    ):
        assert load(GOOD | {"DATABASE_URL": url}).database_url == url
