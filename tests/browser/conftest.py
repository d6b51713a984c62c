"""A real browser: headless Chromium, driven by Playwright."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ARTEFACTS = ROOT / "test-artefacts"
NAMES = ("chromium", "chromium-browser", "google-chrome")


def _chromium() -> str | None:
    return next((path for path in map(shutil.which, NAMES) if path), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium; skipped visibly where it is not installed, never in CI."""
    executable = _chromium()
    if executable is None:
        if os.environ.get("CI"):
            pytest.fail(
                "CI must run the browser tests, and there is no Chromium: see tools/install_chromium.sh"
            )
        pytest.skip("no Chromium on this machine: `make browser` installs it where that is allowed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=executable,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        yield chromium
        chromium.close()


@pytest.fixture
def context(browser: Any, world: Any) -> Iterator[Any]:
    """A fresh browser profile at the console's address, which fails a test on any script error."""
    made = browser.new_context(base_url=world.url, viewport={"width": 1440, "height": 1000}, locale="en-US")
    problems: list[str] = []

    def watch(page: Any) -> None:
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console",
            lambda message: (
                problems.append(message.text) if "Content Security Policy" in message.text else None
            ),
        )

    made.on("page", watch)
    yield made
    made.close()
    assert problems == []


@pytest.fixture
def page(context: Any, world: Any) -> Any:
    """A signed-in page of the demo user."""
    opened = context.new_page()
    opened.goto("/")
    opened.get_by_role("button", name="Sign in").click()
    opened.get_by_role("heading", name="Dashboards", exact=True).wait_for()
    return opened


@pytest.fixture
def shoot(request: pytest.FixtureRequest) -> Any:
    """Keep a screenshot as a test artefact."""
    ARTEFACTS.mkdir(exist_ok=True)

    def take(page: Any, name: str, **options: Any) -> None:
        page.screenshot(path=str(ARTEFACTS / f"{name}.png"), **options)

    return take
