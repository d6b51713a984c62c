"""Which of our errors can leave a function: read from the source, for the OpenAPI document.

A call graph over `shared`: the syntax tree says what each function names, the imported modules say what
the names mean. An error counts where it is made or raised, and travels up through every call that no
`except` around it catches. Where a receiver's type isn't known, every method of that name in reach
counts, so the answer can hold an error too many but hardly one too few. What a thread raises stays there.
"""

import ast
import builtins
import importlib
import inspect
import sys
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tools.imports import parse

Key = tuple[str, str]
"""A function: its module and its qualified name."""
OURS = ["shared", "functions"]
"""Top-level packages whose functions are followed."""
_COMMON = {
    name for kind in (dict, list, str, set, bytes, tuple, int, types.GeneratorType) for name in dir(kind)
}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Site:
    """One place in a function: an error is made there, or another function is named."""

    target: type[BaseException] | Key | str
    """An error, a function, or the bare name of a method whose receiver is not known."""
    caught: tuple[type[BaseException], ...] = ()
    """What the `except` clauses around it don't let through."""


@dataclass
class _Scope:
    """What names mean within one function."""

    module: types.ModuleType
    owner: type | None
    known: dict[str, Any] = field(default_factory=dict)
    instances: dict[str, type] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    """Local names of what is not ours: other packages' modules, classes and their instances."""


def escaping(roots: Iterable[Callable[..., Any]], modules: Collection[str]) -> set[type[BaseException]]:
    """The errors of ours that can leave any of these functions, within the modules that a bundle carries."""
    graph: dict[Key, list[Site]] = {}
    callers: dict[Key, set[Key]] = {}
    starts = [key for root in roots if (key := _key(root)) is not None]
    waiting = list(starts)
    while waiting:
        key = waiting.pop()
        if key in graph:
            continue
        graph[key] = []
        for site in _sites(key):
            for target in _meant(site.target, modules):
                graph[key].append(Site(target, site.caught))
                if isinstance(target, tuple):
                    callers.setdefault(target, set()).add(key)
                    waiting.append(target)
    errors: dict[Key, set[type[BaseException]]] = {key: set() for key in graph}
    changed = set(graph)
    while changed:
        key = changed.pop()
        found = {
            error
            for site in graph[key]
            for error in (errors[site.target] if isinstance(site.target, tuple) else {site.target})
            if not issubclass(typing.cast(type, error), site.caught)
        }
        if found != errors[key]:
            errors[key] = typing.cast(set[type[BaseException]], found)
            changed |= callers.get(key, set())
    return {error for start in starts for error in errors[start]}


def _meant(
    target: type[BaseException] | Key | str, modules: Collection[str]
) -> Iterator[type[BaseException] | Key]:
    if not isinstance(target, str):
        yield target
        return
    for module in modules:
        for name in _methods(module).get(target, ()):
            yield module, name


@cache
def _methods(module: str) -> dict[str, list[str]]:
    """The methods of a module's classes, by their bare names."""
    found: dict[str, list[str]] = {}
    for name in _tree(module):
        if "." in name:
            found.setdefault(name.rpartition(".")[2], []).append(name)
    return found


@cache
def _tree(module: str) -> dict[str, ast.AST]:
    """The functions and methods of a module by their qualified names."""
    found: dict[str, ast.AST] = {}
    source = sys.modules[module].__file__ if module in sys.modules else None
    if source is None:
        return found
    for node in parse(Path(source)).body:
        if isinstance(node, _FUNCTIONS):
            found[node.name] = node
        elif isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}.{inner.name}": inner for inner in node.body if isinstance(inner, _FUNCTIONS)
            }
    return found


def _key(value: Any) -> Key | None:
    """The key of a function of ours, through the decorators that wrap it."""
    if isinstance(value, property):
        value = value.fget
    if isinstance(value, staticmethod | classmethod | types.MethodType):
        value = value.__func__
    value = inspect.unwrap(value) if callable(value) and hasattr(value, "__wrapped__") else value
    if not isinstance(value, types.FunctionType):
        return None
    key = (value.__module__, value.__qualname__)
    return key if key[1] in _tree(key[0]) and _ours(key[0]) else None


