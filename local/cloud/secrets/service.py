"""The methods of google.cloud.secretmanager.v1.SecretManagerService."""

import re
import secrets
from typing import Any

import google_crc32c
from google.cloud.secretmanager_v1.types import service as messages
from google.protobuf import empty_pb2

from local.cloud.secrets.vault import Secret, SecretVersion, State, Vault
from local.cloud.serving.grpc_server import Code, Method, Refused, Service, plain
from local.cloud.serving.paging import page

AccessSecretVersionResponse = plain(messages.AccessSecretVersionResponse)
LARGEST = 64 * 1024
_ID = re.compile(r"[a-zA-Z0-9_-]{1,255}")
_PROJECT = re.compile(r"projects/[^/]+(/locations/[^/]+)?")
_ALIAS = re.compile(r"(?!(?:latest|NEW)$)[a-zA-Z][a-zA-Z0-9_-]{0,62}")
_MOST_ALIASES = 50
_ENABLED, _DISABLED = State.Value("ENABLED"), State.Value("DISABLED")
_DESTROYED = State.Value("DESTROYED")


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
        regional = "/locations/" in request.parent
        if not regional and not request.secret.replication.WhichOneof("replication"):
            raise invalid("secret.replication must be set: automatic or user_managed.")
        name = f"{request.parent}/secrets/{request.secret_id}"
        if name in self.vault.secrets:
            raise Refused(Code.ALREADY_EXISTS, f"Secret [{name}] already exists.")
        made = Secret()
        made.CopyFrom(request.secret)
        made.name = name
        self._check_aliases(made)
        made.create_time.GetCurrentTime()
        return self._kept(self.vault.secrets, made)

    def _kept(self, table: dict[str, Any], item: Any) -> Any:
        item.etag = f'"{secrets.token_hex(7)}"'
        table[item.name] = item
        self.vault.save()
        return item

    async def get_secret(self, request: Any) -> Any:
        return self.vault.secret(request.name)

    async def list_secrets(self, request: Any) -> Any:
        prefix = f"{request.parent}/secrets/"
        found = [self.vault.secrets[name] for name in sorted(self.vault.secrets) if name.startswith(prefix)]
        return _page(messages.ListSecretsResponse, "secrets", found, request)

    async def update_secret(self, request: Any) -> Any:
        found = self.vault.secret(request.secret.name)
        _check_etag(found, request.secret.etag)
        allowed = {"labels", "annotations", "version_aliases"}
        for path in request.update_mask.paths:
            if path.partition(".")[0] not in allowed:
                raise invalid(f"update_mask: {path!r} can't be updated; these can: {sorted(allowed)}.")
        changed = Secret()
        changed.CopyFrom(found)
        for path in request.update_mask.paths:
            changed.ClearField(path.partition(".")[0])
        request.update_mask.MergeMessage(request.secret, changed)
        self._check_aliases(changed)
        return self._kept(self.vault.secrets, changed)

    def _check_aliases(self, secret: Any) -> None:
        """The rules of the reference of Secret.version_aliases, and a version for each alias."""
        if len(secret.version_aliases) > _MOST_ALIASES:
            raise invalid(f"secret.version_aliases has more than {_MOST_ALIASES} aliases.")
        for alias, number in secret.version_aliases.items():
            if not _ALIAS.fullmatch(alias):
                raise invalid(
                    f"secret.version_aliases: {alias!r} must begin with a letter, have at most 63 letters, digits, "
                    "- or _, and be neither latest nor NEW."
                )
            if f"{secret.name}/versions/{number}" not in self.vault.versions:
                raise invalid(
                    f"secret.version_aliases: {alias!r} names version {number}, which does not exist."
                )

    async def delete_secret(self, request: Any) -> Any:
        _check_etag(self.vault.secret(request.name), request.etag)
        for version in self.vault.versions_of(request.name):
            del self.vault.versions[version.name]
            self.vault.data.pop(version.name, None)
        del self.vault.secrets[request.name]
        self.vault.save()
        return empty_pb2.Empty()

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
        number = len(self.vault.versions_of(request.parent)) + 1  # versions outlive their destruction
        made = SecretVersion(
            name=f"{request.parent}/versions/{number}",
            state=_ENABLED,
            client_specified_payload_checksum=checked,
        )
        made.create_time.GetCurrentTime()
        self.vault.data[made.name] = payload.data
        return self._kept(self.vault.versions, made)

    async def get_secret_version(self, request: Any) -> Any:
        return self.vault.version(request.name)

    async def access_secret_version(self, request: Any) -> Any:
        version = self.vault.version(request.name)
        if version.state != _ENABLED:
            raise _in_state(version)
        response = AccessSecretVersionResponse(name=version.name)
        response.payload.data = self.vault.data[version.name]
        response.payload.data_crc32c = google_crc32c.value(response.payload.data)
        return response

    async def list_secret_versions(self, request: Any) -> Any:
        self.vault.secret(request.parent)
        found = self.vault.versions_of(request.parent)
        return _page(messages.ListSecretVersionsResponse, "versions", found, request)

    async def disable_secret_version(self, request: Any) -> Any:
        return self._switch(request, _DISABLED)

    async def enable_secret_version(self, request: Any) -> Any:
        return self._switch(request, _ENABLED)

    def _numbered(self, request: Any) -> Any:
        """The version to change: aliases, `latest` among them, are for reading only."""
        number = request.name.partition("/versions/")[2]
        if not number.isdecimal():
            raise invalid(f"name {request.name!r} must end with the version's number.")
        return self.vault.version(request.name)

    def _switch(self, request: Any, state: int) -> Any:
        version = self._numbered(request)
        _check_etag(version, request.etag)
        if version.state == _DESTROYED:
            raise _in_state(version)
        version.state = state
        return self._kept(self.vault.versions, version)

    async def destroy_secret_version(self, request: Any) -> Any:
        version = self._numbered(request)
        _check_etag(version, request.etag)
        if version.state == _DESTROYED:
            raise _in_state(version)
        version.state = _DESTROYED
        version.destroy_time.GetCurrentTime()
        self.vault.data.pop(version.name)
        return self._kept(self.vault.versions, version)


