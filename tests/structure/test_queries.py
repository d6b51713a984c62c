"""Queries reach a warehouse by one way."""

import ast
from collections.abc import Iterator
from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared"
WAYS = ("querying", "warehouses")
"""The query service, and the adapters and walls that stand behind it."""


def _asked(tree: ast.AST) -> Iterator[ast.Attribute]:
    """What is called on something that is named as a warehouse: `….warehouse.query(…)`, `warehouse.dry_run(…)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("dry_run", "query"):
            owner = node.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if name.endswith("warehouse"):
                yield node


def test_only_the_query_service_asks_a_warehouse_for_rows() -> None:
    """Guard, cap, budgets and labels stand there; a second way would go past them."""
    elsewhere, there = {}, 0
    for path in SHARED.rglob("*.py"):
        found = [node.lineno for node in _asked(ast.parse(path.read_text()))]
        if path.relative_to(SHARED).parts[0] in WAYS:
            there += len(found)
        elif found:
            elsewhere[str(path.relative_to(SHARED))] = found
    assert elsewhere == {}
    assert there >= 2
