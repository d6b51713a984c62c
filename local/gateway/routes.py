"""From method and path to a function: the route table, compiled from the manifest.

Segments written out win over parameters, so `/v1/dashboards/validate` is not a dashboard named so.
A `{rest:path}` takes what is left, after everything more exact has been tried.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from local.manifest import Function

STEP_PREFIX = "/_fn/"


@dataclass(frozen=True)
class Match:
    """The function that answers, and the path as it shall see it."""

    function: Function
    path: str
    allowed: tuple[str, ...] = ()
    """The methods of a public path when none of them is the request's; the gateway refuses then."""


@dataclass
class _Node:
    literal: dict[str, "_Node"] = field(default_factory=dict)
    parameter: "_Node | None" = None
    rest: list[Function] = field(default_factory=list)
    functions: list[Function] = field(default_factory=list)


class Routes:
    """The table of one manifest."""

    def __init__(self, functions: Iterable[Function]) -> None:
        self._root = _Node()
        self._by_name: dict[str, Function] = {}
        for function in functions:
            self._by_name[function.name] = function
            if function.kind in ("http", "sse"):
                for path in function.paths:
                    self._add(path, function)

    def __len__(self) -> int:
        return len(self._by_name)

    def find(self, method: str, path: str, wanted: str = "") -> Match | None:
        """The function for a request, or None when no function has this path.

        A preflight (OPTIONS) goes to the function of the method that it asks for, `wanted`.
        """
        if path.startswith(STEP_PREFIX):
            name, _, rest = path.removeprefix(STEP_PREFIX).partition("/")
            function = self._by_name.get(name)
            return Match(function, f"/{rest}") if function else None
        functions = _search(self._root, path.removeprefix("/").split("/"))
        if not functions:
            return None
        meant = wanted if method == "OPTIONS" and wanted else "GET" if method == "HEAD" else method
        for function in functions:
            if function.method == meant or (method == "OPTIONS" and not wanted):
                return Match(function, path)
        return Match(functions[0], path, tuple(sorted({str(function.method) for function in functions})))

    def _add(self, path: str, function: Function) -> None:
        node = self._root
        for segment in path.removeprefix("/").split("/"):
            if segment.startswith("{") and segment.endswith(":path}"):
                node.rest.append(function)
                return
            if segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literal.setdefault(segment, _Node())
        node.functions.append(function)


def _search(node: _Node, segments: list[str]) -> list[Function]:
    """Depth first, the most exact branch first; backs out of a branch that ends nowhere."""
    if not segments:
        return node.functions or node.rest
    head, tail = segments[0], segments[1:]
    exact = node.literal.get(head)
    found = _search(exact, tail) if exact else []
    # An empty segment is no value: `/v1/teams/` is not `/v1/teams/{team_id}`.
    if not found and node.parameter and head:
        found = _search(node.parameter, tail)
    return found or node.rest
