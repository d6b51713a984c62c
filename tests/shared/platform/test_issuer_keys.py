"""The issuer's keys: one question at a time, known keys while it is away, no storm of questions."""

import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from shared.platform import clock
from shared.platform import settings as module
from shared.platform.cloud import identity as oidc
from shared.platform.cloud.issuer_keys import (
    ASK_AGAIN_SECONDS,
    FRESH_SECONDS,
    LONGEST_SECONDS,
    IssuerKeys,
)
from shared.platform.errors import Unauthenticated, Unavailable
from tests.shared.platform.peers import answer, serving


class Issuer:
    """An issuer that counts questions, can be away, and can keep its callers waiting."""

    def __init__(self, **keys: str) -> None:
        self.keys: dict[str, str] = keys
        self.away = False
        self.asked = 0
        self.entered, self.open = threading.Event(), threading.Event()
        self.open.set()

    def __call__(self) -> Mapping[str, str]:
        self.asked += 1
        self.entered.set()
        self.open.wait(120)
        if self.away:
            raise Unavailable("away")
        return dict(self.keys)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Move the clock."""
    real, ahead = clock.monotonic, [0.0]
    monkeypatch.setattr(clock, "monotonic", lambda: real() + ahead[0])

    def move(seconds: float) -> None:
        ahead[0] += seconds

    return move


def settled(keys: IssuerKeys) -> None:
    """Wait for the question that is under way, if one is."""
    if (question := keys._question) is not None:
        assert question.wait(120)


def test_keys_are_asked_for_once_while_they_are_fresh() -> None:
    issuer = Issuer(a="A")
    keys = IssuerKeys(issuer)
    assert [keys.get("a"), keys.get("a"), keys.get()] == [{"a": "A"}] * 3
    assert issuer.asked == 1


def test_older_keys_are_served_at_once_while_newer_ones_are_fetched(later: Any) -> None:
    """The issuer is silent; nobody waits for it, and its answer is there for who comes after it."""
    issuer = Issuer(a="A")
    keys = IssuerKeys(issuer)
    keys.get("a")
    later(FRESH_SECONDS)
    issuer.keys, _ = {"a": "A", "b": "B"}, issuer.open.clear()
    assert [keys.get("a") for _ in range(5)] == [{"a": "A"}] * 5
    issuer.open.set()
    settled(keys)
    assert keys.get("b") == {"a": "A", "b": "B"}
    assert issuer.asked == 2


def test_known_keys_serve_while_the_issuer_is_away_and_not_for_ever(later: Any) -> None:
    """An hour, half a day: they serve. A key that the issuer may have taken back a day ago does not."""
    issuer = Issuer(a="A")
    keys = IssuerKeys(issuer)
    keys.get("a")
    issuer.away = True
    for _ in range(2):
        later(LONGEST_SECONDS / 2 - 60)
        assert keys.get("a") == {"a": "A"}
        settled(keys)
    later(120)
    with pytest.raises(Unavailable):
        keys.get("a")
    later(ASK_AGAIN_SECONDS)
    issuer.away = False
    assert keys.get("a") == {"a": "A"}


def test_made_up_key_ids_cost_one_question_in_an_interval(later: Any) -> None:
    """A rotated key is found by the first token that names it; a thousand invented ones ask nothing more."""
    issuer = Issuer(a="A")
    keys = IssuerKeys(issuer)
    keys.get("a")
    later(ASK_AGAIN_SECONDS)
    issuer.keys = {"b": "B"}
    assert keys.get("b") == {"b": "B"}
    for number in range(1_000):
        assert "b" in keys.get(f"made-up-{number}")
    assert issuer.asked == 2
    later(ASK_AGAIN_SECONDS)
    keys.get("made-up")
    assert issuer.asked == 3


def test_a_token_that_can_not_be_judged_now_is_not_refused_for_good(later: Any) -> None:
    """Its key may be the issuer's newest: while the issuer is away that is a matter of trying again."""
    issuer = Issuer(a="A")
    keys = IssuerKeys(issuer)
    keys.get("a")
    later(ASK_AGAIN_SECONDS)
    issuer.away = True
    for _ in range(3):
        with pytest.raises(Unavailable):
            keys.get("b")
        assert keys.get("a") == {"a": "A"}
    assert issuer.asked == 2


