"""The main job by clicking: from the sign-in page to a cached dashboard."""

import re
import uuid
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

GOAL = "Show monthly flights and average departure delay by carrier"
PATIENCE = 0
"""Without a bound of its own: the test has one, which grows with the machine's load."""


@pytest.fixture(scope="module")
def slug(world: Any) -> str:
    """A dashboard that was made through the API."""
    body = {
        "connection_id": world.connection_id,
        "user_prompt": "Which destinations have the worst arrival delays? top 10",
    }
    events = world.events(
        "POST", "/v1/dashboards/generate", body, headers={"Idempotency-Key": str(uuid.uuid4())}
    )
    return str(next(data["slug"] for event, data, _ in events if event == "dashboard_created"))


def test_a_new_user_gets_a_dashboard_from_one_sentence(page: Any, shoot: Any) -> None:
    """Sign in, ask, watch the tools, see the dashboard grow, open it, load it again from the cache."""
    page.get_by_role("link", name="Chat", exact=True).click()
    box = page.get_by_role("textbox", name="Your message")
    box.fill(GOAL)
    box.press("Enter")
    page.locator(".tool").first.wait_for(timeout=PATIENCE)
    preview = page.get_by_label("Dashboard preview")
    preview.locator(".tile .figure").first.wait_for(timeout=PATIENCE)
    preview.locator(".tile .chart svg").first.wait_for(timeout=PATIENCE)
    page.get_by_role("button", name="Send").wait_for(timeout=PATIENCE)
    shoot(page, "chat")
    assert page.locator(".tool.failed").count() == 0
    assert "flights" in page.locator(".said.agent").last.inner_text().lower()

    preview.get_by_role("link", name="Open").click()
    page.wait_for_url(re.compile(r"/dash/"))
    page.locator(".tile .chart svg").first.wait_for(timeout=PATIENCE)
    assert page.locator(".tile .note.error").count() == 0
    page.reload()
    page.locator(".badge", has_text="cached").wait_for(timeout=PATIENCE)
    assert page.locator(".tile .figure").first.inner_text().strip() not in ("", "–")
    shoot(page, "dashboard", full_page=True)


def test_a_conversation_is_there_again_after_a_reload(page: Any) -> None:
    """The address of a conversation shows what was said in it."""
    page.goto("/chat")
    box = page.get_by_role("textbox", name="Your message")
    box.fill("Show customer churn by region")
    box.press("Enter")
    page.wait_for_url(re.compile(r"/chat/[0-9a-f-]{36}"), timeout=PATIENCE)
    page.get_by_role("button", name="Stop").wait_for(timeout=PATIENCE)
    page.get_by_role("button", name="Send").wait_for(timeout=PATIENCE)
    answer = page.locator(".said.agent").last.inner_text()
    page.reload()
    page.locator(".said.user", has_text="Show customer churn by region").wait_for(timeout=PATIENCE)
    assert answer[:60] in page.locator(".log").inner_text()
    assert page.locator(".preview .tile").count() == 0


def test_filters_are_in_the_address_and_change_the_figures(page: Any, slug: str) -> None:
    """Choosing a value narrows the data; the address carries the choice to somebody else."""
    page.goto(f"/dash/{slug}")
    page.locator(".tile .figure").first.wait_for(timeout=PATIENCE)
    before = page.locator(".kpi .figure").all_inner_texts()
    choice = page.locator(".filters select").last
    choice.locator("option").nth(1).wait_for(state="attached", timeout=PATIENCE)
    choice.select_option(index=1)
    page.wait_for_url(re.compile(r"\?"))
    page.locator(".badge", has_text=re.compile("live|cached")).wait_for(timeout=PATIENCE)
    after = page.locator(".kpi .figure").all_inner_texts()
    assert after != before
    other = page.context.new_page()
    other.goto(page.url)
    other.locator(".badge", has_text="cached").wait_for(timeout=PATIENCE)
    assert other.locator(".kpi .figure").all_inner_texts() == after


def test_a_table_is_one_key_away_from_every_chart(page: Any, slug: str) -> None:
    """T on a focused chart shows its rows, and again the chart."""
    page.goto(f"/dash/{slug}")
    tile = page.locator(".tile:has(.chart svg)").first
    tile.wait_for(timeout=PATIENCE)
    name = tile.get_attribute("aria-label")
    tile = page.get_by_role("region", name=name, exact=True)
    tile.focus()
    page.keyboard.press("t")
    tile.locator("table.data tbody tr").first.wait_for(timeout=PATIENCE)
    page.keyboard.press("t")
    tile.locator(".chart svg").wait_for(timeout=PATIENCE)


def test_a_tile_says_what_it_is(page: Any, slug: str) -> None:
    """The SQL, the tables and the bytes are one click away."""
    page.goto(f"/dash/{slug}")
    page.locator(".tile .chart svg").first.wait_for(timeout=PATIENCE)
    page.get_by_role("button", name="What is this").first.click()
    page.locator("dialog pre", has_text="SELECT").wait_for(timeout=PATIENCE)
    assert "nycflights" in page.locator("dialog").inner_text()
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached", timeout=PATIENCE)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_the_pages_are_accessible_and_fit(page: Any, slug: str, shoot: Any, theme: str, width: int) -> None:
    """WCAG 2.2 AA as far as axe can tell, in both themes, with no sideways scrolling at any width."""
    from axe_playwright_python.sync_playwright import Axe

    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 900})
    for path, ready in (
        (f"/dash/{slug}", ".tile .chart svg"),
        ("/chat", ".composer"),
        ("/catalog", "details"),
        ("/connections", ".badge"),
    ):
        page.goto(path)
        page.locator(ready).first.wait_for(timeout=PATIENCE)
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        shoot(page, f"{path.split('/')[1]}-{theme}-{width}", full_page=True)
        rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
        found = Axe().run(page, options={"runOnly": {"type": "tag", "values": rules}})
        assert found.violations_count == 0, found.generate_report()


def test_what_is_not_there_says_so_and_leads_on(page: Any) -> None:
    """An unknown dashboard and an unknown address are empty states with one way on."""
    page.goto("/dash/no-such-dashboard")
    page.get_by_role("heading", name="There is no such dashboard").wait_for(timeout=PATIENCE)
    page.get_by_role("link", name="All dashboards").click()
    page.get_by_role("heading", name="Dashboards", exact=True).wait_for(timeout=PATIENCE)


def test_a_stranger_is_asked_to_sign_in(context: Any, slug: str) -> None:
    """Without a session no page shows anything of a team."""
    page = context.new_page()
    page.goto(f"/dash/{slug}")
    page.get_by_role("heading", name="Sign in to Bridge").wait_for(timeout=PATIENCE)
    assert page.locator(".tile").count() == 0
