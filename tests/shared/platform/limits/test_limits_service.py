"""Limits, overrides, flags and the audit log, through their doors."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from flask import Flask, request
from werkzeug.test import TestResponse

from shared.platform import audit, caches
from shared.platform.edge import auth
from shared.platform.errors import FeatureDisabled, QuotaExceeded
from shared.platform.ids import TeamId, UserId, new_id
from shared.platform.limits import budgets, flags, rates, team_rates
from shared.platform.postgres import pool
from shared.platform.registry.gathered import FLAGS, OVERRIDABLE, RATES
from tests.moved_clock import MovedClock

pytestmark = pytest.mark.slow
Ask = Callable[..., TestResponse]


@pytest.fixture
def ask(
    two_teams: dict[str, Any], owner: Any, directory: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ask]:
    """Call a door: `ask("limits.set_quota", "PUT", path, {...}, as_="root")`.

    `ours` and `theirs` are the admins of two teams, `member` belongs to ours, `root` administers the platform.
    """
    from shared.platform import settings as module

    tokens = {}
    users = {name: two_teams[name]["user"] for name in ("ours", "theirs")}
    for name in ("member", "root"):
        users[name] = new_id()
        email = f"{name}-{uuid.uuid4().hex[:8]}@example.com"
        owner.run("INSERT INTO users (id, email) VALUES (:id, :email)", id=users[name], email=email)
        if name == "root":
            monkeypatch.setenv("BRIDGE_PLATFORM_ADMINS", email)
    owner.run(
        "INSERT INTO team_members (team_id, user_id, role) VALUES (:t, :u, 'member')",
        t=two_teams["ours"]["team"],
        u=users["member"],
    )
    module.settings.cache_clear()
    rates.forget()
    for name, user in users.items():
        with pool.transaction() as tx:
            tokens[name] = auth.issue_token(
                tx, id=new_id(), user=UserId(user), name="test", scopes=("full",), expires_at=None
            )

    def call(
        door: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        as_: str | None = "ours",
        raw: bytes | None = None,
    ) -> TestResponse:
        entry = getattr(import_module(f"functions.{door}.main"), door.rpartition(".")[2])
        app = Flask("test")
        app.add_url_rule("/<path:path>", "path", lambda path: entry(request), methods=[method])
        headers = {} if as_ is None else {"Authorization": f"Bearer {tokens[as_]}"}
        data = raw if raw is not None else None if body is None else json.dumps(body)
        return app.test_client().open(
            path, method=method, data=data, headers=headers, content_type="application/json"
        )

    yield call
    rates.forget()


@pytest.fixture
def team(two_teams: dict[str, Any]) -> str:
    return str(two_teams["ours"]["team"])


def problem(answer: TestResponse) -> dict[str, Any]:
    return dict(answer.get_json()["error"])


def quota(ask: Ask, name: str, as_: str = "member") -> dict[str, Any]:
    answer = ask("limits.list_quotas", "GET", "/v1/quotas", as_=as_)
    assert answer.status_code == 200, answer.text
    return next(dict(one) for one in answer.get_json()["quotas"] if one["name"] == name)


def soon(**later: float) -> str:
    return (datetime.now(UTC) + timedelta(**later)).isoformat()


def test_a_member_sees_every_limit_and_what_is_used(ask: Ask, team: str) -> None:
    """Limit, use, promises and reset; turns and conversations have counters of their own."""
    budgets.reserve(team, "warehouse_bytes", 700, key="a")
    budgets.settle(team, "warehouse_bytes", "a", 600)
    budgets.reserve(team, "warehouse_bytes", 50, key="b")
    answer = ask("limits.list_quotas", "GET", f"/v1/quotas?team_id={team}", as_="member")
    assert {one["name"] for one in answer.get_json()["quotas"]} == set(OVERRIDABLE)
    seen = quota(ask, "warehouse_bytes")
    assert (seen["limit"], seen["used"], seen["reserved"]) == (10**12, 600, 50)
    assert seen["resets_at"] > soon()[:10]
    assert seen["override"] is None
    assert quota(ask, "model_cost_turn")["used"] is None
    assert (quota(ask, "rate_team_read")["used"], quota(ask, "rate_team_read")["window"]) == (None, "minute")
    assert quota(ask, "scans_concurrent")["resets_at"] is None
    assert quota(ask, "warehouse_bytes", as_="theirs")["used"] == 0


def test_an_override_of_a_team_holds_at_once_and_for_that_team_alone(
    ask: Ask, team: str, two_teams: dict[str, Any], owner: Any
) -> None:
    """Who, when, why and until are shown and audited; the next reservation meets the new limit."""
    until = soon(hours=2)
    path = f"/v1/quotas/{team}/exports"
    answer = ask("limits.set_quota", "PUT", path, {"limit": 1, "reason": "abuse", "until": until}, as_="root")
    assert answer.status_code == 200, answer.text
    made = answer.get_json()
    assert (made["limit"], made["default"], made["override"]["reason"]) == (1, 200, "abuse")
    assert made["override"]["until"][:19] == until[:19]
    budgets.reserve(team, "exports", 1, key="a")
    budgets.settle(team, "exports", "a", 1)
    with pytest.raises(QuotaExceeded):
        budgets.reserve(team, "exports", 1, key="b")
    theirs = str(two_teams["theirs"]["team"])
    for key in ("a", "b"):
        budgets.reserve(theirs, "exports", 1, key=key)
    rows = owner.run("SELECT action, target, reason FROM audit_log WHERE team_id = :t", t=team)
    assert ["quota.overridden", "exports", "abuse"] in rows


@pytest.mark.parametrize("name", OVERRIDABLE)
def test_every_limit_of_a_team_can_be_overridden(ask: Ask, team: str, name: str) -> None:
    """Those of a turn, a conversation and a minute too, which have no counter of the team's own."""
    answer = ask(
        "limits.set_quota", "PUT", f"/v1/quotas/{team}/{name}", {"limit": 3, "reason": "x"}, as_="root"
    )
    assert (answer.status_code, answer.get_json().get("limit")) == (200, 3), answer.text
    assert quota(ask, name)["override"]["limit"] == 3


