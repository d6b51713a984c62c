"""The console's judge of addresses, in a real browser, beside that browser's own reading of them."""

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

EXAMPLES = json.loads(
    (Path(__file__).resolve().parents[1] / "shared" / "platform" / "links.json").read_text()
)
JUDGE = """async (examples) => {
  const { place } = await import("/assets/js/links.js");
  return JSON.stringify(Object.entries(JSON.parse(examples)).flatMap(([wanted, addresses]) => addresses.map((address) => {
    let read = null;
    try { read = new URL(address, location.href); } catch { /* no address at all */ }
    return { address, wanted, got: place(address) ?? "nowhere", inside: read?.origin === location.origin, protocol: read?.protocol };
  })));
}"""
PROSE = """async (text) => {
  const { prose } = await import("/assets/js/dom.js");
  const box = document.createElement("div");
  box.append(...prose(text));
  return [box.textContent, [...box.querySelectorAll("a")].map((link) => [link.getAttribute("href"), link.rel])];
}"""
TIP = """async (value) => {
  const { tip } = await import("/assets/js/charts.js");
  const box = document.createElement("div");
  box.innerHTML = tip(value, (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;"));
  return [[...box.querySelectorAll("*")].map((element) => element.tagName), box.textContent];
}"""


def test_the_console_and_the_server_judge_alike_and_the_browser_agrees(context: Any) -> None:
    """What is inside stays at the console's own address, what is outside is TLS, and nothing else is a link."""
    page = context.new_page()
    page.goto("/")
    found = json.loads(page.evaluate(JUDGE, json.dumps(EXAMPLES)))
    assert len(found) > 80
    assert [case for case in found if case["got"] != case["wanted"]] == []
    assert [case for case in found if case["got"] == "inside" and not case["inside"]] == []
    assert [case for case in found if case["got"] == "outside" and case["protocol"] != "https:"] == []


def test_a_link_that_leads_elsewhere_is_shown_as_text(context: Any) -> None:
    """The reader sees what the author wrote, and can't click it."""
    page = context.new_page()
    page.goto("/")
    text = "[in](/dash/x) [out](https://example.com) [a](//evil.example/x) [b](/\\evil.example) [c](javascript:alert(1))"
    shown, addresses = page.evaluate(PROSE, text)
    assert addresses == [["/dash/x", ""], ["https://example.com", "noopener noreferrer"]]
    assert "[a](//evil.example/x)" in shown


def test_a_tooltip_is_rows_of_text_whatever_its_columns_are_called(context: Any) -> None:
    """The library's own would load a picture from the value of a column called `image`."""
    page = context.new_page()
    page.goto("/")
    value = {"title": "<b>T</b>", "image": "https://evil.example/x.png", "n": 3, "deep": {"image": "x"}}
    tags, shown = page.evaluate(TIP, value)
    assert set(tags) == {"H2", "TABLE", "TBODY", "TR", "TD"}
    assert "<b>T</b>" in shown
    assert "https://evil.example/x.png" in shown
