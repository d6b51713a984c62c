"""The drawings of the chains say what the code does.

A drawing in a flow.py is a tree: who stands above a message sends it, what stands right of its arrow
receives it. Here the same edges are read off the code: receivers from the decorators, senders from which
door's code can reach the line that makes the message.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
MANIFEST: list[dict[str, Any]] = json.loads((ROOT / "functions" / "manifest.json").read_text())["functions"]
FLOWS = sorted((ROOT / "shared").glob("*/flow.py"))
TARGET = re.compile(r"(?:►|─►)\s*([a-z_]+/[a-z_]+)")


# The drawing -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One line of a drawing with everything that it stands under."""

    text: str
    above: tuple[str, ...]


def drawing(path: Path) -> list[Line]:
    """The lines of a flow's docstring that belong to trees."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    lines: list[Line] = []
    open_: list[tuple[int, str]] = []
    for raw in text.splitlines():
        if not raw.strip():
            open_ = []
            continue
        bare = raw.lstrip(" │├└─")
        depth = len(raw) - len(bare)
        # Lines at the root, one after the other, begin one tree together.
        open_ = [(at, above) for at, above in open_ if at < depth or depth == at == 0]
        lines.append(Line(bare, tuple(above for _, above in open_)))
        open_.append((depth, bare))
    return lines


def mentions(text: str, function: dict[str, Any]) -> bool:
    """Whether a text names a function: a step by its folder, an endpoint by its method and path."""
    if function["kind"] not in ("http", "sse"):
        return folder(function) in text
    for method, path in re.findall(r"(GET|POST|PUT|DELETE) (\S+)", text.replace(",", " ")):
        known = [known.removesuffix("/") for known in function["paths"]]
        wanted = path.removesuffix("/")
        hit = (
            any(known.endswith(wanted.removeprefix("…")) for known in known)
            if wanted.startswith("…")
            else wanted in known
        )
        if method == function["method"] and hit:
            return True
    return False


def folder(function: dict[str, Any]) -> str:
    """catalog/scan_dataset of functions/catalog/scan_dataset/main.py."""
    return "/".join(Path(function["source"]).parts[1:-1])


# The code --------------------------------------------------------------------------------------


@cache
def module(name: str) -> tuple[dict[str, ast.AST], dict[str, str]]:
    """A module's functions and classes by name, and what its imported names mean."""
    path = ROOT / Path(*name.split(".")).with_suffix(".py")
    tree = ast.parse(path.read_text())
    defined: dict[str, ast.AST] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined[node.name] = node
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("shared"):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return defined, names


def meaning(name: str, node: ast.expr) -> str | None:
    """The full name of what an expression of a module refers to, if it is something of ours."""
    defined, names = module(name)
    if isinstance(node, ast.Name):
        return f"{name}.{node.id}" if node.id in defined else names.get(node.id)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
        return f"{names[node.value.id]}.{node.attr}"
    return None


@cache
def is_module(name: str) -> bool:
    """Whether a dotted name is a module of ours."""
    return (ROOT / Path(*name.split(".")).with_suffix(".py")).is_file()


@dataclass(frozen=True)
class Body:
    """What one function or class of ours refers to, calls, and writes to."""

    refers: frozenset[str] = frozenset()
    calls: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()


WRITES = {f"shared.platform.cloud.objects.{verb}" for verb in ("put", "put_once", "compose")}


@cache
def body(name: str) -> Body:
    """The body of a function or class, by its full name; empty for anything else."""
    home, _, own = name.rpartition(".")
    if not is_module(home) or own not in module(home)[0]:
        return Body()
    nodes = list(ast.walk(module(home)[0][own]))
    calls = [(meaning(home, node.func), node) for node in nodes if isinstance(node, ast.Call)]
    return Body(
        frozenset(
            found
            for node in nodes
            if isinstance(node, ast.Name | ast.Attribute) and (found := meaning(home, node)) is not None
        ),
        frozenset(target for target, _ in calls if target is not None),
        frozenset(
            _constant(home, call.args[0])
            for target, call in calls
            if target in WRITES and home != "shared.platform.cloud.objects"
        ),
    )


