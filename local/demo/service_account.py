"""The demo warehouse's service account: a key made on this machine, known to the local servers alone."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from local.stack import services

EMAIL = f"warehouse@{services.PROJECT}.iam.gserviceaccount.com"
# What an analyst grants a dashboard tool on their warehouse: run jobs, read data, write nothing.
ROLES = ("bigquery.jobUser", "bigquery.dataViewer")


def ensure(home: Path) -> dict[str, Any]:
    """The key file of the service account, in Google's own form; made and registered once."""
    path = home / "identity" / "warehouse.json"
    if not path.exists():
        path.parent.mkdir(exist_ok=True, mode=0o700)
        _publish(path, _make())
    key: dict[str, Any] = json.loads(path.read_text())
    public = _public(key)
    # Each server keeps the accounts it knows in its own data folder, in its own form.
    _register(home / "storage", key["client_email"], public)
    _register(home / "bigquery", key["client_email"], {"public_key": public, "roles": list(ROLES)})
    return key


def _make() -> dict[str, Any]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "project_id": services.PROJECT,
        "private_key_id": os.urandom(20).hex(),
        "private_key": pem.decode(),
        "client_email": EMAIL,
        "client_id": str(int.from_bytes(os.urandom(8), "big")),
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "universe_domain": "googleapis.com",
    }


def _public(key: dict[str, Any]) -> str:
    from cryptography.hazmat.primitives import serialization

    private = serialization.load_pem_private_key(key["private_key"].encode(), None)
    pem = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return pem.decode()


def _register(data: Path, email: str, entry: Any) -> None:
    """Tell one server about the account, unless it knows."""
    path = data / "service_accounts.json"
    if not data.is_dir():
        return
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if known.get(email) != entry:
        _publish(path, known | {email: entry})


def _publish(path: Path, content: Any) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as file:
        json.dump(content, file, indent=1)
    os.replace(temporary, path)
