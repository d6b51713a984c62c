"""The error answers of the API's description: which codes an endpoint can answer with, and how they are told."""

import importlib
import re
import sys
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tools import imports, raises

ROOT = Path(__file__).resolve().parents[1]
SAFE = ("GET", "HEAD", "OPTIONS")
PARAMETER = re.compile(r"\{([a-z_]+)(?::path)?\}")
_NEVER_ANSWERED = {"LEASE_LOST", "STEP_STILL_RUNNING", "MALFORMED_EVENT"}
"""A step's own; an endpoint calls the same services but holds no attempt."""


def codes_of(declaration: Any) -> list[str]:
    """Every code that an endpoint can answer with, by what its parts can raise and what was declared."""
    from shared.platform.edge import intake, repeats
    from shared.platform.errors import PreconditionFailed

    source = ROOT / (declaration.module.replace(".", "/") + ".py")
    modules = imports.closure(ROOT, source).modules
    for name in sorted(modules):
        importlib.import_module(name)
    handler = getattr(sys.modules[declaration.module], declaration.entry_point)
    roots: list[Any] = [handler, intake.check_method, intake.read_caller]
    if not declaration.any_query:
        roots.append(intake.read_query)
    if declaration.body is not None:
        roots.append(intake.read_body)
    if declaration.once:
        roots += [intake.read_idempotency_key, repeats.once]
    if declaration.team is not None:
        module, _, name = declaration.team.rpartition(".")
        roots.append(getattr(importlib.import_module(module), name))
    found: set[Any] = raises.escaping(roots, modules)
    if declaration.method in SAFE:
        # The lake translates this for every call; a read states no precondition.
        found -= {PreconditionFailed}
    codes = {"INTERNAL", "RATE_LIMITED"} | {error.code for error in found} - _NEVER_ANSWERED
    ids = [name for path in declaration.paths for name in PARAMETER.findall(path)]
    if declaration.role in ("member", "admin") or declaration.local_only or any(map(is_checked, ids)):
        codes.add("NOT_FOUND")
    if declaration.role in ("member", "admin") and declaration.team is None:
        codes.add("VALIDATION_ERROR")
    if declaration.needs is not None:
        codes.add("FORBIDDEN")
    if declaration.method in SAFE:
        codes.discard("CSRF_REJECTED")
    if declaration.role == "public":
        codes -= {"UNAUTHENTICATED", "FORBIDDEN"}
    return sorted(codes)


def is_checked(parameter: str) -> bool:
    """Whether the edge answers 404 for a value that can't be one."""
    return parameter.endswith("_id") or parameter == "slug"


def _by_status(codes: list[str]) -> dict[int, list[str]]:
    from shared.platform.errors import REGISTRY

    found: dict[int, list[str]] = {}
    for code in codes:
        found.setdefault(REGISTRY[code].status, []).append(code)
    return dict(sorted(found.items()))


def answers(codes: list[str]) -> dict[str, Any]:
    """The error answers of an operation: references, since most operations share them."""
    return {
        str(status): {"$ref": f"#/components/responses/{'-or-'.join(group)}"}
        for status, group in _by_status(codes).items()
    }


def responses(codes: Iterable[list[str]]) -> dict[str, Any]:
    """Every answer that `answers` refers to."""
    found = {}
    for operation in codes:
        for status, group in _by_status(operation).items():
            headers = {"X-Correlation-Id": {"$ref": "#/components/headers/Correlation"}}
            if status in (409, 429, 503):
                headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
            found["-or-".join(group)] = {
                "description": f"{HTTPStatus(status).phrase}: {', '.join(f'`{code}`' for code in group)}",
                "headers": headers,
                "content": {
                    "application/json": {
                        "schema": {"$ref": "#/components/schemas/ErrorEnvelope"},
                        "examples": {code: {"$ref": f"#/components/examples/{code}"} for code in group},
                    }
                },
            }
    return dict(sorted(found.items()))


def example(code: str) -> dict[str, Any]:
    """The envelope of a code."""
    from shared.platform.errors import REGISTRY, envelope

    kind = REGISTRY[code]
    value = envelope(kind(), correlation_id="3f0c9a5e7b1d4c2a", trace_id="4bf92f3577b34da6a3ce929d0e0e4736")
    return {"summary": kind.title(), "value": value}
