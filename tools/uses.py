"""Where the code names what rooms declare: buckets, collections, limits, flags, read from the syntax tree.

A name counts where it is said plainly: a literal, or a module's constant. What a function was handed can't be
followed, and whoever handed it said it plainly.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

_WRITES = frozenset({"put", "put_once", "compose"})
_CALLS: dict[str, dict[str, tuple[str, int]]] = {
    "shared.platform.cloud.objects": dict.fromkeys(
        ("put", "put_once", "compose", "get", "find", "head", "delete", "listing", "page", "uri"),
        ("buckets", 0),
    ),
    "shared.platform.cloud.documents": dict.fromkeys(
        ("get", "glance", "get_many", "put", "delete", "change", "change_seen", "reference"),
        ("collections", 0),
    ),
    "shared.platform.limits.budgets": {
        "reserve": ("limits", 1),
        "held": ("limits", 1),
        "take": ("limits", 2),
    },
    "shared.platform.limits.flags": {"here": ("flags", 0), "require": ("flags", 1), "enabled": ("flags", 2)},
}
"""By module and function: which kind of name it takes, and as which argument."""


class Use(NamedTuple):
    """One place that names something."""

    kind: str
    name: str
    where: str
    writes: bool


def everywhere(root: Path) -> list[Use]:
    """Every use in `shared` and `functions`, whose modules are imported."""
    found: list[Use] = []
    for top in ("shared", "functions"):
        for path in sorted((root / top).rglob("*.py")):
            name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            module = sys.modules.get(name)
            if module is not None:
                found += _in(module, path, root)
    return found


def _in(module: ModuleType, path: Path, root: Path) -> Iterator[Use]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        receiver = _value(node.func.value, module)
        if not isinstance(receiver, ModuleType):
            continue
        wanted = _CALLS.get(receiver.__name__, {}).get(node.func.attr)
        if wanted is None or len(node.args) <= wanted[1]:
            continue
        kind, place = wanted
        name = _value(node.args[place], module)
        if isinstance(name, str):
            where = f"{path.relative_to(root)}:{node.lineno}"
            yield Use(kind, name, where, node.func.attr in _WRITES)


def _value(node: ast.expr, module: ModuleType) -> Any:
    """What an expression of names and literals means in the module; None where that can't be told."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return vars(module).get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _value(node.value, module)
        # Of a module, or of a declaration. Anything else could run code when it is asked.
        if isinstance(owner, ModuleType):
            return vars(owner).get(node.attr)
        return getattr(owner, node.attr, None) if hasattr(type(owner), "_fields") else None
    return None