def test_an_override_whose_time_is_over_has_no_effect(ask: Ask, team: str, owner: Any) -> None:
    """Nothing has to run for that: the row is simply not in force any more."""
    path = f"/v1/quotas/{team}/exports"
    ask("limits.set_quota", "PUT", path, {"limit": 0, "reason": "pause", "until": soon(hours=1)}, as_="root")
    with pytest.raises(QuotaExceeded):
        budgets.reserve(team, "exports", 1, key="a")
    owner.run("UPDATE limit_overrides SET until = now() - interval '1 second' WHERE team_id = :t", t=team)
    budgets.reserve(team, "exports", 1, key="a")
    assert quota(ask, "exports")["override"] is None


def test_an_override_is_taken_away_again(ask: Ask, team: str, owner: Any) -> None:
    """DELETE goes back to the default, is audited once, and a repetition is no error."""
    path = f"/v1/quotas/{team}/exports"
    ask("limits.set_quota", "PUT", path, {"limit": 0, "reason": "pause"}, as_="root")
    assert [ask("limits.remove_quota", "DELETE", path, as_="root").status_code for _ in range(2)] == [
        204,
        204,
    ]
    assert quota(ask, "exports")["limit"] == 200
    rows = owner.run(
        "SELECT count(*) FROM audit_log WHERE team_id = :t AND action = 'quota.override_removed'", t=team
    )
    assert rows == [[1]]


def test_a_switch_is_taken_away_again(ask: Ask, team: str, owner: Any) -> None:
    """DELETE goes back to what holds here, at once and audited once, and a repetition is no error."""
    path = f"/v1/flags/{team}/lab_sweeps"
    ask("limits.set_flag", "PUT", path, {"enabled": False, "reason": "abuse"}, as_="root")
    with pytest.raises(FeatureDisabled):
        flags.require(team, "lab_sweeps")
    answers = [ask("limits.remove_flag", "DELETE", path, as_="root") for _ in range(2)]
    assert [(answer.status_code, answer.data) for answer in answers] == [(204, b""), (204, b"")]
    flags.require(team, "lab_sweeps")
    listed = ask("limits.list_flags", "GET", "/v1/flags", as_="member").get_json()["flags"]
    assert {one["name"]: one["override"] for one in listed}["lab_sweeps"] is None
    switched, removed = owner.run(
        "SELECT action, before_sha256, after_sha256 FROM audit_log WHERE team_id = :t ORDER BY created_at, id",
        t=team,
    )
    assert (switched[0], removed[0]) == ("flag.switched", "flag.switch_removed")
    assert switched[1] is None, "there was no override before"
    assert removed[1] == switched[2], "what was taken away is what was set"
    assert removed[2] is None


