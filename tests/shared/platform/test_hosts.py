"""By which names an endpoint is addressed: what the configuration says, and no name that a stranger chose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from shared.platform import settings as module
from shared.platform.edge import Call, Event, http, sse
from shared.platform.settings import BadConfiguration, load
from tests.shared.platform.test_settings import GOOD

CLOUD = "{name}-*.a.run.app,{name}-123456789012.europe-west1.run.app"
ASKED = {"method": "GET", "path": "/v1/hosts"}


@http("GET", "/v1/hosts", role="public")
def plain(_call: Call) -> dict[str, str]:
    return {"answer": "served"}


@sse("GET", "/v1/hosts", role="public")
def streamed(_call: Call) -> Iterator[Event]:
    yield Event("complete", {})


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Send a request with this Host to an endpoint of this configuration."""

    def send(host: str | None, entry: Any = plain, method: str = "GET", **environment: str) -> Any:
        for name, value in (GOOD | {"BRIDGE_LIMITS": '{"rate_public": 1600000}'} | environment).items():
            monkeypatch.setenv(name, value)
        module.settings.cache_clear()
        environ = EnvironBuilder(path="/v1/hosts", method=method).get_environ()
        environ.pop("HTTP_HOST", None)
        if host is not None:
            environ["HTTP_HOST"] = host
        return entry(Request(environ))

    yield send
    module.settings.cache_clear()


LAPTOP = {"BRIDGE_ENV": "local", "BRIDGE_BASE_URL": "http://127.0.0.1:8080"}
NAME = plain.__bridge__.name  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("host", "environment"),
    [
        ("bridge.acme.test", {}),
        ("BRIDGE.ACME.TEST.", {}),
        ("bridge.acme.test:443", {}),
        (f"{NAME}-abc123def4-uc.a.run.app", {"BRIDGE_HOSTS": CLOUD}),
        (f"{NAME}-123456789012.europe-west1.run.app", {"BRIDGE_HOSTS": CLOUD}),
        ("bridge.internal", {"BRIDGE_HOSTS": "bridge.internal"}),
        ("localhost:8080", LAPTOP),
        ("127.0.0.1:8080", LAPTOP),
        ("[::1]:8080", LAPTOP),
        ("bridge.localhost", LAPTOP),
        ("my-vm:8080", LAPTOP),
        ("[::1]:9", LAPTOP | {"BRIDGE_BASE_URL": "http://[::1]:9"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_configured_name_is_served(ask: Callable[..., Any], host: str, environment: dict[str, str]) -> None:
    assert ask(host, **environment).status_code == 200


@pytest.mark.parametrize(
    ("host", "environment"),
    [
        ("evil.example", {}),
        ("evil.example", LAPTOP),
        ("evil.example:8080", LAPTOP),
        ("bridge.acme.test.evil.example", {}),
        ("evil-bridge.acme.test", {}),
        ("localhost.evil.example", LAPTOP),
        ("127.0.0.1.evil.example", LAPTOP),
        ("0.0.0.0", LAPTOP),
        ("2130706433", LAPTOP),
        ("[2001:db8::1]", LAPTOP),
        ("my-vm", {}),
        ("localhost", {}),
        ("127.0.0.1", {}),
        ("169.254.169.254", {}),
        ("another-function-abc-uc.a.run.app", {"BRIDGE_HOSTS": CLOUD}),
        (f"{NAME}-a.b.a.run.app", {"BRIDGE_HOSTS": CLOUD}),
        (f"{NAME}-999.europe-west1.run.app", {"BRIDGE_HOSTS": CLOUD}),
        ("", {}),
        (None, {}),
        ("bridge.acme.test,evil.example", {}),
        ("bridge.acme.test@evil.example", {}),
        ("bridge.acme.test/evil", {}),
        ("bridge.acme.test:", {}),
        ("bridge.acme.test:99999999", {}),
        ("bridge.acme.test\n", {}),
        ("bridgeXacme.test", {}),
    ],
    ids=repr,
)
def test_any_other_name_is_refused(
    ask: Callable[..., Any], host: str | None, environment: dict[str, str]
) -> None:
    """With one envelope, before a caller is looked at; the name that was sent does not come back."""
    for entry, method in ((plain, "GET"), (streamed, "GET"), (plain, "OPTIONS")):
        answer = ask(host, entry, method, **environment)
        assert (answer.status_code, answer.json["error"]["code"]) == (421, "HOST_NOT_SERVED")
        assert answer.json["error"]["field"] == "Host"
        assert b"evil" not in answer.data


@pytest.mark.parametrize(
    "hosts",
    ["https://a.test", "a.test:443", "a.test/x", "*", "*.test", "a.*", "*.example.*", "a..test", "ä.test"],
)
def test_what_is_no_name_or_takes_all_names_in_stops_the_start(hosts: str) -> None:
    """A setting that lets every name pass would be none."""
    with pytest.raises(BadConfiguration, match="BRIDGE_HOSTS"):
        load(GOOD | {"BRIDGE_HOSTS": hosts})
