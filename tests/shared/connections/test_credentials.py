"""Service-account files: what is accepted, what is refused, and what nobody gets to see."""

import base64
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from shared.connections import credentials
from shared.platform.errors import InvalidCiphertext, ValidationFailed


def _pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@pytest.fixture(scope="module")
def file():
    """A well-formed file with a fresh key."""
    return {
        "type": "service_account",
        "project_id": "some-project",
        "private_key_id": "abc",
        "private_key": _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        "client_email": "reader@some-project.iam.gserviceaccount.com",
        "client_id": "1",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://attacker.example/token",
        "universe_domain": "googleapis.com",
    }


def _encode(value):
    return base64.b64encode(json.dumps(value).encode()).decode()


def test_only_what_is_needed_is_kept(file):
    """No address out of the file survives: nothing could call it later."""
    kept = credentials.read("bigquery", _encode(file))
    assert set(kept) == {"project_id", "client_email", "private_key", "private_key_id"}


@pytest.mark.parametrize("name", ["project_id", "client_email", "private_key"])
@pytest.mark.parametrize("value", [None, "", "  ", 5, ["x"]])
def test_a_missing_field_is_named(file, name, value):
    """Field and reason say which one and what to do; the rest of the file is not repeated."""
    broken = {key: item for key, item in file.items() if key != name} | ({name: value} if value else {})
    with pytest.raises(ValidationFailed) as caught:
        credentials.read("bigquery", _encode(broken))
    assert caught.value.field == f"credentials.{name}"
    assert "missing" in (caught.value.reason or "")
    assert "PRIVATE KEY" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "authorized_user"}, "credentials.type"),
        ({"universe_domain": "attacker.example"}, "credentials.universe_domain"),
        ({"project_id": "Not A Project"}, "credentials.project_id"),
        ({"project_id": "../other"}, "credentials.project_id"),
        ({"client_email": "nobody"}, "credentials.client_email"),
        (
            {"private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"},
            "credentials.private_key",
        ),
        ({"api_endpoint": "https://attacker.example"}, "credentials.api_endpoint"),
    ],
)
def test_a_wrong_field_is_named(file, change, field):
    """Unknown fields are refused too: one of them could be an address."""
    with pytest.raises(ValidationFailed) as caught:
        credentials.read("bigquery", _encode(file | change))
    assert caught.value.field == field


def test_only_rsa_keys_of_a_decent_size_are_keys(file):
    """Google signs with RSA; another key would fail later and less clearly."""
    small = _pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))
    curve = _pem(ec.generate_private_key(ec.SECP256R1()))
    for pem in (small, curve):
        with pytest.raises(ValidationFailed):
            credentials.read("bigquery", _encode(file | {"private_key": pem}))


@pytest.mark.parametrize(
    ("encoded", "reason"),
    [
        ("%%%", "not base64"),
        ("e30", "not base64"),
        (base64.b64encode(b"\xff\xfe").decode(), None),
        (base64.b64encode(b"not json").decode(), None),
        (base64.b64encode(b'{"a": 1, "a": 2}').decode(), None),
        (base64.b64encode(b"[]").decode(), "no object"),
        (base64.b64encode(b'"x"').decode(), "no object"),
        (base64.b64encode(b"[" * 100 + b"]" * 100).decode(), None),
        (base64.b64encode(b" " * 70_000).decode(), "too large"),
    ],
)
def test_what_is_no_file_is_refused(encoded, reason):
    """Each fault has a reason, and no text of the file is in it."""
    with pytest.raises(ValidationFailed) as caught:
        credentials.read("bigquery", encoded)
    assert caught.value.field == "credentials"
    assert caught.value.reason
    if reason:
        assert caught.value.reason == reason


@pytest.mark.parametrize("kind", ["postgres", "snowflake"])
def test_types_without_an_adapter_say_so(kind):
    """A clear refusal, not a connection that could never be used."""
    with pytest.raises(ValidationFailed) as caught:
        credentials.read(kind, "e30=")
    assert (caught.value.code, caught.value.field) == ("VALIDATION_ERROR", "connection_type")


def test_stored_credentials_are_sealed_and_bound_to_team_and_connection(cloud):
    """The object is unreadable, and copied to another tenant's path it can't be opened."""
    from shared.platform.cloud import keys, objects

    person = cloud.person()
    ours, theirs = cloud.team(person), cloud.team(person)
    connection = cloud.connection(ours, person, validated=False)
    name = f"{ours}/{connection}.json.enc"
    blob, _ = objects.get("credentials", name)
    assert b"PRIVATE KEY" not in blob
    assert b"reader@" not in blob
    assert objects.head("credentials", name).metadata["kms_key_version"].endswith("/cryptoKeyVersions/1")
    assert b"PRIVATE KEY" in keys.open_sealed(blob, bound_to=f"{ours}/{connection}")
    for elsewhere in (f"{theirs}/{connection}", f"{ours}/{theirs}"):
        with pytest.raises(InvalidCiphertext):
            keys.open_sealed(blob, bound_to=elsewhere)


def test_an_object_copied_over_anothers_does_not_open(cloud):
    """Even somebody who can write the bucket can't lend one team's key to another."""
    from shared.platform.cloud import objects

    person = cloud.person()
    ours, theirs = cloud.team(person), cloud.team(person)
    mine = cloud.connection(ours, person, validated=False)
    stolen, _ = objects.get("credentials", f"{ours}/{mine}.json.enc")
    victim = cloud.connection(theirs, person, validated=False)
    put = objects.put("credentials", f"{theirs}/{victim}.json.enc", stolen)
    with pytest.raises(InvalidCiphertext):
        credentials.warehouse(theirs, victim, "bigquery", put.generation)
