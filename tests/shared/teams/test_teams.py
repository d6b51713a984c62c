"""Signing in, teams and access tokens, through their doors."""

import base64
import json
import os
import re
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.teams.service import slug
from tests.shared.conftest import Person
from tests.shared.losing import wire


def _sign_in(cloud, email="ada@example.com", **body):
    return cloud.call("POST", "/v1/auth/dev/login", {"email": email, **body})


def _cookies(answer):
    return {
        value.split("=")[0]: value.split(";")[0].partition("=")[2]
        for value in answer.headers.getlist("Set-Cookie")
    }


def test_signing_in_sets_a_cookie_that_no_script_can_read(cloud):
    """The session cookie is HttpOnly and SameSite; the page learns the CSRF value from its own cookie."""
    signed = _sign_in(cloud, name="Ada")
    assert signed.status == 200
    session, csrf = (
        next(v for v in signed.headers.getlist("Set-Cookie") if v.startswith(name))
        for name in ("bridge_session=", "bridge_csrf=")
    )
    assert "HttpOnly" in session
    assert "SameSite=Lax" in session
    assert "HttpOnly" not in csrf
    assert "Secure" not in session  # this stack's address is plain http
    assert signed.json["csrf_token"] == _cookies(signed)["bridge_csrf"]
    assert signed.json["user"]["name"] == "Ada"


def test_cookies_are_secure_where_the_address_is(cloud, monkeypatch):
    """Behind https the cookies never travel in the clear."""
    from shared.platform import settings

    monkeypatch.setenv("BRIDGE_BASE_URL", "https://bridge.example")
    settings.settings.cache_clear()
    assert all("Secure" in value for value in _sign_in(cloud).headers.getlist("Set-Cookie"))


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_the_development_sign_in_does_not_exist_elsewhere(cloud, monkeypatch, environment):
    """Outside a laptop the door answers 404, whatever is sent."""
    from shared.platform import settings

    monkeypatch.setenv("BRIDGE_ENV", environment)
    settings.settings.cache_clear()
    assert _sign_in(cloud).status == 404


@pytest.mark.parametrize(
    "email", ["", "ada", "ada@", "@example.com", "a b@example.com", "a@b\n.com", 5, None]
)
def test_what_is_no_address_is_refused_by_name(cloud, email):
    """The refusal names the field."""
    answer = _sign_in(cloud, email)
    assert answer.status == 400
    assert answer.error["field"] == "email"


def test_the_same_address_is_the_same_person(cloud):
    """Case does not make another person, and a name that is not given is not forgotten."""
    first = _sign_in(cloud, "Grace@Example.com", name="Grace").json["user"]
    again = _sign_in(cloud, "grace@example.com").json["user"]
    assert again == first
    assert again["name"] == "Grace"


def test_a_browser_changes_nothing_without_the_csrf_header(cloud):
    """A form of another site carries the cookie but can't know the header's value."""
    signed = _sign_in(cloud)
    cookie = f"bridge_session={_cookies(signed)['bridge_session']}"
    body = {"name": "Ours"}
    assert cloud.call("POST", "/v1/onboarding/teams", body, headers={"Cookie": cookie}).status == 403
    forged = {"Cookie": cookie, "X-Bridge-CSRF": "0" * 40}
    assert cloud.call("POST", "/v1/onboarding/teams", body, headers=forged).status == 403
    honest = {"Cookie": cookie, "X-Bridge-CSRF": signed.json["csrf_token"]}
    assert cloud.call("POST", "/v1/onboarding/teams", body, headers=honest).status == 201


def test_me_tells_the_browser_its_csrf_value_and_a_script_none(cloud):
    """After a reload the page gets the value again; a token needs none."""
    signed = _sign_in(cloud)
    cookie = f"bridge_session={_cookies(signed)['bridge_session']}"
    assert (
        cloud.call("GET", "/v1/auth/me", headers={"Cookie": cookie}).json["csrf_token"]
        == (signed.json["csrf_token"])
    )
    person = cloud.person()
    team = cloud.team(person)
    me = cloud.call("GET", "/v1/auth/me", as_=person).json
    assert me["csrf_token"] is None
    assert [(t["id"], t["role"]) for t in me["teams"]] == [(team, "admin")]