def _page(response: Any, field: str, found: list[Any], request: Any) -> Any:
    if request.filter:
        raise invalid("filter is not served by this Secret Manager: filter in the caller.")
    part, token = page(found, request.page_token, request.page_size or 100)
    return plain(response)(**{field: part}, next_page_token=token, total_size=len(found))


def _check_etag(found: Any, etag: str) -> None:
    if etag and etag != found.etag:
        raise Refused(
            Code.FAILED_PRECONDITION, f"etag {etag} of [{found.name}] is not the current {found.etag}."
        )


def _in_state(version: Any) -> Refused:
    state = State.Name(version.state)
    return Refused(Code.FAILED_PRECONDITION, f"Secret Version [{version.name}] is in {state} state.")


def service(handlers: Secrets) -> Service:
    """The generic handlers, one for each public coroutine of Secrets."""
    answers = {
        "CreateSecret": Secret,
        "GetSecret": Secret,
        "ListSecrets": plain(messages.ListSecretsResponse),
        "UpdateSecret": Secret,
        "DeleteSecret": empty_pb2.Empty,
        "AddSecretVersion": SecretVersion,
        "GetSecretVersion": SecretVersion,
        "AccessSecretVersion": AccessSecretVersionResponse,
        "ListSecretVersions": plain(messages.ListSecretVersionsResponse),
        "DisableSecretVersion": SecretVersion,
        "EnableSecretVersion": SecretVersion,
        "DestroySecretVersion": SecretVersion,
    }
    methods = {}
    for name, answer in answers.items():
        handler = getattr(handlers, re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower())
        methods[name] = Method(plain(getattr(messages, f"{name}Request")), answer, handler)
    return Service("google.cloud.secretmanager.v1.SecretManagerService", methods)
