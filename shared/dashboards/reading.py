"""Text to document and back.

    text ─► safe_yaml ─► migrate ─► Document ─► references, layout ─► Parsed(document | None, problems)

Nothing here needs a warehouse or the directory: it is the part of validation that an editor can repeat
on every key press.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from shared.dashboards.compiling import references
from shared.dashboards.document import layout
from shared.dashboards.document.model import Document
from shared.dashboards.document.problems import MOST, MOST_WORD, Problem, Problems, did_you_mean
from shared.platform.text import safe_yaml
from shared.platform.text.safe_yaml import MalformedYaml, Path, Positions
from shared.warehouses import registry
from shared.warehouses.dialect import Dialect

CURRENT = 1
MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From a version to the next: pure functions, applied on read. Version 1 is the first."""

STAMPS = ("owner_email", "created_at", "updated_at")
_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,78}[a-z0-9])?\Z")
_TAGGED = ("layout", "filters")


@dataclass(frozen=True)
class Parsed:
    """A document, or None with the errors that refuse it. Warnings stand in `problems` too."""

    document: Document | None
    problems: list[Problem] = field(default_factory=list)
    positions: Positions = field(default_factory=dict)

    @property
    def errors(self) -> list[Problem]:
        """The problems that refuse the document."""
        return [problem for problem in self.problems if problem.severity == "error"]


def parse(text: str, dialect_of: Callable[[str], Dialect] | None = None) -> Parsed:
    """Read a document and everything that its own text can tell.

    `dialect_of` tells the dialect of the connection that it names, in which its queries are looked at; by
    default they are read in the usual one.
    """
    try:
        value, positions = safe_yaml.load(text)
    except MalformedYaml as error:
        return Parsed(
            None, [Problem(path="", line=error.line, column=error.column, message=error.message, hint=None)]
        )
    problems = Problems(positions)
    document = _validated(value, problems)
    if document is not None:
        dialect = registry.usual() if dialect_of is None else dialect_of(document.connection)
        references.check(document, problems, dialect)
        layout.check(document, problems)
    return Parsed(None if problems.errors else document, problems.in_order(), positions)


def render(document: Document) -> str:
    """The document as YAML in the model's order, without what is at its default."""
    return safe_yaml.dump(as_data(document))


def as_data(document: Document) -> dict[str, Any]:
    """The document as plain data, short forms where they say the same."""
    data = document.model_dump(mode="json", exclude_defaults=True)
    tagged = {
        "layout": ("id", "type", "query", "title", "subtitle", "size", "position", "color", "options"),
        "filters": ("id", "type", "label"),
    }
    for name, order in tagged.items():
        if name in data:
            data[name] = [
                {key: item[key] for key in sorted(item, key=lambda k: order.index(k) if k in order else 99)}
                for item in data[name]
            ]
    return data


def stamp(text: str, document: Document, values: dict[str, str]) -> str:
    """The author's text with the store's stamps: comments and order stay as they were written.

    A text in which the stamps can't be set line by line (one flow mapping, say) is rendered anew.
    """
    expected = document.model_copy(update=values)
    lines = text.splitlines()
    for name, value in values.items():
        line = f"{name}: {json.dumps(value, ensure_ascii=False)}"
        at = next((n for n, old in enumerate(lines) if old.startswith(f"{name}:")), None)
        if at is not None:
            lines[at] = line
        else:
            slug = next((n for n, old in enumerate(lines) if old.startswith("slug:")), len(lines) - 1)
            lines.insert(slug + 1, line)
    stamped = "\n".join(lines) + "\n"
    return stamped if _reads_as(stamped, expected) else render(expected)


def same_content(one: Document, other: Document) -> bool:
    """Whether two documents differ in nothing but the store's stamps."""
    nothing = dict.fromkeys(STAMPS)
    return one.model_copy(update=nothing) == other.model_copy(update=nothing)


def is_slug(text: str) -> bool:
    """Whether the text can name a dashboard."""
    return bool(_SLUG.match(text))


def _reads_as(text: str, expected: Document) -> bool:
    try:
        value, _ = safe_yaml.load(text)
        return Document.model_validate(value) == expected
    except (MalformedYaml, ValidationError):
        return False