def test_logging_out_ends_the_session_at_once(cloud):
    """The cookie that was copied before is worth nothing after."""
    signed = _sign_in(cloud)
    headers = {
        "Cookie": f"bridge_session={_cookies(signed)['bridge_session']}",
        "X-Bridge-CSRF": signed.json["csrf_token"],
    }
    out = cloud.call("POST", "/v1/auth/logout", headers=headers)
    assert out.status == 204
    assert _cookies(out) == {"bridge_session": "", "bridge_csrf": ""}
    assert cloud.call("GET", "/v1/auth/me", headers=headers).status == 401


def test_a_token_is_shown_once_and_stored_as_a_hash(cloud):
    """Neither the list nor the table holds its text."""
    person = cloud.person()
    made = cloud.call("POST", "/v1/auth/tokens", {"name": "ci", "expires_in_days": 7}, as_=person)
    assert made.status == 201
    text = made.json["token"]
    assert re.fullmatch(r"brg_[A-Za-z0-9_-]{43}", text)
    listed = cloud.call("GET", "/v1/auth/tokens", as_=person)
    assert text.encode() not in listed.content
    assert made.json["id"] in [token["id"] for token in listed.json["tokens"]]
    rows = cloud.sql("SELECT to_jsonb(t)::text AS row FROM access_tokens t")
    assert all(text not in row["row"] for row in rows)


def test_a_revoked_token_is_refused_from_the_next_call_on(cloud):
    """Revoking twice is as good as once."""
    person = cloud.person()
    token = cloud.call("POST", "/v1/auth/tokens", {"name": "ci"}, as_=person).json
    other = type(person)(person.id, token["token"])
    assert cloud.call("GET", "/v1/auth/me", as_=other).status == 200
    for _ in range(2):
        assert cloud.call("DELETE", f"/v1/auth/tokens/{token['id']}", as_=person).status == 204
    assert cloud.call("GET", "/v1/auth/me", as_=other).status == 401


def test_nobody_revokes_a_strangers_token(cloud):
    """It is not found, and goes on working."""
    owner, stranger = cloud.person(), cloud.person()
    token = cloud.call("POST", "/v1/auth/tokens", {"name": "ci"}, as_=owner).json
    assert cloud.call("DELETE", f"/v1/auth/tokens/{token['id']}", as_=stranger).status == 404
    assert cloud.call("GET", "/v1/auth/me", as_=type(owner)(owner.id, token["token"])).status == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x", "expires_in_days": 0}, "expires_in_days"),
        ({"name": "x", "expires_in_days": "7"}, "expires_in_days"),
        ({"name": "x", "scopes": ["root"]}, "scopes.0"),
        ({"name": "x", "user_id": "me"}, "user_id"),
    ],
)
def test_a_token_that_makes_no_sense_is_refused(cloud, body, field):
    """Unknown fields and scopes included: a scope that nobody enforces would be a false promise."""
    answer = cloud.call("POST", "/v1/auth/tokens", body, as_=cloud.person())
    assert answer.status == 400
    assert answer.error["field"] == field


def test_a_team_is_made_with_its_maker_as_admin(cloud):
    """The answer, the list and the details agree."""
    person = cloud.person()
    made = cloud.call("POST", "/v1/onboarding/teams", {"name": "  Flüge & Co  "}, as_=person)
    assert made.status == 201
    assert made.json["name"] == "Flüge & Co"
    assert made.json["slug"].startswith("fluge-co")
    assert made.json["role"] == "admin"
    details = cloud.call("GET", f"/v1/onboarding/teams/{made.json['id']}", as_=person).json
    assert details["counts"] == {"members": 1, "connections": 0}
    listed = cloud.call("GET", "/v1/onboarding/teams", as_=person).json
    assert listed["teams"] == [made.json]
    assert listed["has_more"] is False


