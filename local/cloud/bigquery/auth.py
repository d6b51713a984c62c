"""Who calls: nobody in particular (emulator mode, an admin) or a service account that signs its own JWT.

A Bearer that is a JWT is verified against DIR/service_accounts.json, so a wrong key fails as it does in the cloud:

    {email: {"public_key": PEM, "roles": ["bigquery.jobUser", …], "datasets": {"sales": ["bigquery.dataViewer"]}}}

`roles` hold for every project; those under `datasets` for that data set alone, of whatever project.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.cloud.bigquery.errors import BigQueryError, access_denied

_WRITERS = frozenset({"bigquery.admin", "bigquery.dataEditor", "bigquery.dataOwner", "editor", "owner"})
_READERS = _WRITERS | {"bigquery.dataViewer", "viewer"}
_METADATA = _READERS | {"bigquery.metadataViewer", "bigquery.user"}
_JOBS = frozenset({"bigquery.admin", "bigquery.jobUser", "bigquery.user", "editor", "owner", "viewer"})
_LEEWAY_S = 10


@dataclass(frozen=True, slots=True)
class Caller:
    email: str
    roles: frozenset[str]
    datasets: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @staticmethod
    def admin() -> "Caller":
        return Caller("anonymous@bridge-local.iam.gserviceaccount.com", frozenset({"bigquery.admin"}))

    def may_read(self, _project: str, dataset: str) -> bool:
        return bool(self._on(dataset) & _READERS)

    def may_see(self, _project: str, dataset: str | None = None) -> bool:
        """Whether the metadata of a data set, or without one of the whole project, is open to the caller."""
        return bool(self._on(dataset) & _METADATA)

    def may_see_some(self, project: str) -> bool:
        """Whether there is anything of the project in the caller's lists."""
        return self.may_see(project) or any(self.may_see(project, name) for name in self.datasets)

    def _on(self, dataset: str | None) -> frozenset[str]:
        return self.roles | self.datasets.get(dataset or "", frozenset())

    def may_write(self, _project: str) -> bool:
        return bool(self.roles & _WRITERS)

    def require_jobs(self, project: str) -> None:
        if not self.roles & _JOBS:
            raise access_denied(
                f"Project {project}: User does not have bigquery.jobs.create permission in project {project}."
            )

    def require_metadata(self, what: str, permission: str, dataset: str | None = None) -> None:
        if not self._on(dataset) & _METADATA:
            raise access_denied(
                f"{what}: Permission {permission} denied on {what.lower()} (or it may not exist)."
            )

    def require_read(self, what: str, dataset: str) -> None:
        if not self._on(dataset) & _READERS:
            raise access_denied(
                f"{what}: Permission bigquery.tables.getData denied on {what.lower()} (or it may not exist)."
            )

    def require_write(self, what: str) -> None:
        if not self.roles & _WRITERS:
            raise access_denied(
                f"{what}: Permission bigquery.tables.update denied on {what.lower()} (or it may not exist)."
            )


class Accounts:
    """The service accounts of the file, read again whenever it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._accounts: dict[str, Any] = {}

    def caller(self, authorization: str | None) -> Caller:
        """The caller of a request; raises 401 for a JWT that doesn't verify."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or token.count(".") != 2:
            return Caller.admin()
        return self._verified(token)

    def _verified(self, token: str) -> Caller:
        from google.auth import exceptions, jwt

        try:
            email = jwt.decode(token, verify=False).get("iss")
            account = self._load().get(str(email))
            if account is None:
                raise ValueError("unknown service account")
            claims = jwt.decode(token, certs=account["public_key"], clock_skew_in_seconds=_LEEWAY_S)
            if claims.get("sub") not in (None, email):
                raise ValueError("sub is not iss")
        except (ValueError, exceptions.GoogleAuthError, KeyError) as error:
            raise BigQueryError(
                401,
                "authError",
                "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other "
                f"valid authentication credential. ({type(error).__name__})",
                "Authorization",
            ) from None
        grants = {name: frozenset(roles) for name, roles in account.get("datasets", {}).items()}
        return Caller(str(email), frozenset(account.get("roles", ())), grants)

    def _load(self) -> dict[str, Any]:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return {}
        version = (stat.st_mtime_ns, stat.st_size)
        if version != self._seen:
            self._accounts = json.loads(self._path.read_text())
            self._seen = version
        return self._accounts
