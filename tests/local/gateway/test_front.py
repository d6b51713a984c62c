"""The gateway checks the callers of private services as Cloud Run does."""

from pathlib import Path

import pytest

from local.cloud import identity
from local.gateway.front import REMOVED
from tests.local.gateway.conftest import Tree

SHOW = "    return request.headers.get('Authorization', '')\n"
ACCOUNT = "steps@bridge-local.iam.gserviceaccount.com"


@pytest.fixture
def front(tree: Tree, tmp_path: Path) -> Tree:
    """A step and an endpoint behind a gateway that knows the issuer of tokens."""
    identity.ensure(tmp_path)
    tree.function("show-step", SHOW, kind="task", method="POST")
    tree.function("show", SHOW, "/show")
    step_url = f"http://127.0.0.1:{tree.port}/_fn/{{name}}"
    tree.start("--identity", str(tmp_path), "--step-url", step_url)
    return tree


def _seen(front: Tree, token: str, path: str = "/_fn/show-step", method: str = "POST") -> str:
    return front.ask(path, method, Authorization=f"Bearer {token}").body.decode().removeprefix("Bearer ")


def test_a_step_sees_a_checked_token_without_its_signature(front: Tree, tmp_path: Path) -> None:
    """For its own address, and for the one that Eventarc uses; the claims are untouched."""
    for audience in (f"http://127.0.0.1:{front.port}/_fn/show-step", identity.run_address("show-step")):
        token = identity.token(tmp_path, audience, ACCOUNT)
        assert _seen(front, token) == f"{token.rpartition('.')[0]}.{REMOVED}"


def test_what_cloud_run_would_refuse_reaches_the_step_as_it_came(front: Tree, tmp_path: Path) -> None:
    """As with an open ingress: another function's token, a tampered one, no JWT at all. An endpoint's is its own."""
    ours = identity.token(tmp_path, f"http://127.0.0.1:{front.port}/_fn/show-step", ACCOUNT)
    other = identity.token(tmp_path, f"http://127.0.0.1:{front.port}/_fn/other", ACCOUNT)
    for token in (other, ours[:-8] + "AAAAAAAA", "brg_something"):
        assert _seen(front, token) == token
    assert _seen(front, ours, "/show", "GET") == ours


def test_nobody_can_bring_a_token_without_a_signature(front: Tree, tmp_path: Path) -> None:
    """Cloud Run alone takes signatures away; what arrives without one was made up."""
    token = identity.token(tmp_path, f"http://127.0.0.1:{front.port}/_fn/show-step", ACCOUNT)
    forged = f"Bearer {token.rpartition('.')[0]}.{REMOVED}"
    got = front.ask("/_fn/show-step", "POST", Authorization=forged)
    assert (got.status, got.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