def test_all_who_wait_for_the_first_keys_share_one_question() -> None:
    """And no lock is held meanwhile: a caller comes in while the issuer has not answered."""
    issuer = Issuer(a="A")
    issuer.open.clear()
    keys = IssuerKeys(issuer)
    got: list[Mapping[str, str]] = []
    threads = [threading.Thread(target=lambda: got.append(keys.get("a"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert issuer.entered.wait(120)
    assert keys._lock.acquire(timeout=120)
    keys._lock.release()
    issuer.open.set()
    for thread in threads:
        thread.join(120)
    assert got == [{"a": "A"}] * 8
    assert issuer.asked == 1


# With tokens ---------------------------------------------------------------------------------------

AUDIENCE, ACCOUNT = "https://step.example", "steps@bridge-local.iam.gserviceaccount.com"


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Say where the issuer's keys are."""
    for name, value in {
        "BRIDGE_ENV": "local",
        "BRIDGE_BASE_URL": "http://127.0.0.1:1",
        "BRIDGE_STEP_URL": "http://127.0.0.1:1/_fn/{name}",
        "GOOGLE_CLOUD_PROJECT": "bridge-local",
        "DATABASE_URL": "postgresql://app:secret@127.0.0.1:1/bridge",
        "BRIDGE_BUCKET_PREFIX": "bridge-local",
        "BRIDGE_KMS_KEY": "projects/p/locations/l/keyRings/r/cryptoKeys/k",
        "BRIDGE_STEP_SERVICE_ACCOUNT": ACCOUNT,
        "BRIDGE_EVENTS_SERVICE_ACCOUNT": "events@bridge-local.iam.gserviceaccount.com",
    }.items():
        monkeypatch.setenv(name, value)

    def choose(port: int) -> None:
        monkeypatch.setenv("BRIDGE_OIDC_CERTS_URL", f"http://127.0.0.1:{port}/certs")
        module.settings.cache_clear()

    oidc._certs.cache_clear()
    yield choose
    module.settings.cache_clear()
    oidc._certs.cache_clear()


def test_a_step_is_reached_while_the_issuer_is_away(at: Any, later: Any, tmp_path: Path) -> None:
    """Two hours after the issuer was last reached a genuine token still opens; a forged one does not."""
    from local.cloud import identity

    identity.ensure(tmp_path)
    good = f"Bearer {identity.token(tmp_path, AUDIENCE, ACCOUNT)}"
    with serving(answer(body=json.dumps(identity.certificates(tmp_path)).encode())) as issuer:
        at(issuer.port)
        oidc.verify(good, audience=AUDIENCE, account=ACCOUNT)
    later(2 * FRESH_SECONDS)
    oidc.verify(good, audience=AUDIENCE, account=ACCOUNT)
    settled(oidc._certs())
    oidc.verify(good, audience=AUDIENCE, account=ACCOUNT)
    with pytest.raises(Unauthenticated):
        oidc.verify(good[:-8] + "AAAAAAAA", audience=AUDIENCE, account=ACCOUNT)


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"a": 1}', b"<html>", b'"keys"'])
def test_an_issuer_that_answers_something_else_is_away(at: Any, body: bytes, tmp_path: Path) -> None:
    """A page of a proxy is not the issuer's word that it has no keys."""
    from local.cloud import identity

    identity.ensure(tmp_path)
    with serving(answer(body=body)) as issuer:
        at(issuer.port)
        with pytest.raises(Unavailable):
            oidc.verify(
                f"Bearer {identity.token(tmp_path, AUDIENCE, ACCOUNT)}", audience=AUDIENCE, account=ACCOUNT
            )


def test_a_token_that_is_nested_deep_is_not_valid(at: Any) -> None:
    """It is the caller's text: whatever it holds, it is refused."""
    import base64

    deep = base64.urlsafe_b64encode(b'{"kid":' + b"[" * 4_000 + b"]" * 4_000 + b"}").decode().rstrip("=")
    at(1)
    with pytest.raises(Unauthenticated):
        oidc.verify(f"Bearer {deep}.e30.AAAA", audience=AUDIENCE, account=ACCOUNT)
