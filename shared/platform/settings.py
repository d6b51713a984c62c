"""Configuration, read once and completely; a bad one refuses to start and names all its problems.

This is the only module that reads the environment. Every variable is a documented field with a type.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from shared.platform.errors import MalformedJson
from shared.platform.registry import gathered, kinds
from shared.platform.text import strict_json

PLACEHOLDERS = ("changeme", "change-me", "placeholder", "your-", "xxx", "todo", "example-", "<")
UNLIKE_PLACEHOLDERS = ("BRIDGE_STEP_URL", "BRIDGE_DATABASE_CA")
"""What holds such marks by its nature."""
TLS_MODES = ("disable", "verify-ca", "verify-full")


class BadConfiguration(RuntimeError):
    """The environment can't be used; the message names every variable and what it expects."""


class Settings(BaseModel):
    """All settings. The alias of a field is its environment variable."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    environment: Literal["local", "dev", "staging", "prod"] = Field(alias="BRIDGE_ENV")
    """Where this runs. `local` alone allows the development sign-in."""
    base_url: str = Field(alias="BRIDGE_BASE_URL")
    """The public origin, without a slash at the end."""
    step_url: str = Field(alias="BRIDGE_STEP_URL")
    """Address of a function, with `{name}`: also the audience of the tokens that steps accept."""
    project: str = Field(alias="GOOGLE_CLOUD_PROJECT", min_length=4)
    """The Google Cloud project."""
    region: str = Field(alias="BRIDGE_REGION", default="us-central1")
    """Region of queues, keys and functions."""
    database_url: str = Field(alias="DATABASE_URL", repr=False)
    """postgresql://role:password@host:port/database of the application role; `?host=/…` is the folder of a socket.

    `?sslmode=` is `verify-full` (default), `verify-ca` (no comparison of names; needs BRIDGE_DATABASE_CA) or
    `disable` (default for sockets and loopback)."""
    database_ca: str | None = Field(alias="BRIDGE_DATABASE_CA", default=None, validate_default=True)
    """PEM of the authority that signs the database's certificate (Cloud SQL: the instance's own). None: the system's."""
    pool_size: int = Field(alias="BRIDGE_POOL_SIZE", default=4, ge=1, le=64)
    """Most Postgres connections that one instance holds."""
    bucket_prefix: str = Field(alias="BRIDGE_BUCKET_PREFIX", min_length=3)
    """Buckets are `{prefix}-{role}`, for the roles that rooms declare (functions/manifest.json)."""
    kms_key: str = Field(
        alias="BRIDGE_KMS_KEY", pattern=r"^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$"
    )
    """The key that wraps the data keys of stored credentials."""
    step_service_account: str = Field(alias="BRIDGE_STEP_SERVICE_ACCOUNT", pattern=r"^[^@\s]+@[^@\s]+$")
    """Identity with which Cloud Tasks and Cloud Scheduler call steps."""
    events_service_account: str = Field(alias="BRIDGE_EVENTS_SERVICE_ACCOUNT", pattern=r"^[^@\s]+@[^@\s]+$")
    """Identity with which Eventarc delivers events."""
    oidc_certs_url: str = Field(
        alias="BRIDGE_OIDC_CERTS_URL", default="https://www.googleapis.com/oauth2/v1/certs"
    )
    """Public keys of the token issuer."""
    tokens_checked: bool = Field(alias="BRIDGE_TOKENS_CHECKED", default=False)
    """Cloud Run stands in front of the steps, checks the tokens of their callers and removes the signatures.
    Only where nobody but the two service accounts may invoke the steps."""
    credential_header: Literal["Authorization", "X-Forwarded-Authorization"] = Field(
        alias="BRIDGE_CREDENTIAL_HEADER", default="Authorization"
    )
    """Where a person's access token arrives: API Gateway puts its own into Authorization and moves theirs."""
    hosts: tuple[str, ...] = Field(alias="BRIDGE_HOSTS", default=())
    """Names by which endpoints are addressed besides that of BRIDGE_BASE_URL, separated by commas. `{name}`
    is the function's own, `*` a part of one label: `{name}-*.a.run.app`. A laptop serves names of its own."""
    allowed_origins: tuple[str, ...] = Field(alias="BRIDGE_ALLOWED_ORIGINS", default=())
    """Other origins whose pages may call the API (CORS), separated by commas."""

    platform_admins: tuple[str, ...] = Field(alias="BRIDGE_PLATFORM_ADMINS", default=())
    """E-mail addresses of those who administer the platform across teams, separated by commas."""

    limits: dict[str, StrictInt] = Field(alias="BRIDGE_LIMITS", default={})
    """Limits that differ from their defaults here: a JSON object of names (docs/limits.md) and values."""
    flags: dict[str, StrictBool] = Field(alias="BRIDGE_FLAGS", default={})
    """Feature flags that differ from their defaults here: a JSON object of names and true or false."""
    proxy_hops: int = Field(alias="BRIDGE_PROXY_HOPS", default=1, ge=0, le=8)
    """Proxies of ours in front of a function: the client is this entry of X-Forwarded-For, from the right."""

    storage_emulator: str | None = Field(alias="STORAGE_EMULATOR_HOST", default=None)
    firestore_emulator: str | None = Field(alias="FIRESTORE_EMULATOR_HOST", default=None)
    tasks_emulator: str | None = Field(alias="CLOUD_TASKS_EMULATOR_HOST", default=None)
    kms_emulator: str | None = Field(alias="KMS_EMULATOR_HOST", default=None)
    secrets_emulator: str | None = Field(alias="SECRET_MANAGER_EMULATOR_HOST", default=None)
    warehouse_emulators: dict[str, str] = Field(default={})
    """Addresses of other local servers: every other variable {VENDOR}_EMULATOR_HOST, by its whole name."""

    anthropic_api_key: str | None = Field(alias="ANTHROPIC_API_KEY", default=None, repr=False)
    """Key of the Anthropic API, or `projects/…/secrets/…/versions/…` of one in Secret Manager. None: the built-in analyst."""
    anthropic_base_url: str | None = Field(alias="ANTHROPIC_BASE_URL", default=None)
    default_model: str = Field(alias="BRIDGE_DEFAULT_MODEL", default="claude-sonnet-4-5")

    query_bytes_cap: int = Field(alias="BRIDGE_QUERY_BYTES_CAP", default=100_000_000, ge=1)
    """A dry run at or above this many bytes refuses the query."""
    query_timeout_seconds: int = Field(alias="BRIDGE_QUERY_TIMEOUT", default=60, ge=1, le=600)
    allow_private_warehouses: bool = Field(alias="BRIDGE_ALLOW_PRIVATE_WAREHOUSES", default=False)
    """Whether connections may dial loopback and private addresses."""
    fetch_loopback: bool = Field(alias="BRIDGE_FETCH_LOOPBACK", default=False)
    """Whether addresses that people give may lead to this machine. Only where BRIDGE_ENV is local."""
    traces_address: str | None = Field(
        alias="BRIDGE_TRACES_ADDRESS", default=None, pattern=r"^[^:\s]+:[0-9]{1,5}$"
    )
    """host:port of the laptop's trace view, which takes each span as a datagram."""
    otlp_endpoint: str | None = Field(alias="OTEL_EXPORTER_OTLP_ENDPOINT", default=None)
    """Base address of an OpenTelemetry collector (OTLP over HTTP). None: nothing is exported."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(alias="BRIDGE_LOG_LEVEL", default="INFO")

    @field_validator("hosts", "allowed_origins", "platform_admins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return (
            tuple(part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("hosts")
    @classmethod
    def _are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            labels = one.replace("{name}", "n").split(".")
            if not all(re.fullmatch(r"[A-Za-z0-9*-]{1,63}", label) for label in labels):
                raise ValueError(f"{one!r} is not a host's name (without scheme and port)")
            if any("*" in label for label in labels[-2:]):
                raise ValueError(f"{one!r} would take every name of a domain in")
        return value

    @field_validator("platform_admins")
    @classmethod
    def _are_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [one for one in value if not re.fullmatch(r"[^@\s]+@[^@\s]+", one)]:
            raise ValueError(f"{wrong[0]!r} is not an e-mail address")
        return tuple(one.lower() for one in value)

    @field_validator("limits", "flags", mode="before")
    @classmethod
    def _read_object(cls, value: object) -> object:
        try:
            return strict_json.loads(value.encode()) if isinstance(value, str) else value
        except MalformedJson as error:
            raise ValueError(f"must be a JSON object ({error.reason})") from None

    @field_validator("limits")
    @classmethod
    def _are_limits(cls, value: dict[str, int]) -> dict[str, int]:
        known = {**gathered.LIMITS, **gathered.RATES, **gathered.PERSONAL}
        for name, most in value.items():
            if name not in known:
                raise ValueError(f"there is no limit {name!r}")
            if not 0 <= most <= kinds.MOST:
                raise ValueError(f"{name} must be from 0 to {kinds.MOST}")
        return value

    @field_validator("flags")
    @classmethod
    def _are_flags(cls, value: dict[str, bool]) -> dict[str, bool]:
        if unknown := sorted(set(value) - set(gathered.FLAGS)):
            raise ValueError(f"there is no flag {unknown[0]!r}")
        return value

    @field_validator("step_url")
    @classmethod
    def _names_the_step(cls, value: str) -> str:
        if "{name}" not in value:
            raise ValueError("must contain {name}")
        return value

    @field_validator("base_url", "step_url", "oidc_certs_url")
    @classmethod
    def _is_a_url(cls, value: str) -> str:
        if urlsplit(value).scheme not in ("http", "https"):
            raise ValueError("must start with http:// or https://")
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: str) -> str:
        url = urlsplit(value)
        if url.scheme not in ("postgresql", "postgres"):
            raise ValueError("must be postgresql://role:password@host:port/database")
        options = {name: values[0] for name, values in parse_qs(url.query).items()}
        if (auth := options.get("auth", "password")) not in ("password", "iam"):
            raise ValueError(f"has auth={auth[:20]}; it can be password or iam")
        if auth == "iam" and url.password:
            raise ValueError("has auth=iam and a password; an account's token takes its place")
        if auth == "iam" and options.get("sslmode") == "disable":
            raise ValueError(
                "has auth=iam and sslmode=disable; the account's token would travel in the clear"
            )
        return value

    @field_validator("database_ca")
    @classmethod
    def _signs_what_is_compared(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and "BEGIN CERTIFICATE" not in value:
            raise ValueError("must be a certificate in PEM form")
        mode = parse_qs(urlsplit(str(info.data.get("database_url", ""))).query).get(
            "sslmode", ["verify-full"]
        )[0]
        if mode not in TLS_MODES:
            raise ValueError(f"DATABASE_URL has sslmode={mode}; it can be {', '.join(TLS_MODES)}")
        if mode == "verify-ca" and value is None:
            # Any certificate of any authority would do.
            raise ValueError("required with sslmode=verify-ca")
        return value

    @field_validator("fetch_loopback")
    @classmethod
    def _closed_to_itself(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("environment") != "local":
            raise ValueError("may be on only where BRIDGE_ENV is local")
        return value

    @property
    def is_local(self) -> bool:
        """Whether this is a laptop."""
        return self.environment == "local"

    def bucket(self, role: str) -> str:
        """The bucket of a role."""
        if role not in gathered.BUCKETS:
            raise KeyError(f"no bucket has the role {role!r}")
        return f"{self.bucket_prefix}-{role}"

    def role_of(self, bucket: str) -> str | None:
        """The role of a bucket, or None if it is not ours."""
        return next((role for role in gathered.BUCKETS if self.bucket(role) == bucket), None)


def load(environment: Mapping[str, str]) -> Settings:
    """Settings from variables; raises BadConfiguration with every problem at once."""
    known = {field.alias for field in Settings.model_fields.values() if field.alias}
    given: dict[str, Any] = {
        name: value for name, value in environment.items() if name in known and value != ""
    }
    problems = [
        f"{name}: still a placeholder"
        for name, value in sorted(given.items())
        if any(mark in value.lower() for mark in PLACEHOLDERS) and name not in UNLIKE_PLACEHOLDERS
    ]
    try:
        emulators = {
            name: value
            for name, value in environment.items()
            if name.endswith("_EMULATOR_HOST") and name not in known and value
        }
        settings = Settings.model_validate(given | {"warehouse_emulators": emulators})
    except ValidationError as error:
        # A default that does not fit is told by its field, what was given by its variable.
        variable = {name: field.alias for name, field in Settings.model_fields.items()}
        problems += [
            f"{'.'.join(str(variable.get(str(part), part)) for part in issue['loc'])}: {issue['msg']}"
            for issue in error.errors()
        ]
    if problems:
        raise BadConfiguration("The environment is not usable:\n  " + "\n  ".join(problems))
    return settings


@lru_cache(maxsize=1)
def settings() -> Settings:
    """This process's settings, read at first use."""
    return load(os.environ)


def service_name() -> str | None:
    """The deployed function's own name, which Cloud Run sets; None where many run in one process."""
    return os.environ.get("K_SERVICE") or None
