"""The console's document and its files, out of the lake."""

from typing import Any

import pytest

from shared.console import service
from shared.platform import caches
from shared.platform.cloud import objects
from shared.platform.errors import NotFound


@pytest.fixture
def published(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document and a script in the bucket, and an instance that has served neither."""
    monkeypatch.setattr(service, "_kept", caches.recent(10))
    objects.put("assets", "console/index.html", b"<!doctype html>", content_type="text/html; charset=utf-8")
    objects.put("assets", "console/app.js", b"export {}", content_type="text/javascript; charset=utf-8")


def test_the_document_lets_nothing_run_but_the_console_s_own_files(published: None) -> None:
    """No script in the page, none from elsewhere, nobody's frame: whatever text a dashboard shows."""
    policy = service.page("").headers["Content-Security-Policy"]
    rules = {
        name: values.split()
        for name, _, values in (rule.strip().partition(" ") for rule in policy.split(";"))
    }
    assert rules["default-src"] == rules["base-uri"] == rules["frame-ancestors"] == ["'none'"]
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == ["'self'"]
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "name", ["index.html", "../dashboards/x", "..", "a/../app.js", "", "nothing.js", "a\x00b"]
)
def test_only_the_console_s_own_files_are_files(published: None, name: str) -> None:
    """A name that climbs is no name; the document has its own address."""
    assert service.asset("app.js", "").body == b"export {}"
    with pytest.raises(NotFound):
        service.asset(name, "")