@pytest.mark.parametrize(("table", "kind"), [("limit_overrides", "quotas"), ("flag_overrides", "flags")])
def test_what_is_over_is_neither_taken_away_nor_replaced_in_the_audit_log(
    ask: Ask, team: str, owner: Any, table: str, kind: str
) -> None:
    """An override that ended by itself is absent: the log does not say that somebody ended it."""
    name, door = ("exports", "quota") if kind == "quotas" else ("lab_sweeps", "flag")
    path = f"/v1/{kind}/{team}/{name}"
    body = {"reason": "x", "until": soon(hours=1)} | (
        {"limit": 1} if kind == "quotas" else {"enabled": False}
    )
    ended = f"UPDATE {table} SET until = now() - interval '1 second' WHERE team_id = :t"
    ask(f"limits.set_{door}", "PUT", path, body, as_="root")
    owner.run(ended, t=team)
    ask(f"limits.set_{door}", "PUT", path, body, as_="root")
    owner.run(ended, t=team)
    assert ask(f"limits.remove_{door}", "DELETE", path, as_="root").status_code == 204
    assert owner.run(f"SELECT count(*) FROM {table} WHERE team_id = :t", t=team) == [[0]]
    rows = owner.run("SELECT before_sha256 FROM audit_log WHERE team_id = :t", t=team)
    assert rows == [[None], [None]], "two settings, and nothing before either"


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "limit"),
        ({"limit": -1, "reason": "x"}, 400, "limit"),
        ({"limit": 2**53, "reason": "x"}, 400, "limit"),
        ({"limit": "5", "reason": "x"}, 400, "limit"),
        ({"limit": True, "reason": "x"}, 400, "limit"),
        ({"limit": 5, "reason": "  "}, 400, "reason"),
        ({"limit": 5, "reason": "x" * 501}, 400, "reason"),
        ({"limit": 5, "reason": "x", "until": "tomorrow"}, 400, "until"),
        ({"limit": 5, "reason": "x", "until": "2030-01-01T00:00:00"}, 400, "until"),
        ({"limit": 5, "reason": "x", "until": "2020-01-01T00:00:00Z"}, 400, "until"),
        ({"limit": 5, "reason": "x", "team_id": "y"}, 400, "team_id"),
    ],
)
def test_a_bad_override_is_refused_by_its_field(
    ask: Ask, team: str, owner: Any, body: dict[str, Any], status: int, field: str
) -> None:
    """And nothing is changed or audited."""
    answer = ask("limits.set_quota", "PUT", f"/v1/quotas/{team}/exports", body, as_="root")
    assert (answer.status_code, problem(answer)["field"]) == (status, field), answer.text
    for table in ("limit_overrides", "audit_log"):
        assert owner.run(f"SELECT count(*) FROM {table} WHERE team_id = :t", t=team) == [[0]]


@pytest.mark.parametrize("as_", ["ours", "member", "theirs"])
def test_only_a_platform_admin_sets_limits_and_flags(ask: Ask, team: str, as_: str) -> None:
    """403 for everybody else, an admin of that very team included; 401 without a credential."""
    for door, method, path in (
        ("limits.set_quota", "PUT", f"/v1/quotas/{team}/exports"),
        ("limits.remove_quota", "DELETE", f"/v1/quotas/{team}/exports"),
        ("limits.set_flag", "PUT", f"/v1/flags/{team}/lab_sweeps"),
        ("limits.remove_flag", "DELETE", f"/v1/flags/{team}/lab_sweeps"),
    ):
        assert ask(door, method, path, raw=b"{junk", as_=as_).status_code == 403
        assert ask(door, method, path, raw=b"{junk", as_=None).status_code == 401


def test_unknown_names_and_teams_are_not_found(ask: Ask, team: str) -> None:
    """404, for a limit that can't be overridden too."""
    body = {"limit": 5, "reason": "x"}
    for path in (
        f"/v1/quotas/{team}/bananas",
        f"/v1/quotas/{team}/rate_read",
        f"/v1/quotas/{new_id()}/exports",
    ):
        assert ask("limits.set_quota", "PUT", path, body, as_="root").status_code == 404
        assert ask("limits.remove_quota", "DELETE", path, as_="root").status_code == 404
    for path in (f"/v1/flags/{team}/bananas", f"/v1/flags/{new_id()}/lab_sweeps"):
        answer = ask("limits.set_flag", "PUT", path, {"enabled": True, "reason": "x"}, as_="root")
        assert answer.status_code == 404
        assert ask("limits.remove_flag", "DELETE", path, as_="root").status_code == 404


