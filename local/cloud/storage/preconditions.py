"""Preconditions: the compare of every compare-and-swap.

They are parsed before the body is read and checked inside the write transaction, so that of any number of
racing writers with the same expectation exactly one wins.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol

from local.cloud.storage.errors import ApiError, not_modified, precondition_failed
from local.cloud.storage.wire import Request


class Versioned(Protocol):
    """Anything with a generation and a metageneration."""

    @property
    def generation(self) -> int: ...
    @property
    def metageneration(self) -> int: ...
    @property
    def etag(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the caller expects of the resource; None means no expectation."""

    generation_match: int | None = None
    generation_not_match: int | None = None
    metageneration_match: int | None = None
    metageneration_not_match: int | None = None
    etag_match: tuple[str, ...] | None = None
    etag_not_match: tuple[str, ...] | None = None

    def check_write(self, found: Versioned | None) -> None:
        """412 unless all expectations hold. Generation 0 stands for "no live object"."""
        self._check(found, refuse_not_match=precondition_failed)

    def check_read(self, found: Versioned) -> None:
        """412 for a failed match, 304 for a failed not-match."""
        self._check(found, refuse_not_match=not_modified)

    def _check(self, found: Versioned | None, refuse_not_match: Callable[[str], ApiError]) -> None:
        generation = found.generation if found else 0
        metageneration = found.metageneration if found else 0
        if self.generation_match is not None and self.generation_match != generation:
            raise precondition_failed("ifGenerationMatch")
        if self.metageneration_match is not None and (
            found is None or self.metageneration_match != metageneration
        ):
            raise precondition_failed("ifMetagenerationMatch")
        if self.etag_match is not None and (found is None or not _matches(self.etag_match, found.etag)):
            raise precondition_failed("If-Match")
        if self.generation_not_match is not None and (
            found is None or self.generation_not_match == generation
        ):
            raise refuse_not_match("ifGenerationNotMatch")
        if self.metageneration_not_match is not None and self.metageneration_not_match == metageneration:
            raise refuse_not_match("ifMetagenerationNotMatch")
        if (
            self.etag_not_match is not None
            and found is not None
            and _matches(self.etag_not_match, found.etag)
        ):
            raise refuse_not_match("If-None-Match")

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Conditions":
        known = {f.name for f in fields(cls)}
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in document.items()}
        return cls(**{name: value for name, value in values.items() if name in known})


def from_query(request: Request, kind: str = "if") -> Conditions:
    """The conditions of a request; `kind` is `if` for its target, `ifSource` for the source of a copy."""
    on_target = kind == "if"
    not_match = request.integer(f"{kind}MetagenerationNotMatch")
    if not_match is None:
        # The Python client's uploads spell it this way (3.17: blob.py, _do_multipart_upload).
        not_match = request.integer(f"{kind}MetaGenerationNotMatch")
    return Conditions(
        generation_match=request.integer(f"{kind}GenerationMatch"),
        generation_not_match=request.integer(f"{kind}GenerationNotMatch"),
        metageneration_match=request.integer(f"{kind}MetagenerationMatch"),
        metageneration_not_match=not_match,
        etag_match=_etags(request.header("If-Match")) if on_target else None,
        etag_not_match=_etags(request.header("If-None-Match")) if on_target else None,
    )


def from_headers(request: Request) -> Conditions:
    """The XML API's form: `x-goog-if-generation-match` and `x-goog-if-metageneration-match`."""

    def number(name: str) -> int | None:
        text = request.header(name)
        if text is None:
            return None
        if not text.isdecimal():
            raise ApiError(400, "invalid", f"{name} must be a whole number.", xml_code="InvalidArgument")
        return int(text)

    return Conditions(
        generation_match=number("x-goog-if-generation-match"),
        metageneration_match=number("x-goog-if-metageneration-match"),
        etag_match=_etags(request.header("If-Match")),
        etag_not_match=_etags(request.header("If-None-Match")),
    )


def _etags(header: str | None) -> tuple[str, ...] | None:
    if header is None:
        return None
    return tuple(tag.strip().removeprefix("W/").strip('"') for tag in header.split(","))


def _matches(tags: tuple[str, ...], etag: str) -> bool:
    return "*" in tags or etag in tags
