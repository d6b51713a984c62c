"""YAML as people may send it: plain data with positions, no aliases, tags or duplicate keys."""

from __future__ import annotations

import math
from typing import Any

import yaml

from shared.platform.errors import BadInput
from shared.platform.text import numerals

MAX_BYTES = 256 * 1024
MAX_DEPTH = 24
MAX_NODES = 50_000
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")

Path = tuple[str | int, ...]
Positions = dict[Path, tuple[int, int]]


class MalformedYaml(BadInput):
    """The text is not YAML that can be accepted."""

    code = "MALFORMED_YAML"

    def __init__(self, reason: str, line: int | None = None, column: int | None = None) -> None:
        where = f" (line {line}, column {column})" if line is not None else ""
        super().__init__(f"The YAML can't be read: {reason}{where}.", field="yaml_content", reason=reason)
        self.line, self.column = line, column


def load(text: str) -> tuple[Any, Positions]:
    """The value, and line and column (both from 1) of each path in it; raises MalformedYaml."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise MalformedYaml(f"it is larger than {MAX_BYTES // 1024} KiB")
    try:
        node = yaml.compose(text, Loader=_Bounded)
        if node is None:
            raise MalformedYaml("it is empty")
        positions: Positions = {}
        return _value(node, (), positions), positions
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise MalformedYaml(
            error.problem or "it is malformed",
            mark.line + 1 if mark else None,
            mark.column + 1 if mark else None,
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise MalformedYaml(str(error).splitlines()[0][:200] if str(error) else "it is malformed") from None


def dump(value: Any) -> str:
    """Readable block YAML in the order of the keys; long SQL as literal blocks."""
    return yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, default_flow_style=False
    )


class _Bounded(yaml.SafeLoader):
    """Refuses what is not plain data, and bounds depth and size, before anything is built of an event."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._seen = self._depth = self._documents = 0

    def fetch_flow_collection_start(self, token: Any) -> None:
        """The scanner reads far ahead of the events, and looks through all open lists for each sign."""
        if self.flow_level >= MAX_DEPTH:
            raise MalformedYaml(
                f"it is nested deeper than {MAX_DEPTH} levels", self.line + 1, self.column + 1
            )
        super().fetch_flow_collection_start(token)

    def get_event(self) -> Any:
        event: yaml.Event | None = super().get_event()  # type: ignore[no-untyped-call]
        if event is not None:
            self._inspect(event)
        return event

    def _inspect(self, event: yaml.Event) -> None:
        mark = event.start_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        self._seen += 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise MalformedYaml("anchors and aliases are not accepted", line, column)
        if getattr(event, "tag", None) is not None:
            raise MalformedYaml(f"the tag {getattr(event, 'tag', '')[:80]} is not accepted", line, column)
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise MalformedYaml("there is more than one document", line, column)
        if isinstance(event, yaml.CollectionStartEvent):
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise MalformedYaml(f"it is nested deeper than {MAX_DEPTH} levels", line, column)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._depth -= 1
        if self._seen > MAX_NODES:
            raise MalformedYaml("it has too many values", line, column)


def _value(node: yaml.Node, path: Path, positions: Positions) -> Any:
    positions[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line, column = key_node.start_mark.line + 1, key_node.start_mark.column + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise MalformedYaml("a key must be a plain word", line, column)
            key = str(key_node.value)
            _check_text(key, key_node)
            if key in found:
                raise MalformedYaml(f"the key {key[:80]!r} stands twice", line, column)
            found[key] = _value(value_node, (*path, key), positions)
            positions[(*path, key)] = (line, column)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, index), positions) for index, item in enumerate(node.value)]
    scalar = _construct(node)
    if isinstance(scalar, str):
        _check_text(scalar, node)
    return scalar


def _construct(node: yaml.Node) -> Any:
    """JSON-like scalars only: a timestamp stays the text that the author wrote."""
    if node.tag in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:str"):
        return node.value
    # Before it is read: a number in base 60 (`1:0:0…`) takes time that grows with the square of its length.
    if node.tag in _NUMBERS and len(node.value) > numerals.LONGEST:
        raise _refused(f"a number is longer than {numerals.LONGEST} characters", node)
    # A loader of its own for each scalar: constructors keep state and are not shared between threads.
    try:
        value = yaml.SafeLoader("").construct_object(node)
    except (ValueError, OverflowError):
        raise _refused("a number can't be read or is out of range", node) from None
    if isinstance(value, float) and not math.isfinite(value):
        raise _refused("a number must be finite", node)
    if isinstance(value, int) and not numerals.fits(value):
        raise _refused("a whole number must be between -2^63 and 2^63 - 1", node)
    return value


def _check_text(text: str, node: yaml.Node) -> None:
    """Escapes such as "\\0" and "\\ud800" write what neither Postgres nor UTF-8 can hold."""
    if "\x00" in text:
        raise _refused("a text contains a NUL character", node)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise _refused("a text contains half a surrogate pair", node)


def _refused(reason: str, node: yaml.Node) -> MalformedYaml:
    return MalformedYaml(reason, node.start_mark.line + 1, node.start_mark.column + 1)


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Indent sequences under their key."""
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)