def _make(cloud, person, name, **headers):
    return cloud.call("POST", "/v1/onboarding/teams", {"name": name}, as_=person, headers=headers)


def test_a_slug_tells_nothing_of_teams_that_one_cant_see(cloud):
    """Strangers who choose one name get one slug; among a person's own teams the second is numbered."""
    people = [cloud.person() for _ in range(3)]
    name = f"Same {people[0].id[-12:]}"
    slugs = [_make(cloud, person, name).json["slug"] for person in people]
    assert slugs == [slug(name)] * 3
    assert [_make(cloud, people[0], name).json["slug"] for _ in range(2)] == [
        f"{slug(name)}-2",
        f"{slug(name)}-3",
    ]


def _limited(monkeypatch, most):
    from shared.platform import settings

    known = json.loads(os.environ["BRIDGE_LIMITS"]) if "BRIDGE_LIMITS" in os.environ else {}
    monkeypatch.setenv("BRIDGE_LIMITS", json.dumps(known | {"teams_per_person": most}))
    settings.settings.cache_clear()


def test_a_person_makes_only_so_many_teams(cloud, monkeypatch):
    """The refusal tells usage and limit; who repeats a request that succeeded gets its answer; another person
    may.
    """
    _limited(monkeypatch, 3)
    person = cloud.person()
    key = {"Idempotency-Key": str(uuid.uuid4())}
    third = [_make(cloud, person, f"Team {n}", **(key if n == 2 else {})) for n in range(3)][-1]
    refused = _make(cloud, person, "One more")
    assert (refused.status, refused.error["code"]) == (403, "QUOTA_EXCEEDED")
    assert refused.error["field"] == "teams_per_person"
    assert {name: refused.error["details"][name] for name in ("usage", "limit", "requested")} == {
        "usage": 3,
        "limit": 3,
        "requested": 1,
    }
    assert _make(cloud, person, "Team 2", **key).content == third.content
    _lose_answer(cloud, person)
    assert _make(cloud, person, "Team 2", **key).json["id"] == third.json["id"]
    assert len(cloud.call("GET", "/v1/onboarding/teams", as_=person).json["teams"]) == 3
    assert _make(cloud, cloud.person(), "Another's").status == 201


def test_whichever_commit_loses_its_answer_a_team_is_made_once(cloud, monkeypatch):
    """The request succeeds, or is repeated with its key: one team, one record of it, one membership."""
    from shared.platform import settings
    from shared.platform.postgres import pool

    person = cloud.person()
    with wire(cloud.environment["DATABASE_URL"]) as (line, url):
        monkeypatch.setenv("DATABASE_URL", url)
        for cache in (settings.settings, pool._pool):
            cache.cache_clear()
        for number in range(1, 5):
            key = {"Idempotency-Key": str(uuid.uuid4())}
            line.lose(number)
            made = _make(cloud, person, f"Team {number}", **key)
            lost, _ = line.lost, line.lose()
            assert made.status in (201, 503)
            made = _make(cloud, person, f"Team {number}", **key) if made.status == 503 else made
            assert made.status == 201, made.content
            told = cloud.sql(
                "SELECT count(*) AS n FROM audit_log WHERE team_id = :t AND action = 'team.created'",
                t=made.json["id"],
            )
            assert (told[0]["n"], lost) == (1, 1)
        named = [team["name"] for team in cloud.call("GET", "/v1/onboarding/teams", as_=person).json["teams"]]
    assert named == [f"Team {number}" for number in range(1, 5)]


def test_a_team_that_its_maker_left_counts_and_one_that_is_deleted_does_not(cloud, monkeypatch):
    """Leaving makes no room: the team has its quotas still."""
    _limited(monkeypatch, 1)
    person = cloud.person()
    team = cloud.team(person)
    cloud.sql("DELETE FROM team_members WHERE team_id = :t AND user_id = :u", t=team, u=person.id)
    assert _make(cloud, person, "More").status == 403
    cloud.sql("DELETE FROM teams WHERE id = :t", t=team)
    assert _make(cloud, person, "More").status == 201


