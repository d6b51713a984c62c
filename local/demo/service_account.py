"""The demo warehouse's service account: a key made on this machine, known to the local servers alone."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from local.stack import services

EMAIL = f"warehouse@{services.PROJECT}.iam.gserviceaccount.com"
# Servers that check signatures of service accounts read this file in their data folder.
_VERIFIERS = ("storage", "bigquery")


def ensure(home: Path) -> dict[str, Any]:
    """The key file of the service account, in Google's own form; made and registered once."""
    path = home / "identity" / "warehouse.json"
    if not path.exists():
        path.parent.mkdir(exist_ok=True, mode=0o700)
        _publish(path, _make())
    key: dict[str, Any] = json.loads(path.read_text())
    for server in _VERIFIERS:
        _register(home / server / "service_accounts.json", key)
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


def _register(path: Path, key: dict[str, Any]) -> None:
    """Tell one server the account's public key."""
    from cryptography.hazmat.primitives import serialization

    if not path.parent.is_dir():
        return
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    private = serialization.load_pem_private_key(key["private_key"].encode(), None)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    if known.get(key["client_email"]) != public.decode():
        _publish(path, known | {key["client_email"]: public.decode()})


def _publish(path: Path, content: Any) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as file:
        json.dump(content, file, indent=1)
    os.replace(temporary, path)
