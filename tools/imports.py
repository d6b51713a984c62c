"""What a door reaches: the import closure of a source file, read from the syntax tree and never run.

Imports inside functions count as much as those at the top: a bundle must carry what its first request
loads. Imports under `TYPE_CHECKING` do not. What the tree can't show (`importlib.import_module` and the
like) is refused here by file and line, since a bundle would miss it and fail in production.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FIRST_PARTY = "shared"
_DYNAMIC = ("importlib", "pkgutil", "runpy", "imp", "zipimport")


class Unbundlable(Exception):
    """The source imports in a way that a bundle can't follow; the message says where and what to do."""


@dataclass(frozen=True, order=True)
class Imported:
    """`import module`, or `from module import name`."""

    module: str
    name: str | None = None


@dataclass(frozen=True)
class Source:
    """What one file says of its imports."""

    path: Path
    imports: tuple[Imported, ...]
    at_import: tuple[Imported, ...]
    """Those that run when the module is imported; the others wait for a call."""
    reads_files: bool
    """Whether it opens files that lie beside it."""


@dataclass
class Closure:
    """All that a door needs from this repository, and the names that it imports from elsewhere."""

    files: set[Path] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    outside: set[Imported] = field(default_factory=set)


def closure(root: Path, door: Path, *, whole: bool = True, without: frozenset[str] = frozenset()) -> Closure:
    """What `door` reaches below `root`. With `whole=False` only what importing it executes.

    Modules in `without`, and what they alone import, are left out: who imports them copes with that.
    """
    found = Closure()
    waiting = [door]
    while waiting:
        source = read(waiting.pop())
        if source.reads_files:
            found.files.update(_data_files(root, source.path))
        for wanted in source.imports if whole else source.at_import:
            if wanted.module.split(".")[0] != FIRST_PARTY:
                if wanted.module.split(".")[0] in ("functions", "local", "migrations", "tests", "tools"):
                    raise Unbundlable(
                        f"{source.path.relative_to(root)} imports {wanted.module}: a function may import only "
                        f"{FIRST_PARTY} and installed packages"
                    )
                found.outside.add(wanted)
                continue
            for name in _modules_of(root, source.path, wanted):
                if name not in found.modules and name not in without:
                    found.modules.add(name)
                    waiting.append(_file_of(root, name))
    found.files.update(_file_of(root, name) for name in found.modules)
    return found


@cache
def parse(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_bytes(), str(path))


@cache
def read(path: Path) -> Source:
    """Parse one file; raises Unbundlable where it imports by strings."""
    tree, text = parse(path), path.read_text()
    everywhere, at_import = [], []
    for node, deferred in _statements(tree, deferred=False):
        if _is_dynamic(node):
            raise _by_string(path, node.lineno)
        for imported in _imports(node, path):
            everywhere.append(imported)
            if not deferred:
                at_import.append(imported)
    for name in _names(tree) if "__import__" in text else ():
        if name.id == "__import__":
            raise _by_string(path, name.lineno)
    reads_files = "__file__" in text and any(name.id == "__file__" for name in _names(tree))
    return Source(path, tuple(everywhere), tuple(at_import), reads_files)


def _by_string(path: Path, line: int) -> Unbundlable:
    return Unbundlable(
        f"{path.name}:{line} imports by a string, which the closure can't follow: write an import statement, "
        "inside the function if it must be lazy"
    )


def _names(tree: ast.AST) -> Iterator[ast.Name]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Name))


def _statements(node: ast.AST, *, deferred: bool) -> Iterator[tuple[ast.stmt, bool]]:
    """Every statement with whether it waits for a call; skips what only type checkers see."""
    inner = deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        if name == "body" and isinstance(node, ast.If) and _is_type_checking(node.test):
            continue
        for child in getattr(node, name, ()):
            if isinstance(child, ast.stmt):
                yield child, inner
            yield from _statements(child, deferred=inner)


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _is_dynamic(node: ast.stmt) -> bool:
    if isinstance(node, ast.Import):
        return any(
            alias.name.split(".")[0] in _DYNAMIC and not alias.name.startswith("importlib.metadata")
            for alias in node.names
        )
    if isinstance(node, ast.ImportFrom):
        module = node.module or ""
        return module.split(".")[0] in _DYNAMIC and not module.startswith("importlib.metadata")
    return False


def _imports(node: ast.stmt, path: Path) -> Iterator[Imported]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Imported(alias.name)
    elif isinstance(node, ast.ImportFrom):
        if node.level:
            raise Unbundlable(f"{path.name}:{node.lineno} is a relative import: write the whole name")
        for alias in node.names:
            if alias.name == "*":
                raise Unbundlable(f"{path.name}:{node.lineno} imports *: name what is needed")
            yield Imported(node.module or "", alias.name)


def _modules_of(root: Path, importer: Path, wanted: Imported) -> Iterator[str]:
    """The modules that an import executes: the packages above it, itself, and a submodule that it names."""
    parts = wanted.module.split(".")
    for size in range(1, len(parts) + 1):
        name = ".".join(parts[:size])
        if _find(root, name) is None:
            raise Unbundlable(f"{importer.relative_to(root)} imports {name}, which does not exist")
        yield name
    if wanted.name is not None and _find(root, f"{wanted.module}.{wanted.name}") is not None:
        yield f"{wanted.module}.{wanted.name}"


def _file_of(root: Path, module: str) -> Path:
    found = _find(root, module)
    assert found is not None, module
    return found


@cache
def _find(root: Path, module: str) -> Path | None:
    place = root.joinpath(*module.split("."))
    for candidate in (place / "__init__.py", place.with_suffix(".py")):
        if candidate.is_file():
            return candidate
    return None


@cache
def _data_files(root: Path, module: Path) -> tuple[Path, ...]:
    """The files that are no modules in the package of a module that reads files, or in the nearest above it."""
    folder = module.parent
    while folder != root and root in folder.parents:
        found = tuple(
            sorted(
                path
                for path in folder.iterdir()
                if path.is_file() and path.suffix not in (".py", ".pyc") and not path.name.startswith(".")
            )
        )
        if found:
            return found
        folder = folder.parent
    return ()