def _validated(value: Any, problems: Problems) -> Document | None:
    if not isinstance(value, dict):
        problems.error(
            (), "A dashboard is a mapping of fields.", "Start with version: 1 and kind: dashboard."
        )
        return None
    value = _migrated(value)
    try:
        return Document.model_validate(value)
    except ValidationError as error:
        _report(error, value, problems)
        return None


def _report(error: ValidationError, value: Any, problems: Problems) -> None:
    """The first of them in the order of the text, as many as are told, and the number of the others."""
    found = [(_path(value, issue["loc"]), issue) for issue in error.errors(include_url=False)]
    found.sort(key=lambda one: tuple(number or 0 for number in problems.place(one[0])))
    for path, issue in found[:MOST]:
        problems.error(path, _message(dict(issue), path), partial(_hint, dict(issue), value, path))
    problems.count(len(found[MOST:]))


def _migrated(value: dict[str, Any]) -> dict[str, Any]:
    version = value.get("version")
    while isinstance(version, int) and version < CURRENT and version in MIGRATIONS:
        value = MIGRATIONS[version](value)
        version = value.get("version")
    return value


def _path(value: Any, loc: tuple[str | int, ...]) -> Path:
    """Where in the text an issue stands: the location without the names of union members."""
    path: list[str | int] = []
    parts = list(loc)
    if len(parts) > 2 and parts[0] in _TAGGED and isinstance(parts[1], int):
        del parts[2]
    for index, part in enumerate(parts):
        if _has(value, part):
            value = value[part]
        elif isinstance(value, dict) and isinstance(part, str) and index == len(parts) - 1:
            value = None
        else:
            continue
        path.append(part)
    return tuple(path)


def _message(issue: dict[str, Any], path: Path) -> str:
    name = str(path[-1])[:MOST_WORD] if path else "document"
    match issue["type"]:
        case "missing":
            return f"{name} is required."
        case "extra_forbidden":
            return f"There is no field {name} here."
        case "union_tag_not_found":
            return "type is required."
        case "union_tag_invalid":
            return f"{issue['ctx']['tag'][:MOST_WORD]!r} is not a known type."
        case "value_error":
            return f"{name}: {issue['ctx']['error']}."
        case "string_pattern_mismatch":
            return f"{name} has characters that are not accepted here."
    return f"{name}: {issue['msg'][:1].lower()}{issue['msg'][1:]}."


def _hint(issue: dict[str, Any], value: Any, path: Path) -> str | None:
    match issue["type"]:
        case "extra_forbidden":
            return did_you_mean(str(path[-1]), _fields_at(value, path[:-1]))
        case "literal_error" | "union_tag_invalid":
            expected = issue["ctx"].get("expected") or issue["ctx"].get("expected_tags", "")
            words = re.findall(r"'([^']+)'", expected)
            given = issue["ctx"].get("tag", issue.get("input"))
            return did_you_mean(str(given), words) if words else f"Expected {expected}."
        case "string_type":
            return "Put the value in quotes to make it text."
        case "string_pattern_mismatch":
            return f"It must match {issue['ctx']['pattern']}."
        case "missing" if path and path[-1] == "version":
            return "Add version: 1."
        case "union_tag_not_found":
            return "Known here: kpi, chart, table, text, filter_bar, section." if "layout" in path else None
    return None


def _fields_at(value: Any, path: Path) -> list[str]:
    """The fields that the model knows at this place of the text."""
    annotation: Any = Document
    for part in path:
        models = _models(annotation)
        value = _child(value, part)
        if isinstance(part, int):
            chosen = [
                model
                for model in models
                if not isinstance(value, dict)
                or "type" not in model.model_fields
                or value.get("type") in get_args(model.model_fields["type"].annotation)
            ]
            annotation = Union[tuple(chosen)] if chosen else None  # noqa: UP007 - built at run time
        else:
            fields = [model.model_fields[part] for model in models if part in model.model_fields]
            annotation = fields[0].annotation if fields else None
    return [name for model in _models(annotation) for name in model.model_fields]


def _has(value: Any, part: str | int) -> bool:
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list) and isinstance(part, int) and part < len(value)


def _child(value: Any, part: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(part)
    return value[part] if isinstance(value, list) and isinstance(part, int) else None


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) is None:
        return []
    return [model for argument in get_args(annotation) for model in _models(argument)]
