"""Gather what rooms declare in `shared/<area>/declared.py`, check it, and write it as data.

First comes what needs no door: names, words, clashes. Each problem names who declares what. Then, with the doors
imported, what needs them: queues that nobody uses, buckets that nobody writes, names that nobody declares
(`tools/uses.py`).
"""

import ast
import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tools import uses

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("limits", "flags", "queues", "buckets", "collections", "retention", "doors")
_SINGULAR = {
    "limits": "limit",
    "flags": "flag",
    "queues": "queue",
    "buckets": "bucket",
    "collections": "collection",
    "retention": "retention rule",
    "doors": "folder of doors",
}
_NAME = re.compile(r"[a-z][a-z0-9_]{1,59}\Z")
_SPOKEN = re.compile(r"[a-z][a-z ]{1,59}\Z")
_SHORT = re.compile(r"[a-z][a-z0-9]{1,29}\Z")
_PATTERNS = {"retention": _SPOKEN, "queues": _SHORT, "buckets": _SHORT}
_STATEMENT = re.compile(r"^-- ([a-z][a-z0-9_]*) --\s*$", re.MULTILINE)


class One(NamedTuple):
    """One declaration and the module that makes it."""

    value: Any
    by: str

    @property
    def name(self) -> str:
        """The name under which it is known."""
        return str(self.value.name)


