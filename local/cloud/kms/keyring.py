"""Key rings, keys and versions with their material, kept in one file of mode 0600.

Without that file every ciphertext made with its keys is lost, as it would be with the real service.
"""

import base64
import secrets
from pathlib import Path
from typing import Any

from google.cloud.kms_v1.types import resources

from local.cloud.serving import sealed_file
from local.cloud.serving.grpc_server import Code, Refused, plain

KeyRing = plain(resources.KeyRing)
CryptoKey = plain(resources.CryptoKey)
CryptoKeyVersion = plain(resources.CryptoKeyVersion)


class Ring:
    """All keys of one server."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rings: dict[str, Any] = {}
        self.keys: dict[str, Any] = {}
        self.versions: dict[str, Any] = {}
        self.material: dict[str, bytes] = {}
        state = sealed_file.load(path)
        for name, text in state.get("rings", {}).items():
            self.rings[name] = KeyRing.FromString(base64.b64decode(text))
        for name, text in state.get("keys", {}).items():
            self.keys[name] = CryptoKey.FromString(base64.b64decode(text))
        for name, text in state.get("versions", {}).items():
            self.versions[name] = CryptoKeyVersion.FromString(base64.b64decode(text))
        for name, text in state.get("material", {}).items():
            self.material[name] = base64.b64decode(text)

    def save(self) -> None:
        """Make the present state durable; called before a change is acknowledged."""
        tables = {"rings": self.rings, "keys": self.keys, "versions": self.versions}
        state: dict[str, Any] = {
            table: {name: _text(one.SerializeToString()) for name, one in rows.items()}
            for table, rows in tables.items()
        }
        state["material"] = {name: _text(key) for name, key in self.material.items()}
        sealed_file.save(self._path, state)

    def ring(self, name: str) -> Any:
        return _found(self.rings, "KeyRing", name)

    def key(self, name: str) -> Any:
        return _found(self.keys, "CryptoKey", name)

    def version(self, name: str) -> Any:
        return _found(self.versions, "CryptoKeyVersion", name)

    def add_version(self, key: Any) -> Any:
        """A fresh 256-bit key as the next version; the primary stays."""
        prefix = f"{key.name}/cryptoKeyVersions/"
        # Versions are never removed, so numbers never repeat.
        number = 1 + sum(name.startswith(prefix) for name in self.versions)
        version = CryptoKeyVersion(
            name=f"{prefix}{number}",
            state="ENABLED",
            protection_level="SOFTWARE",
            algorithm="GOOGLE_SYMMETRIC_ENCRYPTION",
        )
        version.create_time.GetCurrentTime()
        version.generate_time.GetCurrentTime()
        self.versions[version.name] = version
        self.material[version.name] = secrets.token_bytes(32)
        return version


def _found(table: dict[str, Any], kind: str, name: str) -> Any:
    if name not in table:
        raise Refused(Code.NOT_FOUND, f"{kind} {name} not found.")
    return table[name]


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
