"""One judge of addresses, the same in the console and on the server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.platform.text import links

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = json.loads(Path(__file__).with_name("links.json").read_text())
CASES = [(address, place) for place, addresses in EXAMPLES.items() for address in addresses]
HERE = "https://bridge.example/dash/sales"
PIECES = [
    "/",
    "\\",
    "//",
    "https:",
    "http:",
    "evil.example",
    "@",
    ":",
    "\t",
    "\n",
    " ",
    "?",
    "#",
    "%",
    "a",
    ".",
    "..",
    "é",
    "\u200b",
]


@pytest.mark.parametrize(("address", "place"), CASES)
def test_an_address_leads_inside_outside_or_nowhere(address: str, place: str) -> None:
    """Paths of the console, other sites over TLS, and nothing that a browser would read in another way."""
    assert links.place(address) == (None if place == "nowhere" else place)


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_no_inside_link_leaves_the_console_however_it_is_pieced_together(address: str) -> None:
    """A browser drops tabs and breaks and takes backslashes for slashes before it looks for a host."""
    read = re.sub(r"[\t\r\n]", "", address).strip().replace("\\", "/")
    place = links.place(address)
    if place == "inside":
        assert urlsplit(urljoin(HERE, read)).netloc == "bridge.example"
    if place == "outside":
        parts = urlsplit(read)
        assert (parts.scheme, parts.username) == ("https", None)
        assert parts.hostname


def test_the_consoles_patterns_are_the_servers() -> None:
    """One set of patterns, written twice because a browser reads no Python."""
    script = (ROOT / "console" / "js" / "links.js").read_text()
    found = dict(re.findall(r"const (NEVER|INSIDE|OUTSIDE|LINK) = /(.*)/u;", script))
    assert found == {name: getattr(links, name) for name in ("NEVER", "INSIDE", "OUTSIDE", "LINK")}


def test_the_console_makes_no_link_without_the_judge() -> None:
    """Every address that comes from a text goes through it: nobody else in the console reads one."""
    readers = {
        path.name
        for path in (ROOT / "console" / "js").glob("*.js")
        if re.search(r"https?:\\?/|javascript:|startsWith\(\"/", path.read_text())
    }
    assert readers == {"links.js"}


def test_links_of_a_text_that_may_not_be_links_are_named() -> None:
    """The author learns which of them readers see as plain text."""
    text = "[a](/dash/x) **b** [c](//evil.example/x) and [d](https://example.com)\n- [e](/\\evil.example) `[f](g)`"
    assert list(links.refused(text)) == ["//evil.example/x", "/\\evil.example", "g"]


@pytest.mark.parametrize(
    "text",
    [
        "url(http://evil.example/x)", "URL(//evil.example)", "red url('x')", "url( 'x' )", r"\75rl(x)", r"\000075 rl(x)", r"u\72 l(x)", r"u\rl(x)",
        "image-set('x' 1x)", "-webkit-image-set(url)", "image('x')", "src('x')", "cross-fade('a', 'b')", "/**/url(x)", "a,url(x)", "url(#inner)",
        "data:image/png;base64,AA", "DATA:text/html,x", " da\tta:image/svg+xml,x", "data:,x", "data:;base64,AA",
    ],
)  # fmt: skip
def test_a_style_that_loads_is_recognised(text: str) -> None:
    """Whatever the case, the escapes and the place in the text."""
    assert links.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "red", "#fff", "rgb(1, 2, 3)", "Curl (minutes)", "curl(1)", "Data: sales per month", "An image (left)", "https://example.com",
        "Env (prod)", "data", r"C:\temp\x", "linear", "hsl(1 2% 3%)", "", "\\", "url", "src", r"\zz",
    ],
)  # fmt: skip
def test_plain_texts_and_colours_are_not(text: str) -> None:
    """A title may speak of images, and a value may be an address that nobody loads."""
    assert not links.loads(text)


@given(st.text(max_size=60))
def test_any_text_is_judged(text: str) -> None:
    """No text is an error."""
    assert links.place(text) in ("inside", "outside", None)
    assert links.loads(text) in (True, False)
