"""Make the pictures in docs/images: one question in the chat, and its dashboard, light and dark.

Runs inside a private stack: `make screenshots`.
"""

import os
import shutil
import sys
from pathlib import Path

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
GOAL = "Compare JFK, LGA and EWR by delay and distance"
PATIENCE = 90_000
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-sync",
]


def main() -> int:
    """Ask, wait, shoot; answers the exit code."""
    executable = next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if executable is None:
        print(
            "no Chromium on this machine: `make browser` installs it where that is allowed", file=sys.stderr
        )
        return 1
    from playwright.sync_api import sync_playwright

    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        context = browser.new_context(
            base_url=os.environ["BRIDGE_URL"], viewport={"width": 1280, "height": 800}, locale="en-US"
        )
        page = context.new_page()
        page.goto("/")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="Chat", exact=True).click()
        box = page.get_by_role("textbox", name="Your message")
        box.fill(GOAL)
        box.press("Enter")
        preview = page.get_by_label("Dashboard preview")
        preview.locator(".tile .chart svg").last.wait_for(timeout=PATIENCE)
        page.get_by_role("button", name="Send").wait_for(timeout=PATIENCE)
        page.wait_for_timeout(800)
        page.screenshot(path=str(IMAGES / "chat.png"))
        preview.get_by_role("link", name="Open").click()
        page.locator(".tile .chart svg").last.wait_for(timeout=PATIENCE)
        page.wait_for_timeout(800)
        page.screenshot(
            path=str(IMAGES / "dashboard.png"),
            clip={"x": 0, "y": 0, "width": 1280, "height": 1000},
            full_page=True,
        )
        page.get_by_role("button", name="Switch between light and dark").click()
        page.wait_for_timeout(800)
        page.screenshot(
            path=str(IMAGES / "dashboard-dark.png"),
            clip={"x": 0, "y": 0, "width": 1280, "height": 1000},
            full_page=True,
        )
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
