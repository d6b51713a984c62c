"""Secrets and their versions, kept in one file of mode 0600."""

import base64
from pathlib import Path
from typing import Any

from google.cloud.secretmanager_v1.types import resources

from local.cloud.serving import sealed_file
from local.cloud.serving.grpc_server import Code, Refused, plain

Secret = plain(resources.Secret)
SecretVersion = plain(resources.SecretVersion)
State = SecretVersion.State


class Vault:
    """All secrets of one server."""

    def __init__(self, path: Path) -> None:
        self._path = path
        state = sealed_file.load(path)
        self.secrets = {n: Secret.FromString(_bytes(t)) for n, t in state.get("secrets", {}).items()}
        self.versions = {n: SecretVersion.FromString(_bytes(t)) for n, t in state.get("versions", {}).items()}
        self.data = {name: _bytes(text) for name, text in state.get("data", {}).items()}

    def save(self) -> None:
        """Make the present state durable; called before a change is acknowledged."""
        sealed_file.save(
            self._path,
            {
                "secrets": {name: _text(one.SerializeToString()) for name, one in self.secrets.items()},
                "versions": {name: _text(one.SerializeToString()) for name, one in self.versions.items()},
                "data": {name: _text(data) for name, data in self.data.items()},
            },
        )

    def secret(self, name: str) -> Any:
        if name not in self.secrets:
            raise Refused(Code.NOT_FOUND, f"Secret [{name}] not found.")
        return self.secrets[name]

    def latest(self, secret: str) -> int:
        """The number of the newest version, 0 before the first."""
        prefix = f"{secret}/versions/"
        return max((int(n.removeprefix(prefix)) for n in self.versions if n.startswith(prefix)), default=0)

    def version(self, name: str) -> Any:
        """A version by number, or `latest`."""
        secret, _slash, number = name.partition("/versions/")
        self.secret(secret)
        if number == "latest":
            name = f"{secret}/versions/{self.latest(secret)}"
        if name not in self.versions:
            raise Refused(Code.NOT_FOUND, f"Secret Version [{name}] not found.")
        return self.versions[name]


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)
