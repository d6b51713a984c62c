"""The methods of google.cloud.secretmanager.v1.SecretManagerService by which values are kept and read."""

import re
import secrets
from typing import Any

import google_crc32c
from google.cloud.secretmanager_v1.types import service as messages

from local.cloud.secrets.vault import Secret, SecretVersion, State, Vault
from local.cloud.serving.grpc_server import Code, Method, Refused, Service, plain

AccessSecretVersionResponse = plain(messages.AccessSecretVersionResponse)
LARGEST = 64 * 1024
_ID = re.compile(r"[a-zA-Z0-9_-]{1,255}")
_PROJECT = re.compile(r"projects/[^/]+(/locations/[^/]+)?")
_KNOWN = {"replication", "labels", "annotations"}


def invalid(message: str) -> Refused:
    return Refused(Code.INVALID_ARGUMENT, message)


class Secrets:
    """Handlers; each change is in the file before it is answered."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault

    async def create_secret(self, request: Any) -> Any:
        if not _PROJECT.fullmatch(request.parent):
            raise invalid(f"parent {request.parent!r} must be projects/PROJECT.")
        if not _ID.fullmatch(request.secret_id):
            raise invalid(f"secret_id {request.secret_id!r} must be 1 to 255 letters, digits, - or _.")
        for field, _value in request.secret.ListFields():
            if field.name not in _KNOWN:
                what = f"secret.{field.name} is not supported by the local Secret Manager."
                raise Refused(Code.UNIMPLEMENTED, what)
        regional = "/locations/" in request.parent
        if not regional and not request.secret.replication.WhichOneof("replication"):
            raise invalid("secret.replication must be set: automatic or user_managed.")
        name = f"{request.parent}/secrets/{request.secret_id}"
        if name in self.vault.secrets:
            raise Refused(Code.ALREADY_EXISTS, f"Secret [{name}] already exists.")
        made = Secret()
        made.CopyFrom(request.secret)
        made.name = name
        made.create_time.GetCurrentTime()
        return self._kept(self.vault.secrets, made)

    def _kept(self, table: dict[str, Any], item: Any) -> Any:
        item.etag = f'"{secrets.token_hex(7)}"'
        table[item.name] = item
        self.vault.save()
        return item

    async def add_secret_version(self, request: Any) -> Any:
        self.vault.secret(request.parent)
        payload = request.payload
        if not payload.data:
            raise invalid("payload.data is empty.")
        if len(payload.data) > LARGEST:
            raise invalid(f"payload.data has {len(payload.data)} bytes; at most {LARGEST} are allowed.")
        checked = payload.HasField("data_crc32c")
        if checked and payload.data_crc32c != google_crc32c.value(payload.data):
            raise invalid("The checksum in payload.data_crc32c did not match payload.data.")
        made = SecretVersion(
            name=f"{request.parent}/versions/{self.vault.latest(request.parent) + 1}",
            state=State.Value("ENABLED"),
            client_specified_payload_checksum=checked,
        )
        made.create_time.GetCurrentTime()
        self.vault.data[made.name] = payload.data
        return self._kept(self.vault.versions, made)

    async def access_secret_version(self, request: Any) -> Any:
        """By number, or the newest as `latest`."""
        version = self.vault.version(request.name)
        response = AccessSecretVersionResponse(name=version.name)
        response.payload.data = self.vault.data[version.name]
        response.payload.data_crc32c = google_crc32c.value(response.payload.data)
        return response


def service(handlers: Secrets) -> Service:
    """The generic handlers, one for each public coroutine of Secrets."""
    answers = {
        "CreateSecret": Secret,
        "AddSecretVersion": SecretVersion,
        "AccessSecretVersion": AccessSecretVersionResponse,
    }
    methods = {}
    for name, answer in answers.items():
        handler = getattr(handlers, re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower())
        methods[name] = Method(plain(getattr(messages, f"{name}Request")), answer, handler)
    return Service("google.cloud.secretmanager.v1.SecretManagerService", methods)