def _ours(module: str) -> bool:
    return module.split(".")[0] in OURS


@cache
def _sites(key: Key) -> tuple[Site, ...]:
    """Everything of interest that one function does."""
    node, module = _tree(key[0])[key[1]], sys.modules[key[0]]
    assert isinstance(node, _FUNCTIONS)
    owner = getattr(module, key[1].split(".")[0], None) if "." in key[1] else None
    scope = _Scope(module, owner if isinstance(owner, type) else None)
    _learn(node, scope)
    found: list[Site] = []
    for statement in node.body:
        _visit(statement, scope, (), found)
    return tuple(dict.fromkeys(found))


def _learn(node: ast.AST, scope: _Scope) -> None:
    """What the parameters, local imports, assignments and `with` blocks say of local names."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.ImportFrom) and inner.module and _ours(inner.module):
            for alias in inner.names:
                scope.known[alias.asname or alias.name] = _imported(inner.module, alias.name)
        elif isinstance(inner, ast.Import | ast.ImportFrom):
            scope.foreign |= {(alias.asname or alias.name).split(".")[0] for alias in inner.names}
        elif isinstance(inner, ast.arg) and inner.annotation is not None:
            _note(scope, inner.arg, _annotated(inner.annotation, scope))
        elif isinstance(inner, ast.Assign) and len(inner.targets) == 1:
            _note(scope, inner.targets[0], _type_of(inner.value, scope))
            if isinstance(inner.targets[0], ast.Name) and _is_foreign(inner.value, scope):
                scope.foreign.add(inner.targets[0].id)
        elif isinstance(inner, ast.withitem) and inner.optional_vars is not None:
            _note(scope, inner.optional_vars, _type_of(inner.context_expr, scope))
    if isinstance(node, _FUNCTIONS) and scope.owner is not None and node.args.args:
        scope.instances[node.args.args[0].arg] = scope.owner


def _note(scope: _Scope, target: ast.expr | str, kind: type | None) -> None:
    name = target.id if isinstance(target, ast.Name) else target
    if isinstance(name, str) and kind is not None:
        scope.instances[name] = kind


def _annotated(annotation: ast.expr, scope: _Scope) -> type | None:
    if isinstance(annotation, ast.BinOp):
        return _annotated(annotation.left, scope)
    found = _resolve(annotation, scope)
    return found if isinstance(found, type) else None


def _type_of(value: ast.expr, scope: _Scope) -> type | None:
    """The class of ours that an expression is an instance of, where the annotations say so."""
    if isinstance(value, ast.Name):
        return scope.instances.get(value.id)
    if isinstance(value, ast.Attribute):
        owner = _type_of(value.value, scope)
        attribute = inspect.getattr_static(owner, value.attr, None) if owner else None
        if isinstance(attribute, property):
            return _class_in(_hints(attribute.fget).get("return"))
        return _class_in(_hints(owner).get(value.attr)) if owner else None
    if isinstance(value, ast.Call):
        called = _resolve(value.func, scope)
        if isinstance(called, type):
            return called if _ours(called.__module__) else None
        if called is not None and _key(called) is not None:
            return _class_in(_hints(inspect.unwrap(called)).get("return"))
    return None


@cache
def _hints(value: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(value)
    except (NameError, TypeError, AttributeError):
        return {}


def _class_in(hint: Any) -> type | None:
    """The class of ours in `X`, `X | None` or `Iterator[X]`."""
    for candidate in (hint, *typing.get_args(hint)):
        if isinstance(candidate, type) and _ours(candidate.__module__):
            return candidate
    return None


def _visit(node: ast.AST, scope: _Scope, caught: tuple[type[BaseException], ...], found: list[Site]) -> None:
    if isinstance(node, ast.Try):
        inside = caught + tuple(kind for handler in node.handlers for kind in _swallowed(handler, scope))
        for statement in node.body:
            _visit(statement, scope, inside, found)
        for part in (*node.handlers, *node.orelse, *node.finalbody):
            _visit(part, scope, caught, found)
        return
    if isinstance(node, ast.ExceptHandler):
        for statement in node.body:
            _visit(statement, scope, caught, found)
        return
    if isinstance(node, ast.Raise) and node.exc is not None and _error(_resolve(node.exc, scope)):
        found.append(Site(_resolve(node.exc, scope), caught))
    if isinstance(node, ast.Call):
        called = _resolve(node.func, scope)
        if getattr(called, "__name__", "") == "Thread":
            return
        if _error(called):
            found.append(Site(called, caught))
        elif isinstance(called, type):
            found += [
                Site(key, caught)
                for name in ("__init__", "__post_init__", "__enter__", "__exit__", "__iter__")
                if (key := _key(inspect.getattr_static(called, name, None)))
            ]
        elif called is None and isinstance(node.func, ast.Attribute) and _unknown(node.func, scope):
            found.append(Site(node.func.attr, caught))
    elif isinstance(node, ast.Name | ast.Attribute) and (key := _key(_resolve(node, scope))) is not None:
        found.append(Site(key, caught))
    for child in ast.iter_child_nodes(node):
        if not (isinstance(node, ast.arg | ast.AnnAssign) and child is node.annotation):
            _visit(child, scope, caught, found)


def _unknown(method: ast.Attribute, scope: _Scope) -> bool:
    """Whether a method is called on something of ours whose class the annotations don't tell."""
    if method.attr in _COMMON or _resolve(method.value, scope) is not None:
        return False
    owner = _type_of(method.value, scope)
    return getattr(owner, "_is_protocol", False) or (owner is None and not _is_foreign(method.value, scope))


