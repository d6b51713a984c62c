"""A declaration that can't be kept fails where it is made: when its door is imported, and so with the manifest."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.platform.background.messages import Message
from shared.platform.edge import Call, Found, http, sse
from shared.platform.ids import TeamId
from shared.platform.steps import task

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Thing:
    """What a door finds."""

    name: str


def find_thing(_call: Call) -> Found[Thing]:
    return Found(TeamId("t"), Thing("lamp"))


def find_team(_call: Call) -> TeamId:
    return TeamId("t")


class Fold(Message, step="tests-shared-platform-test-declarations", queue="default"):
    """A message with two fields."""

    team: TeamId
    sheet: str


def takes_a_thing(call: Call[Thing]) -> str:
    return call.found.name


def takes_a_text(call: Call[str]) -> str:
    return call.found


def takes_what_it_gets(call: Call) -> None:
    """Uses nothing of it."""


@pytest.mark.parametrize(
    ("team", "handler", "problem"),
    [
        (
            find_thing,
            takes_a_text,
            r"takes a Call of <class 'str'>, but .*find_thing finds <class '.*Thing'>",
        ),
        (find_team, takes_a_thing, r"takes a Call of <class '.*Thing'>, but .*find_team finds None"),
        (None, takes_a_thing, r"takes a Call of <class '.*Thing'>, but it declares no team="),
    ],
)
@pytest.mark.parametrize("decorator", [http, sse])
def test_a_handler_gets_what_its_team_finds_or_is_refused(
    decorator: Callable[..., Any], team: Any, handler: Callable[..., Any], problem: str
) -> None:
    """The type in `Call[…]` and in `Found[…]` are the same, or the door can't be imported."""
    with pytest.raises(TypeError, match=problem):
        decorator("POST", "/v1/things", role="member", team=team)(handler)


def test_a_handler_need_not_say_what_it_does_not_use() -> None:
    """A plain Call goes with every `team=`, and Call[Thing] with what finds one."""
    for team, handler in (
        (find_thing, takes_what_it_gets),
        (find_thing, takes_a_thing),
        (find_team, takes_what_it_gets),
    ):
        http("POST", "/v1/things", role="member", team=team)(handler)


def test_a_finder_needs_a_role_that_a_team_gives() -> None:
    """For anybody else it would never be asked."""
    with pytest.raises(TypeError, match="declares team=, which only roles of a team come with"):
        http("POST", "/v1/things", role="user", team=find_thing)(takes_a_thing)


@pytest.mark.parametrize("once", ["{user}/{idempotency_key}", "{no_such_field}", None, 1])
@pytest.mark.parametrize("decorator", [http, sse])
def test_once_of_an_endpoint_is_yes_or_no(decorator: Callable[..., Any], once: Any) -> None:
    """Its key is the caller's header; a text would look as if it were made of something."""
    with pytest.raises(TypeError, match=r"once= of an endpoint is True or False"):
        decorator("POST", "/v1/things", role="user", once=once)(takes_what_it_gets)


@pytest.mark.parametrize(("method", "role"), [("GET", "user"), ("POST", "public")])
def test_once_needs_a_known_caller_who_changes_something(method: str, role: Any) -> None:
    """A GET repeats itself, and a key belongs to somebody."""
    with pytest.raises(TypeError, match="once= is for what a known caller changes"):
        http(method, "/v1/things", role=role, once=True)(takes_what_it_gets)


@pytest.mark.parametrize(
    ("once", "problem"),
    [
        ("{team}/{shete}", "names 'shete', which is no field of Fold"),
        ("{team.name}", "names 'team.name', which is no field of Fold"),
        ("{}", "names '', which is no field of Fold"),
        ("{0}", "names '0', which is no field of Fold"),
        ("always the same", "must be made of fields of Fold as they are"),
        ("", "must be made of fields of Fold as they are"),
        ("{sheet!r}", "must be made of fields of Fold as they are"),
        ("{sheet:>10}", "must be made of fields of Fold as they are"),
    ],
)
def test_the_key_of_a_step_is_made_of_its_messages_fields(once: str, problem: str) -> None:
    """A wrong name would refuse each delivery as malformed; a key without a field is one key for all messages."""

    def handler(step: Fold) -> None: ...

    handler.__module__ = "functions.tests.shared.platform.test_declarations.main"
    with pytest.raises(TypeError, match=re.escape(problem)):
        task(Fold, once=once)(handler)
    task(Fold, once="{team}/{sheet}")(handler)


AMBIENT = {
    "shared/platform/telemetry/context.py": {"bridge_context", "bridge_request"},
    "shared/platform/deadline.py": {"bridge_deadline"},
    "shared/platform/background/ledger.py": {"bridge_attempt"},
    "shared/platform/leases/stopping.py": {"bridge_stop"},
}
"""Who asks, until when, whose attempt it is, whether to stop: all that travels beside the arguments."""


def test_no_context_variable_carries_what_a_door_found() -> None:
    """What somebody read travels openly, as an argument; a new ambient value must be argued for here."""
    made = re.compile(r'ContextVar\(\s*"(\w+)"')
    found = {
        str(path.relative_to(ROOT)): set(made.findall(text))
        for path in (ROOT / "shared").rglob("*.py")
        if "ContextVar" in (text := path.read_text())
    }
    assert found == AMBIENT
