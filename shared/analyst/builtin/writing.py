"""How the analyst writes: the arguments of a dry run, the text of a document, why a query was refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from shared.analyst.builtin.desk import Answer


def dry_run_arguments(query: Mapping[str, Any], filters: list[dict[str, Any]]) -> dict[str, Any]:
    """A query with the filters whose parameters it uses."""
    used = [entry for entry in filters if f"@{entry['id']}" in query["sql"]]
    return {"sql": query["sql"]} | ({"filters": [bare(entry) for entry in used]} if used else {})


def bare(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A filter without where its choices come from."""
    return {name: value for name, value in entry.items() if name in ("id", "type", "default")}


def reason(answer: Answer) -> str:
    """Why a query was refused, with what would help."""
    return " ".join(part for part in (answer.error, str(answer.get("advice") or "")) if part)


def render(document: Mapping[str, Any]) -> str:
    """The YAML of a document: its own order, SQL as blocks."""
    return yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as blocks, and no anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class's signature
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)