@cache
def reached(name: str) -> frozenset[str]:
    """Everything that a function of the manifest can come to, its decorator's arguments included."""
    function = next(function for function in MANIFEST if function["name"] == name)
    start = f"{function['module']}.{function['entry_point']}"
    seen, waiting = {start}, [start]
    while waiting:
        for found in body(waiting.pop()).refers - seen:
            seen.add(found)
            waiting.append(found)
    return frozenset(seen)


def messages() -> dict[str, str]:
    """Full class name to deployed receiver, of every message."""
    return {function["message"]: function["name"] for function in MANIFEST if "message" in function}


def makers(message: str) -> list[dict[str, Any]]:
    """The functions whose code can make a message. To receive one is not to make it."""
    return [f for f in MANIFEST if any(message in body(name).calls for name in reached(f["name"]))]


def written_roles(name: str) -> set[str]:
    """The buckets' roles that a function's code can write to."""
    return {role for reached_name in reached(name) for role in body(reached_name).writes}


def _constant(home: str, node: ast.expr) -> str:
    """A bucket's role: a literal, or a module's constant."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Attribute):
        full = meaning(home, node) or ""
        home, _, name = full.rpartition(".")
    else:
        assert isinstance(node, ast.Name), ast.dump(node)
        name = node.id
    return str(getattr(importlib.import_module(home), name))


# The tests -------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", messages(), ids=lambda name: name.rsplit(".", 1)[-1])
def test_the_drawing_names_the_receiver_of_every_message(message: str) -> None:
    """A message's line, or the line that its arrow leads to, names the function that the decorator says."""
    home, _, name = message.rpartition(".")
    receiver = next(function for function in MANIFEST if function.get("message") == message)
    path = ROOT / Path(*home.split(".")).with_suffix(".py")
    targets = {
        target
        for line in drawing(path)
        if re.search(rf"\b{name}\b", line.text)
        for target in TARGET.findall(line.text)
    }
    assert targets == {folder(receiver)}


@pytest.mark.parametrize("message", messages(), ids=lambda name: name.rsplit(".", 1)[-1])
def test_the_drawing_shows_every_sender_of_a_message(message: str) -> None:
    """Each function whose code makes a message stands above it, and somebody above it really makes it."""
    home, _, name = message.rpartition(".")
    path = ROOT / Path(*home.split(".")).with_suffix(".py")
    lines = [line for line in drawing(path) if re.search(rf"\b{name}\b", line.text)]
    senders = {function["name"]: function for function in makers(message)}
    assert senders, "nobody sends it"
    shown = [" | ".join((*line.above, line.text.split(name)[0])) for line in lines]
    missing = [
        sender for sender, function in senders.items() if not any(mentions(text, function) for text in shown)
    ]
    assert not missing, f"{path.relative_to(ROOT)} does not show that {missing} send {name}"
    for line, text in zip(lines, shown, strict=True):
        assert any(mentions(text, function) for function in senders.values()), (
            f"nobody above sends: {line.text}"
        )


@pytest.mark.parametrize(
    "function", [f for f in MANIFEST if f["kind"] == "finalized"], ids=lambda function: function["name"]
)
def test_the_drawing_shows_what_wakes_an_event_step(function: dict[str, Any]) -> None:
    """The object's pattern stands above the line that leads to the step, and somebody above writes it."""
    pattern = f"{function['bucket']}/{function['pattern']}"
    lines = [
        line for path in FLOWS for line in drawing(path) if folder(function) in TARGET.findall(line.text)
    ]
    assert lines, "no drawing leads to it"
    for line in lines:
        assert "finalized" in line.text
        assert any(pattern in above for above in line.above), line
        text = " | ".join(line.above)
        writers = [
            f for f in MANIFEST if function["bucket"] in written_roles(f["name"]) and mentions(text, f)
        ]
        assert writers, f"nobody above writes to {function['bucket']}: {text}"


@pytest.mark.parametrize(
    "function", [f for f in MANIFEST if f["kind"] == "finalized"], ids=lambda function: function["name"]
)
def test_a_step_never_writes_where_it_is_triggered(function: dict[str, Any]) -> None:
    """An event step that writes into its own bucket would wake itself for ever."""
    assert function["bucket"] not in written_roles(function["name"])


def test_no_drawing_leads_to_a_function_that_does_not_exist() -> None:
    """Every receiver that is drawn is in the manifest."""
    known = {folder(function) for function in MANIFEST}
    drawn = {target for path in FLOWS for line in drawing(path) for target in TARGET.findall(line.text)}
    assert drawn <= known