def test_a_stranger_sees_no_limits_flags_or_audit(ask: Ask, team: str) -> None:
    """Another team's answers exactly like one that does not exist."""
    for door, path in (
        ("limits.list_quotas", "quotas"),
        ("limits.list_flags", "flags"),
        ("ops.list_audit", "audit"),
    ):
        there = ask(door, "GET", f"/v1/{path}?team_id={team}", as_="theirs")
        nowhere = ask(door, "GET", f"/v1/{path}?team_id={new_id()}", as_="theirs")
        assert (there.status_code, problem(there)["code"]) == (404, "NOT_FOUND")
        assert problem(there)["message"] == problem(nowhere)["message"]


def test_a_flag_is_the_default_then_the_environments_then_the_teams(
    ask: Ask, team: str, two_teams: dict[str, Any], owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The team's switch wins while it lasts, and one team's switch is not the other's."""
    from shared.platform import settings as module

    theirs = str(two_teams["theirs"]["team"])
    with pytest.raises(FeatureDisabled) as caught:
        flags.require(team, "assistant_execute")
    assert (caught.value.status, caught.value.details) == (403, {"flag": "assistant_execute"})
    monkeypatch.setenv("BRIDGE_FLAGS", '{"assistant_execute": true}')
    module.settings.cache_clear()
    flags.require(team, "assistant_execute")
    body = {"enabled": False, "reason": "not yet", "until": soon(hours=1)}
    answer = ask("limits.set_flag", "PUT", f"/v1/flags/{team}/assistant_execute", body, as_="root")
    assert answer.status_code == 200, answer.text
    assert (answer.get_json()["enabled"], answer.get_json()["default"]) == (False, True)
    with pytest.raises(FeatureDisabled):
        flags.require(team, "assistant_execute")
    flags.require(theirs, "assistant_execute")
    listed = ask("limits.list_flags", "GET", "/v1/flags", as_="member").get_json()["flags"]
    assert {one["name"]: one["enabled"] for one in listed}["assistant_execute"] is False
    assert {one["name"] for one in listed} == set(FLAGS)
    owner.run("UPDATE flag_overrides SET until = now() - interval '1 second' WHERE team_id = :t", t=team)
    flags.require(team, "assistant_execute")


def test_the_audit_log_is_paged_newest_first_and_filtered(ask: Ask, team: str, owner: Any) -> None:
    """Cursor after cursor until the end, each entry once; action, actor, target, from and to narrow it."""
    with pool.transaction(team) as tx:
        for number in range(7):
            audit.write(
                tx,
                team=team,
                actor="somebody",
                action=f"thing.{number % 2}",
                target=str(number),
                after=number,
            )
    seen: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = ask("ops.list_audit", "GET", f"/v1/audit?team_id={team}&limit=3{cursor}").get_json()
        seen += page["entries"]
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert sorted(entry["target"] for entry in seen) == [str(number) for number in range(7)]
    assert [entry["id"] for entry in seen] == sorted((entry["id"] for entry in seen), reverse=True)

    def count(query: str) -> int:
        answer = ask("ops.list_audit", "GET", f"/v1/audit?team_id={team}&{query}")
        assert answer.status_code == 200, answer.text
        return len(answer.get_json()["entries"])

    assert (count("action=thing.1"), count("actor=nobody"), count("target=4")) == (3, 0, 1)
    owner.run(
        "UPDATE audit_log SET created_at = '2026-01-02T03:04:05Z' WHERE team_id = :t AND target = '6'", t=team
    )
    assert count("to=2026-02-01T00:00:00Z") == 1
    assert count("from=2026-02-01T00:00:00Z") == 6
    assert count("from=2026-01-02T03:04:05Z&to=2026-01-02T03:04:05Z") == 0


@pytest.mark.parametrize(
    "query", ["from=yesterday", "to=2026-01-01T00:00:00", "limit=0", "cursor=junk", "cursor=WyJ4IiwieSJd", "since=2026-01-01T00:00:00Z"]
)  # fmt: skip
def test_a_bad_filter_of_the_audit_log_is_400(ask: Ask, team: str, query: str) -> None:
    """Never a 500, never an unfiltered answer."""
    assert ask("ops.list_audit", "GET", f"/v1/audit?team_id={team}&{query}").status_code == 400


def test_a_member_may_not_read_the_audit_log(ask: Ask, team: str) -> None:
    """It is for the team's admins."""
    assert ask("ops.list_audit", "GET", f"/v1/audit?team_id={team}", as_="member").status_code == 403


def test_the_audit_log_keeps_no_values(team: str, owner: Any, two_teams: dict[str, Any]) -> None:
    """Hashes tell whether two states were equal; what they were is not there."""
    with pool.transaction(team) as tx:
        audit.write(
            tx, team=team, actor="a", action="x.y", target="t", before="canary-1", after={"k": "canary-2"}
        )
    rows = owner.run("SELECT a::text FROM audit_log a WHERE team_id = :t", t=team)
    assert "canary" not in rows[0][0]


def test_a_caller_above_the_rate_gets_429_with_headers(
    ask: Ask, team: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retry-After and RateLimit on the refusal; RateLimit on what came before, with less and less left."""
    from shared.platform import settings as module

    limits = dict.fromkeys(RATES, 1_600_000) | {"rate_read": 32}
    monkeypatch.setenv("BRIDGE_LIMITS", json.dumps(limits))
    monkeypatch.setattr(rates, "FIRST_PATIENCE_SECONDS", 0.01)
    module.settings.cache_clear()
    rates.forget()
    # Firestore is not there: the instance lets a sixteenth through.
    first, second, third = (ask("limits.list_flags", "GET", "/v1/flags") for _ in range(3))
    assert [first.status_code, second.status_code, third.status_code] == [200, 200, 429]
    assert first.headers["RateLimit-Policy"] == '"read";q=32;w=60'
    assert third.headers["RateLimit"].startswith('"read";r=0;t=')
    assert 1 <= int(third.headers["Retry-After"]) <= 60
    assert (problem(third)["code"], problem(third)["retryable"]) == ("RATE_LIMITED", True)
    assert ask("limits.list_flags", "GET", "/v1/flags", as_="member").status_code == 200


def test_a_teams_own_rate_holds_as_soon_as_the_instance_knows_it(
    ask: Ask, team: str, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For that team and for as long as it lasts; at nought everything is refused, also with Firestore away."""
    monkeypatch.setattr(rates, "FIRST_PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(team_rates, "_teams", caches.fresh(10, 0.0))

    def statuses(as_: str, times: int = 3) -> list[int]:
        return [ask("limits.list_flags", "GET", "/v1/flags", as_=as_).status_code for _ in range(times)]

    path = f"/v1/quotas/{team}/rate_team_read"
    assert statuses("member") == [200, 200, 200]
    made = ask("limits.set_quota", "PUT", path, {"limit": 32, "reason": "a loop"}, as_="root")
    assert (made.status_code, made.get_json()["limit"]) == (200, 32), made.text
    # Firestore is not there: the instance lets a sixteenth through, whoever of the team asks.
    assert statuses("member", 1) + statuses("ours", 2) == [200, 200, 429]
    refused = ask("limits.list_flags", "GET", "/v1/flags", as_="ours")
    assert problem(refused)["details"] == {"policy": "team_read", "limit": 32, "window_seconds": 60}
    assert refused.headers["RateLimit-Policy"] == '"team_read";q=32;w=60'
    assert statuses("theirs") == [200, 200, 200]
    ask("limits.set_quota", "PUT", path, {"limit": 0, "reason": "stop", "until": soon(hours=1)}, as_="root")
    assert statuses("ours", 2) == [429, 429]
    owner.run("UPDATE limit_overrides SET until = now() - interval '1 second' WHERE team_id = :t", t=team)
    assert statuses("ours") == [200, 200, 200]


def test_a_teams_own_rates_are_asked_for_now_and_then(
    ask: Ask, team: str, owner: Any, monkeypatch: pytest.MonkeyPatch, moved: MovedClock
) -> None:
    """Not with every request; each instance learns of a change within seconds, and remembers only so many teams."""
    monkeypatch.setattr(team_rates, "_teams", caches.fresh(1, team_rates.FRESH_SECONDS))
    ours = TeamId(team)
    assert team_rates.own(ours, "rate_team_write") is None
    owner.run(
        "INSERT INTO limit_overrides (team_id, name, value, reason) VALUES (:t, 'rate_team_write', 7, 'x')",
        t=team,
    )
    moved.forward(team_rates.FRESH_SECONDS / 2)
    assert team_rates.own(ours, "rate_team_write") is None
    moved.forward(team_rates.FRESH_SECONDS / 2)
    assert team_rates.own(ours, "rate_team_write") == 7
    owner.run("DELETE FROM limit_overrides WHERE team_id = :t", t=team)
    assert team_rates.own(TeamId(new_id()), "rate_team_write") is None
    assert team_rates.own(ours, "rate_team_write") is None, (
        "another team took its place, so it was asked anew"
    )