def test_teams_made_at_the_same_moment_are_counted_one_after_the_other(cloud, monkeypatch):
    """Eight requests at once, room for two: two are made."""
    _limited(monkeypatch, 2)
    person = cloud.person()
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda n: _make(cloud, person, f"Team {n}").status, range(8)))
    assert sorted(statuses) == [201] * 2 + [403] * 6


def test_a_repeated_creation_with_its_key_makes_one_team(cloud):
    """Same key and body: the first answer again. Same key, other body: refused."""
    person = cloud.person()
    headers = {"Idempotency-Key": "make-it-once"}
    answers = [
        cloud.call("POST", "/v1/onboarding/teams", {"name": "Once"}, as_=person, headers=headers)
        for _ in range(2)
    ]
    assert answers[0].json == answers[1].json
    assert len(cloud.call("GET", "/v1/onboarding/teams", as_=person).json["teams"]) == 1
    other = cloud.call("POST", "/v1/onboarding/teams", {"name": "Other"}, as_=person, headers=headers)
    assert (other.status, other.error["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_teams_come_in_pages_by_name(cloud):
    """The cursor continues where the page ended, without gaps or repeats."""
    person = cloud.person()
    for name in ("c", "a", "b"):
        cloud.call("POST", "/v1/onboarding/teams", {"name": name}, as_=person)
    first = cloud.call("GET", "/v1/onboarding/teams?limit=2", as_=person).json
    rest = cloud.call("GET", f"/v1/onboarding/teams?cursor={first['next_cursor']}", as_=person).json
    assert [team["name"] for team in first["teams"] + rest["teams"]] == ["a", "b", "c"]
    assert (first["has_more"], rest["has_more"]) == (True, False)


def test_a_strangers_team_answers_like_one_that_does_not_exist(cloud):
    """Same status, same code, same message."""
    team = cloud.team(cloud.person())
    stranger = cloud.person()
    missing = team[:-4] + "ffff"
    answers = [cloud.call("GET", f"/v1/onboarding/teams/{id}", as_=stranger) for id in (team, missing)]
    assert [answer.status for answer in answers] == [404, 404]
    assert answers[0].error["message"] == answers[1].error["message"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Demo Team", "demo-team"),
        ("Ünïcode  & more!", "unicode-more"),
        ("--x--", "x"),
        ("日本", "team"),
        ("x" * 200, "x" * 60),
        ("ß", "ss"),
    ],
)
def test_a_slug_is_plain_ascii(name, expected):
    """Folded, lower case, hyphens between words, never empty."""
    assert slug(name) == expected


def _token(cloud, person, **options):
    made = cloud.call("POST", "/v1/auth/tokens", {"name": "ci", **options}, as_=person)
    assert made.status == 201, made.content
    return made.json, type(person)(person.id, made.json["token"])


def test_a_rotated_token_has_a_new_text_and_is_otherwise_the_same(cloud):
    """The old text stops at once; name, scopes, team and lifetime stay."""
    person = cloud.person()
    team = cloud.team(person)
    made, before = _token(cloud, person, scopes=["write", "read"], team_id=team, expires_in_days=7)
    assert made["scopes"] == ["read", "write"]
    cloud.sql("UPDATE access_tokens SET expires_at = now() + interval '1 hour' WHERE id = :id", id=made["id"])
    rotated = cloud.call("POST", f"/v1/auth/tokens/{made['id']}/rotate", as_=person)
    assert rotated.status == 200
    after = type(person)(person.id, rotated.json["token"])
    assert cloud.call("GET", "/v1/auth/me", as_=before).status == 401
    assert cloud.call("GET", "/v1/auth/me", as_=after).status == 200
    assert {**rotated.json, "token": "", "expires_at": ""} == {**made, "token": "", "expires_at": ""}
    left = cloud.sql(
        "SELECT extract(epoch FROM expires_at - now())::float8 AS left FROM access_tokens WHERE id = :id",
        id=made["id"],
    )[0]["left"]
    assert 6.9 * 86_400 < left < 7.1 * 86_400, "the lifetime begins anew"
    listed = cloud.call("GET", "/v1/auth/tokens", as_=person).json["tokens"]
    assert [token["id"] for token in listed].count(made["id"]) == 1


def test_only_a_live_token_of_one_s_own_is_rotated(cloud):
    """A revoked or expired one does not come back to life, a stranger's is not found."""
    owner, stranger = cloud.person(), cloud.person()
    made, holder = _token(cloud, owner)
    path = f"/v1/auth/tokens/{made['id']}/rotate"
    assert cloud.call("POST", path, as_=stranger).status == 404
    assert cloud.call("GET", "/v1/auth/me", as_=holder).status == 200
    cloud.sql("UPDATE access_tokens SET expires_at = now() - interval '1 s' WHERE id = :id", id=made["id"])
    assert cloud.call("POST", path, as_=owner).status == 404
    cloud.sql("UPDATE access_tokens SET expires_at = NULL, revoked_at = now() WHERE id = :id", id=made["id"])
    assert cloud.call("POST", path, as_=owner).status == 404


def test_a_token_of_one_team_reaches_no_other(cloud):
    """Not by naming it, not by listing, not by making a team or a wider token, not by ending another token."""
    person = cloud.person()
    ours, other = cloud.team(person), cloud.team(person)
    wide, _ = _token(cloud, person)
    narrow_id, narrow = _token(cloud, person, team_id=ours)
    assert [team["id"] for team in cloud.call("GET", "/v1/onboarding/teams", as_=narrow).json["teams"]] == [
        ours
    ]
    assert cloud.call("GET", f"/v1/onboarding/teams/{ours}", as_=narrow).status == 200
    unknown = cloud.call("GET", f"/v1/onboarding/teams/{uuid.uuid4()}", as_=narrow)
    answer = cloud.call("GET", f"/v1/onboarding/teams/{other}", as_=narrow)
    assert (
        (answer.status, answer.error["code"]) == (unknown.status, unknown.error["code"]) == (404, "NOT_FOUND")
    )
    assert cloud.call("POST", "/v1/onboarding/teams", {"name": "More"}, as_=narrow).status == 403
    assert cloud.call("POST", "/v1/auth/tokens", {"name": "wide"}, as_=narrow).status == 403
    elsewhere = {"name": "elsewhere", "team_id": other}
    assert cloud.call("POST", "/v1/auth/tokens", elsewhere, as_=narrow).status == 404
    same = {"name": "same", "team_id": ours}
    assert cloud.call("POST", "/v1/auth/tokens", same, as_=narrow).status == 201
    for end in ("DELETE", "POST"):
        path = f"/v1/auth/tokens/{wide['id']}" + ("/rotate" if end == "POST" else "")
        assert cloud.call(end, path, as_=narrow).status == 404
    path = f"/v1/auth/tokens/{narrow_id['id']}/rotate"
    assert cloud.call("POST", path, as_=narrow).status == 200


def test_a_token_is_confined_to_a_team_of_its_maker(cloud):
    """Another's team is not found, whether it exists or not."""
    owner, stranger = cloud.person(), cloud.person()
    for team in (cloud.team(owner), str(uuid.uuid4())):
        body = {"name": "x", "team_id": team}
        assert cloud.call("POST", "/v1/auth/tokens", body, as_=stranger).status == 404


def test_a_token_that_reads_can_only_end_itself(cloud):
    """It signs out, and can make no other."""
    person = cloud.person()
    _, reader = _token(cloud, person, scopes=["read"])
    assert cloud.call("GET", "/v1/auth/me", as_=reader).status == 200
    refused = cloud.call("POST", "/v1/auth/tokens", {"name": "full"}, as_=reader)
    assert (refused.status, refused.error["details"]) == (403, {"missing_scope": "full"})
    assert cloud.call("POST", "/v1/auth/logout", as_=reader).status == 204
    assert cloud.call("GET", "/v1/auth/me", as_=reader).status == 401


# Tokens and idempotency keys ---------------------------------------------------------------------


def _works(cloud, person, text):
    return cloud.call("GET", "/v1/auth/tokens", as_=type(person)(person.id, text)).status == 200


@pytest.mark.parametrize("which", ["make", "rotate"])
def test_a_repeated_request_for_a_token_gets_the_first_answer(cloud, which):
    """The client lost the answer and asks again with its key: the same text, and it works."""
    person = cloud.person()
    path, body = "/v1/auth/tokens", {"name": "ci"}
    if which == "rotate":
        made = cloud.call("POST", path, body, as_=person).json
        path, body = f"{path}/{made['id']}/rotate", None
    key = {"Idempotency-Key": str(uuid.uuid4())}
    first, second = (cloud.call("POST", path, body, as_=person, headers=key) for _ in range(2))
    assert (first.status, first.content) == (second.status, second.content)
    assert second.headers["Idempotency-Replayed"] == "true"
    assert _works(cloud, person, first.json["token"])
    listed = cloud.call("GET", "/v1/auth/tokens", as_=person).json["tokens"]
    assert len(listed) == 2  # The person's own and this one.


def test_a_kept_answer_does_not_show_the_token(cloud):
    """Who reads the directory finds bytes that the key service sealed, and no trace of the text elsewhere."""
    person = cloud.person()
    key = {"Idempotency-Key": str(uuid.uuid4())}
    text = cloud.call("POST", "/v1/auth/tokens", {"name": "ci"}, as_=person, headers=key).json["token"]
    (row,) = cloud.sql(
        "SELECT body, headers::text AS headers FROM idempotency_keys WHERE user_id = :id", id=person.id
    )
    kept = base64.b64decode(row["body"])
    assert kept
    assert text.encode() not in kept
    assert text not in row["headers"]


def test_a_token_whose_first_request_died_gets_a_text_that_works(cloud):
    """The token was made and its answer lost for good: the next request with the key gets another text of it."""
    person = cloud.person()
    key = {"Idempotency-Key": str(uuid.uuid4())}
    lost = cloud.call("POST", "/v1/auth/tokens", {"name": "ci"}, as_=person, headers=key).json
    _lose_answer(cloud, person)
    found = cloud.call("POST", "/v1/auth/tokens", {"name": "ci"}, as_=person, headers=key).json
    assert found["id"] == lost["id"]
    assert found["token"] != lost["token"]
    assert _works(cloud, person, found["token"])
    assert not _works(cloud, person, lost["token"])


def test_a_revoked_token_does_not_come_back_with_its_key(cloud):
    """Its request is repeated after it was revoked: 409, and no token."""
    person = cloud.person()
    key = {"Idempotency-Key": str(uuid.uuid4())}
    made = cloud.call("POST", "/v1/auth/tokens", {"name": "ci"}, as_=person, headers=key).json
    cloud.call("DELETE", f"/v1/auth/tokens/{made['id']}", as_=person)
    _lose_answer(cloud, person)
    again = cloud.call("POST", "/v1/auth/tokens", {"name": "ci"}, as_=person, headers=key)
    assert (again.status, again.error["code"]) == (409, "CONFLICT")
    assert not _works(cloud, person, made["token"])


def test_a_token_is_made_though_its_answer_can_not_be_kept(cloud, monkeypatch):
    """The key service is away: who asked gets the token; a repetition gets another text of the same one."""
    from shared.platform.cloud import keys
    from shared.platform.errors import Unavailable

    def away(*_, **__):
        raise Unavailable("The key service is not reachable.")

    person = cloud.person()
    key = {"Idempotency-Key": str(uuid.uuid4())}
    monkeypatch.setattr(keys, "_wrap", away)
    made = cloud.call("POST", "/v1/auth/tokens", {"name": "ci"}, as_=person, headers=key)
    assert made.status == 201
    assert _works(cloud, person, made.json["token"])
    monkeypatch.undo()
    again = cloud.call("POST", "/v1/auth/tokens", {"name": "ci"}, as_=person, headers=key)
    assert again.json["id"] == made.json["id"]
    assert _works(cloud, person, again.json["token"])


def _lesser(cloud, person, **wanted):
    made = cloud.call("POST", "/v1/auth/tokens", {"name": "of less", **wanted}, as_=person)
    assert made.status == 201, made.content
    return type(person)(person.id, made.json["token"])


def test_an_answer_is_replayed_to_the_reach_that_it_was_given_to(cloud):
    """A token of one team repeats its owner's creation of a token: it gets no text, and no token that reaches
    further.
    """
    person = cloud.person()
    team = cloud.team(person)
    confined = _lesser(cloud, person, team_id=team)
    key = {"Idempotency-Key": str(uuid.uuid4())}
    unconfined = cloud.call("POST", "/v1/auth/tokens", {"name": "ci"}, as_=person, headers=key)
    again = cloud.call("POST", "/v1/auth/tokens", {"name": "ci"}, as_=confined, headers=key)
    assert (again.status, again.error["code"]) == (403, "FORBIDDEN")
    assert unconfined.json["token"].encode() not in again.content
    body, key = {"name": "ci", "team_id": team}, {"Idempotency-Key": str(uuid.uuid4())}
    first, own = (
        cloud.call("POST", "/v1/auth/tokens", body, as_=of, headers=key) for of in (person, confined)
    )
    assert (first.status, own.status) == (201, 201)
    assert first.json["id"] != own.json["id"], "ids follow from the reach, too"
    assert all(_works(cloud, person, made.json["token"]) for made in (unconfined, first, own))


def test_each_kind_of_credential_has_answers_of_its_own(cloud):
    """One key, one body, one person: a session, a full token, one that may less, one of a team. Each has an
    answer of its own, which another credential of the same reach is given, too.
    """
    signed = _sign_in(cloud, f"{uuid.uuid4().hex}@example.com")
    browser = {
        "Cookie": f"bridge_session={_cookies(signed)['bridge_session']}",
        "X-Bridge-CSRF": signed.json["csrf_token"],
    }
    made = cloud.call("POST", "/v1/auth/tokens", {"name": "first"}, headers=browser).json
    full = Person(signed.json["user"]["id"], made["token"])
    team = cloud.team(full)
    sent = {"name": "Warehouse", "team_id": team, "connection_type": "bigquery"}
    key = str(uuid.uuid4())
    credentials = cloud.service_account()

    def make(as_=None, **headers):
        body = {**sent, "name": f"{sent['name']}", "credentials": credentials}
        return cloud.call(
            "POST",
            "/v1/onboarding/connections",
            body,
            as_=as_,
            headers={"Idempotency-Key": key, **headers},
        )

    first = make(**browser)
    assert first.status == 201, first.content
    others = [full, _lesser(cloud, full, scopes=["admin"]), _lesser(cloud, full, team_id=team)]
    for other in others:
        refused = make(other)
        assert (refused.status, refused.error["code"]) == (409, "SLUG_TAKEN"), "it is no repetition"
    again = make(**browser)
    assert (again.content, again.headers["Idempotency-Replayed"]) == (first.content, "true")
    key = str(uuid.uuid4())
    sent["name"] = "Another"
    assert make(full).status == 201
    twin = make(_lesser(cloud, full))
    assert twin.headers["Idempotency-Replayed"] == "true"


def _lose_answer(cloud, person):
    """What is left by a process that died between the effect and its answer."""
    cloud.sql(
        "UPDATE idempotency_keys SET status = NULL, body = NULL, lease_until = now() WHERE user_id = :id RETURNING key",
        id=person.id,
    )
