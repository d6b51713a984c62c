"""What a function says of itself: the source of the manifest, the routes and the checks.

A decorator leaves one Declaration on the handler that it wraps. Everything else (gateway, Terraform,
OpenAPI, the local stack, the structural tests) reads the manifest made from these.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_type_hints

from pydantic import BaseModel

from shared.platform.edge.auth import Scope
from shared.platform.settings import service_name

Kind = Literal["http", "sse", "task", "finalized", "scheduled"]
Who = Literal["public", "user", "member", "admin", "platform_admin"]

ATTRIBUTE = "__bridge__"
MAX_BODY = 1 << 20


@dataclass(frozen=True)
class Declaration:
    """One deployable function."""

    kind: Kind
    module: str = ""
    entry_point: str = ""
    summary: str = ""
    timeout: int = 60
    memory_mb: int = 256
    once: str | bool = False
    """Of an endpoint: whether the Idempotency-Key is honoured. Of a step: what its key is made of."""
    method: str | None = None
    paths: tuple[str, ...] = ()
    role: Who | None = None
    scope: Scope | None = None
    team: str | None = None
    max_body: int = MAX_BODY
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    answer: Any = None
    status: int = 200
    message: type[BaseModel] | None = None
    queue: str | None = None
    retry_seconds: int = 0
    attempts: int = 0
    bucket: str | None = None
    pattern: str | None = None
    schedule: str | None = None
    local_only: bool = False
    any_query: bool = False
    rate: str | None = None

    @property
    def route_class(self) -> str:
        """The class whose rate limit counts its requests: the declared one, or what the method says."""
        if self.rate is not None:
            return self.rate
        if self.role == "public":
            return "public"
        return "stream" if self.kind == "sse" else "read" if self.method == "GET" else "write"

    @property
    def needs(self) -> Scope | None:
        """The scope that an access token must have: by what is done, unless the function says otherwise."""
        if self.scope is not None or self.role in (None, "public"):
            return self.scope
        if self.role in ("admin", "platform_admin"):
            return "admin"
        return "read" if self.method == "GET" else "write"

    @property
    def name(self) -> str:
        """The deployed name, from the folders: functions.catalog.scan_dataset.main → catalog-scan-dataset."""
        parts = self.module.split(".")
        folders = parts[parts.index("functions") + 1 : -1] if "functions" in parts else parts
        return "-".join(folders).replace("_", "-")


def describe(declaration: Declaration, handler: Callable[..., Any]) -> Declaration:
    """The declaration with what the handler itself says: where it stands, its summary, what it answers."""
    module = inspect.getmodule(handler)
    text = (module.__doc__ if module else None) or handler.__doc__ or handler.__name__
    return replace(
        declaration,
        module=_module_of(handler),
        entry_point=handler.__name__,
        summary=text.strip().splitlines()[0],
        answer=handler_models(handler)[1] if declaration.kind == "http" else None,
    )


def handler_models(function: Callable[..., Any]) -> tuple[dict[str, Any], Any]:
    """The annotated parameters after the first, and the return annotation."""
    hints = get_type_hints(function)
    names = list(inspect.signature(function).parameters)[1:]
    return {name: hints.get(name) for name in names}, hints.get("return")


def first_parameter(function: Callable[..., Any]) -> Any:
    """The annotation of the first parameter: what a handler is called with."""
    name = next(iter(inspect.signature(function).parameters), None)
    return None if name is None else get_type_hints(function).get(name)


def qualified_name(function: Callable[..., Any] | None) -> str | None:
    """`package.module.function`, as the manifest names who finds a resource's team."""
    return None if function is None else f"{function.__module__}.{function.__qualname__}"


def attach(entry: Callable[..., Any], handler: Callable[..., Any], declaration: Declaration) -> None:
    """Give the entry point the handler's name and its declaration, and register it as an HTTP function.

    Event functions are registered as HTTP too: functions-framework's own CloudEvent wrapper answers a
    malformed event by echoing its headers and body, and ours must not.
    """
    import functions_framework

    entry.__name__ = entry.__qualname__ = handler.__name__
    entry.__module__, entry.__doc__ = handler.__module__, handler.__doc__
    setattr(entry, ATTRIBUTE, declaration)
    functions_framework.http(entry)


def _module_of(handler: Callable[..., Any]) -> str:
    """The dotted module of a door, which its deployed name is made from.

    functions-framework imports every door as plain `main`; what is deployed then knows its own name from
    the platform alone (K_SERVICE).
    """
    module = handler.__module__
    if "functions" in module.split("."):
        return module
    service = service_name()
    return f"functions.{service}.main" if service else module


_SEGMENT = re.compile(r"\{([a-z_]+)(:path)?\}")


def compile_path(template: str) -> re.Pattern[str]:
    """A pattern with one group for each `{name}`; `{name:path}` takes the rest of the path."""
    pattern, last = "", 0
    for match in _SEGMENT.finditer(template):
        pattern += re.escape(template[last : match.start()])
        pattern += f"(?P<{match[1]}>.+)" if match[2] else f"(?P<{match[1]}>[^/]+)"
        last = match.end()
    return re.compile(pattern + re.escape(template[last:]) + r"/?\Z")
