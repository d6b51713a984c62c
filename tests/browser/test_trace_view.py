"""The laptop's trace view in a real browser."""

import uuid
from typing import Any

from local.patience import until

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PATIENCE = 0
"""Without a bound of its own: the test has one, which grows with the machine's load."""


def test_the_trace_view_is_accessible_and_fits(page: Any, world: Any, shoot: Any) -> None:
    """The list, a waterfall and the empty list: in both themes, on a screen and on a phone."""
    from axe_playwright_python.sync_playwright import Axe

    trace = f"/_local/traces/{(trace_id := uuid.uuid4().hex)}"
    world.get("/v1/dashboards", headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})
    until(lambda: world.get(trace).status == 200, "the spans come, after the answer has gone")
    for theme, width in (("light", 1280), ("dark", 390)):
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": 800})
        for name, path, ready in (
            ("list", "/_local/traces", "tbody a"),
            ("one", trace, "svg"),
            ("none", "/_local/traces?q=nothing-mentions-this", "p >> nth=1"),
        ):
            page.goto(path)
            page.locator(ready).first.wait_for(timeout=PATIENCE)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            shoot(page, f"traces-{name}-{theme}-{width}")
            found = Axe().run(page, options={"runOnly": {"type": "tag", "values": RULES}})
            assert found.violations_count == 0, found.generate_report()
