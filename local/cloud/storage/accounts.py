"""The service accounts whose signatures this server accepts, in `service_accounts.json` of its data directory.

The file maps an e-mail address to a public key (PEM). `create` makes a key and registers its public half.
"""

import json
import os
import uuid
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

FILE = "service_accounts.json"


def public_keys(data: Path) -> dict[str, rsa.RSAPublicKey]:
    """The registered keys, read anew each time: an account can be added while the server runs."""
    try:
        text = (data / FILE).read_text()
    except FileNotFoundError:
        return {}
    keys = {}
    for email, pem in json.loads(text).items():
        key = serialization.load_pem_public_key(pem.encode())
        if not isinstance(key, rsa.RSAPublicKey):
            raise ValueError(f"{data / FILE}: the key of {email} is not an RSA key")
        keys[email] = key
    return keys


def register(data: Path, email: str, public_key_pem: str) -> None:
    """Accept URLs signed by `email` with the private half of this key; replaces the account's older key."""
    data.mkdir(parents=True, exist_ok=True)
    path = data / FILE
    known = json.loads(path.read_text()) if path.exists() else {}
    known[email] = public_key_pem
    temporary = path.with_name(f".{FILE}.{uuid.uuid4().hex}")
    temporary.write_text(json.dumps(known, indent=2))
    temporary.rename(path)


def create(data: Path, email: str, project: str = "bridge-local") -> dict[str, str]:
    """Make and register a key; answers the account's credentials file, which only its owner should keep."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    register(data, email, public.decode())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "project_id": project,
        "private_key_id": os.urandom(20).hex(),
        "private_key": private.decode(),
        "client_email": email,
        "client_id": str(int.from_bytes(os.urandom(8)) % 10**20),
        "token_uri": "https://oauth2.googleapis.com/token",
    }
