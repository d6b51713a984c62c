"""Faults on demand for the HTTP servers of the laptop's cloud.

A test posts rules to `/_local/chaos`; a server asks `Chaos.match` once for each request and obeys:

    latency            wait `value` seconds, then serve the request as usual
    status             answer status `value` and apply nothing
    drop_after_apply   apply the request, then cut the connection instead of answering

The last one is the fault that finds missing idempotency: the effect happened and the caller doesn't know.
"""

import re
import threading
from dataclasses import dataclass
from typing import Any, Literal

PATH = "/_local/chaos"
ActionKind = Literal["latency", "status", "drop_after_apply"]
_KINDS: tuple[ActionKind, ...] = ("latency", "status", "drop_after_apply")


@dataclass(frozen=True, slots=True)
class Action:
    """What to do to one request. `value` is seconds for `latency`, an HTTP status for `status`."""

    kind: ActionKind
    value: float

    @property
    def status(self) -> int:
        return int(self.value)


@dataclass(slots=True)
class Rule:
    """Requests of one method (`*` for all) whose path matches get the action, `times` times (None: always)."""

    method: str
    path: re.Pattern[str]
    action: Action
    times: int | None

    def as_json(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "path_regex": self.path.pattern,
            "action": self.action.kind,
            "value": self.action.value,
            "times": self.times,
        }


class Chaos:
    """The rules in force; the first that matches and has times left applies. Safe to share by threads."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def replace(self, document: Any) -> None:
        """Put the rules of `{"rules": [...]}` in place of the old ones; ValueError names a bad field."""
        if not isinstance(document, dict) or not isinstance(document.get("rules"), list):
            raise ValueError('the body must be {"rules": [...]}; send an empty list to clear the rules')
        rules = [_parse(index, rule) for index, rule in enumerate(document["rules"])]
        with self._lock:
            self._rules = rules

    def match(self, method: str, path: str) -> Action | None:
        """The action for this request, counted as used; `path` includes the query string."""
        if not self._rules:
            return None
        with self._lock:
            for rule in self._rules:
                if rule.method in ("*", method) and rule.path.search(path):
                    if rule.times is not None:
                        rule.times -= 1
                        if rule.times == 0:
                            self._rules.remove(rule)
                    return rule.action
        return None

    def as_json(self) -> dict[str, Any]:
        """The rules still in force, with the times they have left."""
        with self._lock:
            return {"rules": [rule.as_json() for rule in self._rules]}


def _parse(index: int, rule: Any) -> Rule:
    where = f"rules[{index}]"
    if not isinstance(rule, dict):
        raise ValueError(f"{where} must be an object")
    unknown = rule.keys() - {"method", "path_regex", "action", "value", "times"}
    if unknown:
        raise ValueError(f"{where} has unknown fields: {', '.join(sorted(unknown))}")
    kind = rule.get("action")
    if kind not in _KINDS:
        raise ValueError(f"{where}.action must be one of {', '.join(_KINDS)}")
    value = rule.get("value", 0)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{where}.value must be a number")
    if kind == "status" and not 400 <= value <= 599:
        raise ValueError(f"{where}.value must be a status from 400 to 599")
    if kind == "latency" and not 0 < value <= 300:
        raise ValueError(f"{where}.value must be seconds, more than 0 and at most 300")
    times = rule.get("times")
    if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 1):
        raise ValueError(f"{where}.times must be a positive integer, or absent for always")
    try:
        path = re.compile(str(rule.get("path_regex", "")))
    except re.error as error:
        raise ValueError(f"{where}.path_regex is not a regular expression: {error}") from error
    return Rule(str(rule.get("method", "*")).upper(), path, Action(kind, float(value)), times)