@dataclass
class Gathered:
    """All declarations, by kind, in the order of the areas; and what is wrong with them."""

    root: Path
    kinds: dict[str, list[One]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    statements: dict[str, list[str]] = field(default_factory=dict)
    """The lines of each retention rule's statement, by the rule's name."""
    errors: dict[str, type[Any]] = field(default_factory=dict)
    """The class of each error code; known when everything is imported."""
    problems: list[str] = field(default_factory=list)

    def names(self, kind: str) -> dict[str, One]:
        """The declarations of a kind, by name."""
        return {one.name: one for one in self.kinds[kind]}


def areas(root: Path = ROOT) -> list[str]:
    """The modules that declare: the platform's first, then by the name of the area."""
    found = [path.parent.name for path in (root / "shared").glob("*/declared.py")]
    return [f"shared.{area}.declared" for area in sorted(found, key=lambda area: (area != "platform", area))]


def gather(root: Path = ROOT) -> Gathered:
    """Import what declares, and nothing else; check what can be checked without the doors."""
    found = Gathered(root)
    for module in areas(root):
        for kind, value in _declared(module, root):
            found.kinds[kind].append(One(value, module))
    for kind in KINDS:
        _check_names(found, kind)
    _check_limits(found)
    _check_stores(found)
    _check_retention(found)
    return found


def _declared(module: str, root: Path) -> Iterator[tuple[str, Any]]:
    """The declarations at the top level of a module, but for what it imports from another."""
    from shared.platform.registry import kinds

    classes = {
        kinds.Limit: "limits",
        kinds.Flag: "flags",
        kinds.Queue: "queues",
        kinds.Bucket: "buckets",
        kinds.Collection: "collections",
        kinds.Retention: "retention",
        kinds.Doors: "doors",
    }
    tree = ast.parse(root.joinpath(*module.split(".")).with_suffix(".py").read_text())
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    for name, value in vars(importlib.import_module(module)).items():
        if name in imported:
            continue
        for one in value if type(value) in (tuple, list) else (value,):
            if type(one) in classes:
                yield classes[type(one)], one


# What needs no door ----------------------------------------------------------------------------


def _check_names(found: Gathered, kind: str) -> None:
    word, seen = _SINGULAR[kind], dict[str, One]()
    for one in found.kinds[kind]:
        if not _PATTERNS.get(kind, _NAME).match(one.name):
            found.problems.append(f"{one.by}: {one.name!r} is no name for a {word}")
        if first := seen.get(one.name):
            found.problems.append(f"the {word} {one.name!r} is declared by {first.by} and by {one.by}")
        seen.setdefault(one.name, one)
        for words in ("what", "why", "after"):
            if not getattr(one.value, words, "-").strip():
                found.problems.append(f"{one.by}: the {word} {one.name!r} does not say {words}")


def _check_limits(found: Gathered) -> None:
    from shared.platform.registry.kinds import MOST

    limits = found.names("limits")
    for one in limits.values():
        limit = one.value
        if not 0 <= limit.default <= MOST:
            found.problems.append(f"{one.by}: the limit {one.name!r} must be from 0 to {MOST}")
        if limit.is_rate != one.name.startswith("rate_") or limit.is_rate != (limit.unit == "requests"):
            found.problems.append(
                f"{one.by}: the limit {one.name!r} is half a rate: rate_…, minute and requests go together"
            )
        if limit.is_rate and one.name.removeprefix("rate_").removeprefix("team_") != limit.resource:
            found.problems.append(
                f"{one.by}: the rate {one.name!r} is not that of the class {limit.resource!r}"
            )
        if not limit.is_rate and not limit.is_personal:
            day = limits.get(limit.resource)
            if day is None:
                found.problems.append(
                    f"{one.by}: the limit {one.name!r} is of {limit.resource!r}, which has no daily limit"
                )
            elif day.by != one.by:
                found.problems.append(
                    f"the limit {one.name!r} of {one.by} is of a resource of {day.by}: one room owns a resource"
                )
            elif day.value.unit != limit.unit and limit.window != "concurrent":
                found.problems.append(
                    f"{one.by}: the limit {one.name!r} counts {limit.unit}, its day {day.value.unit}"
                )


def _check_stores(found: Gathered) -> None:
    queues = found.names("queues")
    for one in found.kinds["buckets"]:
        if one.value.queue not in queues:
            found.problems.append(
                f"{one.by}: the bucket {one.name!r} names the queue {one.value.queue!r}, which no room declares"
            )
        for days in ("delete_after_days", "archive_after_days", "delete_versions_after_days"):
            if getattr(one.value, days) is not None and getattr(one.value, days) < 1:
                found.problems.append(f"{one.by}: {days} of the bucket {one.name!r} must be at least 1")
        if one.value.delete_versions_after_days and not one.value.versioned:
            found.problems.append(
                f"{one.by}: the bucket {one.name!r} keeps no versions that could be deleted"
            )
    for one in found.kinds["collections"]:
        if not one.value.longest_seconds or one.value.longest_seconds <= 0:
            found.problems.append(
                f"{one.by}: the collection {one.name!r} has no TTL: say how long a document lives at the longest"
            )


def _check_retention(found: Gathered) -> None:
    for one in found.kinds["retention"]:
        rule = one.value
        if rule.days < 1:
            found.problems.append(
                f"{one.by}: the retention rule {one.name!r} must keep rows for at least a day"
            )
        room = found.root.joinpath(*one.by.split(".")[:-1])
        written = [
            text for path in sorted(room.rglob("queries.sql")) for text in _statement(path, rule.statement)
        ]
        if len(written) != 1:
            found.problems.append(
                f"{one.by}: the statement {rule.statement!r} of the retention rule {one.name!r} stands {len(written)} "
                "times in the room's queries.sql; it must be once"
            )
            continue
        for needed in (":days", ":batch", "removed"):
            if needed not in written[0]:
                found.problems.append(f"{one.by}: the statement {rule.statement!r} has no {needed}")
        found.statements[one.name] = written[0].splitlines()


def _statement(path: Path, name: str) -> Iterator[str]:
    parts = _STATEMENT.split(path.read_text())
    for found, body in zip(parts[1::2], parts[2::2], strict=True):
        if found == name:
            yield body.strip().rstrip(";")


# What needs the doors --------------------------------------------------------------------------


def check_use(found: Gathered, doors: list[Any]) -> None:
    """Note what is declared and not used, and what is used and not declared. Imports all of `shared`."""
    _check_errors(found)
    _check_doors(found, doors)
    used = uses.everywhere(found.root)
    known = {kind: found.names(kind) for kind in KINDS}
    resources = {one.value.resource for one in found.kinds["limits"] if not one.value.is_rate}
    for use in used:
        if use.name not in (resources if use.kind == "limits" else known[use.kind]):
            found.problems.append(
                f"{use.where} uses the {_SINGULAR[use.kind]} {use.name!r}, which no room declares"
            )
    written = {use.name for use in used if use.kind == "buckets" and use.writes}
    touched = {use.name for use in used if use.kind == "collections"}
    for one in found.kinds["buckets"]:
        if (one.name in written) == (one.value.written_by is not None):
            found.problems.append(
                f"{one.by}: the bucket {one.name!r} is written by nobody"
                if one.name not in written
                else f"{one.by}: the bucket {one.name!r} is written by functions, not by {one.value.written_by}"
            )
    for one in found.kinds["collections"]:
        if one.name not in touched:
            found.problems.append(f"{one.by}: the collection {one.name!r} is used by nobody")


def _check_doors(found: Gathered, doors: list[Any]) -> None:
    from shared.platform.background.outbox import DEFAULT_QUEUE

    queues, buckets, rates = found.names("queues"), found.names("buckets"), found.names("limits")
    used = {DEFAULT_QUEUE}
    for door in doors:
        if door.queue is not None:
            used.add(door.queue)
        if door.queue is not None and door.queue not in queues:
            found.problems.append(
                f"{door.name} receives from the queue {door.queue!r}, which no room declares"
            )
        if door.bucket is not None and door.bucket not in buckets:
            found.problems.append(f"{door.name} waits for the bucket {door.bucket!r}, which no room declares")
        elif door.bucket is not None:
            used.add(buckets[door.bucket].value.queue)
        if door.method is not None and f"rate_{door.route_class}" not in rates:
            found.problems.append(
                f"{door.name} is of the class {door.route_class!r}, whose rate no room declares"
            )
    found.problems += [
        f"{one.by}: the queue {one.name!r} is used by nobody"
        for one in found.kinds["queues"]
        if one.name not in used
    ]
    folders = {door.module.split(".")[1] for door in doors if door.method is not None}
    words = found.names("doors")
    found.problems += [
        f"functions/{folder}: no room says what it is for (Doors)" for folder in sorted(folders - set(words))
    ]
    found.problems += [
        f"{words[folder].by}: there are no endpoints in functions/{folder}"
        for folder in sorted(set(words) - folders)
    ]


def _check_errors(found: Gathered) -> None:
    """A code belongs to one class, which stands in the room's `declared.py`; the platform's rooms keep their own."""
    import shared
    from shared.platform.errors import BridgeError

    for module in pkgutil.walk_packages(shared.__path__, "shared."):
        importlib.import_module(module.name)
    for kind in sorted(_below(BridgeError), key=lambda kind: (kind.__module__, kind.__qualname__)):
        if "code" not in vars(kind) or not kind.__module__.startswith("shared."):
            continue
        if (first := found.errors.setdefault(kind.code, kind)) is not kind:
            found.problems.append(f"the error {kind.code} is declared by {_full(first)} and by {_full(kind)}")
        area = kind.__module__.split(".")[1]
        if area != "platform" and kind.__module__ != f"shared.{area}.declared":
            found.problems.append(
                f"the error {kind.code} is declared by {_full(kind)}; it belongs into shared.{area}.declared"
            )
        if not (kind.__doc__ or "").strip():
            found.problems.append(f"{_full(kind)} has no docstring, which is its message")


def _below(kind: type[Any]) -> set[type[Any]]:
    return {kind, *(deeper for below in kind.__subclasses__() for deeper in _below(below))}


def _full(kind: type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


# As data ---------------------------------------------------------------------------------------


def declared(found: Gathered) -> dict[str, Any]:
    """All of it, as the manifest keeps it: each kind by name, with who declares it."""

    def entry(one: One) -> dict[str, Any]:
        values = {
            key: value for key, value in one.value._asdict().items() if key != "name" and value is not None
        }
        return {**values, "declared_by": one.by}

    errors = {
        code: {
            "status": kind.status,
            "retryable": kind.retryable,
            "what": kind.title(),
            "declared_by": _full(kind),
        }
        for code, kind in sorted(found.errors.items())
    }
    return {"errors": errors} | {kind: {one.name: entry(one) for one in found.kinds[kind]} for kind in KINDS}


def files(found: Gathered) -> dict[Path, str]:
    """What functions read at run time and what Firestore is told, by place. Made before any door is imported."""
    limits = [one.value._asdict() for one in found.kinds["limits"]]
    flags = [one.value._asdict() for one in found.kinds["flags"]]
    at_run_time = {
        "limits": limits,
        "flags": flags,
        "queues": [one.name for one in found.kinds["queues"]],
        "buckets": {one.name: one.value.queue for one in found.kinds["buckets"]},
        "collections": {one.name: one.value.longest_seconds for one in found.kinds["collections"]},
    }
    rules = [
        {"name": one.name, "days": one.value.days, "statement": found.statements.get(one.name, [])}
        for one in found.kinds["retention"]
    ]
    overrides = [
        {"collectionGroup": one.name, "fieldPath": "expires_at", "ttl": True, "indexes": []}
        for one in found.kinds["collections"]
    ]
    platform = found.root / "shared" / "platform"
    return {
        platform / "registry" / "gathered.json": _lines(at_run_time),
        platform / "ops" / "retention" / "rules.json": _text(rules),
        found.root / "infra" / "firestore.indexes.json": _text({"indexes": [], "fieldOverrides": overrides}),
    }


def files_of_use(found: Gathered) -> dict[Path, str]:
    """What needs everything imported: the titles of all error codes."""
    titles = {code: kind.title() for code, kind in sorted(found.errors.items())}
    return {found.root / "shared/platform/ops/titles/errors.json": _text(titles)}


def _text(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _lines(value: dict[str, Any]) -> str:
    """JSON with one declaration a line: short to read for a function, and for who reviews a change."""
    blocks = []
    for kind, content in value.items():
        if isinstance(content, list):
            inner = ",\n".join("  " + json.dumps(one, ensure_ascii=False) for one in content)
            blocks.append(f" {json.dumps(kind)}: [\n{inner}\n ]")
        else:
            inner = ",\n".join(f"  {json.dumps(name)}: {json.dumps(one)}" for name, one in content.items())
            blocks.append(f" {json.dumps(kind)}: {{\n{inner}\n }}")
    return "{\n" + ",\n".join(blocks) + "\n}\n"