def _is_foreign(node: ast.expr, scope: _Scope) -> bool:
    """Whether an expression begins at something that is not ours."""
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    if not isinstance(node, ast.Name):
        return True
    value = scope.known.get(node.id, vars(scope.module).get(node.id))
    home = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    return node.id in scope.foreign or (isinstance(home, str) and not _ours(home))


def _resolve(node: ast.expr, scope: _Scope) -> Any:
    """The object that an expression names, or None; a method of a known class for `instance.method`."""
    if isinstance(node, ast.Call):
        return _resolve(node.func, scope) if isinstance(node.func, ast.Name | ast.Attribute) else None
    if isinstance(node, ast.Name):
        if node.id in scope.instances:
            return None
        found = scope.known.get(node.id, vars(scope.module).get(node.id))
        return found if found is not None else getattr(builtins, node.id, None)
    if isinstance(node, ast.Attribute):
        if (owner := _type_of(node.value, scope)) is not None:
            return (
                None
                if getattr(owner, "_is_protocol", False)
                else inspect.getattr_static(owner, node.attr, None)
            )
        base = _resolve(node.value, scope) if isinstance(node.value, ast.Name | ast.Attribute) else None
        if isinstance(base, types.ModuleType | type):
            return getattr(base, node.attr, None)
    return None


def _swallowed(handler: ast.ExceptHandler, scope: _Scope) -> list[type[BaseException]]:
    """What an except clause catches for good: nothing when it can raise the same again."""
    for inner in ast.walk(handler):
        if isinstance(inner, ast.Raise) and (
            inner.exc is None or (isinstance(inner.exc, ast.Name) and inner.exc.id == handler.name)
        ):
            return []
    if handler.type is None:
        return [BaseException]
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    resolved = [_resolve(kind, scope) for kind in kinds]
    return [kind for kind in resolved if isinstance(kind, type) and issubclass(kind, BaseException)]


def _error(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException) and hasattr(value, "retryable")


def _imported(module: str, name: str) -> Any:
    found = importlib.import_module(module)
    if not hasattr(found, name):
        importlib.import_module(f"{module}.{name}")
    return getattr(found, name)
