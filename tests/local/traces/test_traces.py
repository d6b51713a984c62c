"""The laptop's trace view: what it keeps, how it orders it, and what it shows."""

import json
import socket
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from local import ports
from local.patience import until
from local.traces import page, store
from local.traces.store import Traces

TRACE = "0af7651916cd43dd8448eb211c80319c"


def datagram(span: str, parent: str = "", *, trace: str = TRACE, began: float = 100.0, ms: float = 10.0,
             name: str = "work", function: str = "f", failed: bool = False, **attributes: Any) -> bytes:  # fmt: skip
    """A span as a function sends it."""
    return json.dumps([trace, span, parent, name, began, ms, function, failed, attributes]).encode()


def names(found: dict[str, Any]) -> list[str]:
    return [one["name"] for one in found["traces"]]


def filled(*raw: bytes) -> Traces:
    traces = Traces()
    for one in raw:
        traces.add(one)
    return traces


def test_a_trace_is_a_waterfall_in_whatever_order_its_spans_come() -> None:
    """Children below their cause by time; a step that another function ran belongs to it."""
    traces = filled(
        datagram("s3", "s2", began=100.2, ms=300.0, name="step", function="g"),
        datagram("s4", "s1", began=100.1, name="late"),
        datagram("s2", "s1", began=100.05, name="early"),
        datagram("s1", "caller", began=100.0, ms=50.0, name="GET /r", status=200),
    )
    found = traces.detail(TRACE)
    assert found is not None
    assert [(row["depth"], row["name"]) for row in found["rows"]] == [
        (0, "GET /r"), (1, "early"), (2, "step"), (1, "late"),
    ]  # fmt: skip
    assert [row["offset_ms"] for row in found["rows"]] == [0, 50, 200, 100]
    assert (found["name"], found["status"], found["duration_ms"], found["lasted_ms"]) == (
        "GET /r",
        200,
        50,
        500,
    )
    assert (found["functions"], found["spans"], found["failed"]) == (["f", "g"], 4, False)


def test_causes_that_are_missing_or_go_round_lose_nothing() -> None:
    """Spans are told by other processes: nothing of them is to be trusted."""
    found = filled(datagram("a", "b"), datagram("b", "a"), datagram("c", "gone")).detail(TRACE)
    assert found is not None
    assert sorted(row["span_id"] for row in found["rows"]) == ["a", "b", "c"]


def test_the_list_is_newest_first_and_finds_text_anywhere_in_a_trace() -> None:
    """Routes, functions, attributes, ids."""
    first, second = "1" * 32, "2" * 32
    traces = filled(
        datagram("a", trace=first, began=1.0, name="GET /old"),
        datagram("b", trace=second, began=2.0, name="GET /new"),
        datagram(
            "c", "b", trace=second, began=2.0, name="sql.execute", dashboard_slug="Flights", city="Genève"
        ),
    )
    assert names(traces.listing()) == ["GET /new", "GET /old"]
    assert names(traces.listing("flights")) == names(traces.listing("genève")) == ["GET /new"]
    assert names(traces.listing(first)) == ["GET /old"]
    assert traces.listing("nothing of that") == {"traces": [], "older": None}
    assert traces.detail("3" * 32) is None


def test_pages_follow_each_other_whatever_comes_in_meanwhile() -> None:
    """A page continues behind the last trace of the one before: none twice, none left out, also at one moment."""
    traces = Traces()
    for number in range(7):
        traces.add(datagram("a", trace=f"{number:032x}", began=float(number // 3), name=str(number)))
    seen: list[str] = []
    before: str | None = ""
    while before is not None:
        found = traces.listing(limit=3, before=before)
        seen += names(found)
        before = found["older"]
        traces.add(datagram("a", trace=f"{100 + len(seen):032x}", began=99.0, name="new"))
    assert seen == ["6", "5", "4", "3", "2", "1", "0"]
    assert names(traces.listing(before="no place")) == names(traces.listing()), (
        "what is no place is the beginning"
    )


def test_a_page_links_to_the_next_one_with_its_filter() -> None:
    """As long as there is one."""
    traces = filled(*(datagram("a", trace=f"{number:032x}", name="a&b") for number in range(3)))
    text = page.listing(traces.listing("a&b", limit=2), "a&b")
    (link,) = (
        attributes["href"] for tag, attributes in Elements(text).found if attributes.get("rel") == "next"
    )
    asked = parse_qs(urlsplit(str(link)).query)
    assert asked["q"] == ["a&b"]
    last = traces.listing("a&b", before=asked["before"][0])
    assert len(last["traces"]) == 1
    assert "Older" not in page.listing(last, "a&b")


def test_a_trace_of_very_many_spans_is_shown_in_part(monkeypatch: Any) -> None:
    """The page says how many are left out; the JSON has all."""
    monkeypatch.setattr(page, "MOST_ROWS", 10)
    found = filled(*(datagram(f"s{n}", f"s{n - 1}") for n in range(25))).detail(TRACE)
    assert found is not None
    assert len(found["rows"]) == 25
    text = page.detail(found)
    assert sum(tag == "svg" for tag, _attributes in Elements(text).found) == 10
    assert "15 further spans" in text


def test_an_answer_that_was_fine_and_a_step_that_was_not_are_told_apart() -> None:
    """In words, not by a colour alone."""
    traces = filled(datagram("a", status=200), datagram("b", "a", name="step", failed=True))
    found = traces.detail(TRACE)
    assert found is not None
    assert page.listing(traces.listing(), "").count("failed") == 1
    assert "200" in page.listing(traces.listing(), "")
    assert [row.count("failed</span>") for row in page.detail(found).split("<tr>")[-2:]] == [0, 1]


def test_memory_is_bounded_by_number_and_by_bytes(monkeypatch: Any) -> None:
    """The oldest are forgotten."""
    monkeypatch.setattr(store, "MOST_SPANS", 10)
    traces = filled(*(datagram(f"{n}") for n in range(50)))
    assert [span.span_id for span in traces.spans()] == [str(n) for n in range(40, 50)]
    monkeypatch.setattr(store, "MOST_BYTES", 3 * len(datagram("x" * 100)))
    for _ in range(20):
        traces.add(datagram("x" * 100))
    assert len(traces.spans()) == 3


def test_what_is_no_span_is_passed_over() -> None:
    """Anything on this machine can send to the port."""
    junk = [b"", b"\xff", b"[]", b"{}", b"null", b'["a"]', json.dumps([1] * 9).encode(), datagram("a")[:-9]]
    assert filled(*junk, datagram("ok")).spans()[0].span_id == "ok"
    assert len(filled(*junk).spans()) == 0


@pytest.mark.parametrize(
    "odd",
    [
        datagram("a", began=1e300),
        datagram("a", began=float("nan")),
        datagram("a", began=-1.0),
        datagram("a", ms=float("inf")),
        datagram("a", trace="x"),
        datagram("a", function=["f"]),  # type: ignore[arg-type]
        datagram(["a"]),  # type: ignore[arg-type]
        datagram("a", parent={}),  # type: ignore[arg-type]
        datagram("a", failed="no"),  # type: ignore[arg-type]
        b"[" * 60_000,
    ],
    ids=range(10),
)
def test_a_span_that_no_page_could_show_does_not_take_the_others_away(odd: bytes) -> None:
    """No date has such a year, no set such a member: one datagram must not close the view."""
    traces = filled(odd, datagram("ok", name="GET /"))
    found = traces.detail(TRACE)
    assert found is not None
    assert page.listing(traces.listing(), "").count("GET /<") == 1
    assert "GET /" in page.detail(found)
    assert found["spans"] == 1


def test_spans_are_taken_from_a_socket() -> None:
    """As the functions send them."""
    traces, port = Traces(), ports.free()
    traces.listen(port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(datagram("a"), ("127.0.0.1", port))
    until(traces.spans, "the span arrives")
    assert traces.spans()[0].span_id == "a"


class Elements(HTMLParser):
    """What a page consists of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))


def test_pages_hold_no_script_no_style_and_nothing_that_a_span_could_forge() -> None:
    """Their policy allows neither; names and attributes are text."""
    evil = "<script>alert(1)</script>\"'><img src=x onerror=y style=z>"
    traces = filled(
        datagram("a", name=evil, function=evil, status=evil, note=evil), datagram("b", "a", note=evil)
    )
    found = traces.detail(TRACE)
    assert found is not None
    many = filled(*(datagram("a", trace=f"{number:032x}", name=evil) for number in range(2)))
    for text in (
        page.listing(traces.listing(), evil),
        page.listing(many.listing(limit=1), evil),
        page.detail(found),
        page.listing({"traces": [], "older": None}, "x"),
    ):
        for tag, attributes in Elements(text).found:
            assert tag not in ("script", "style", "img")
            assert not {name for name in attributes if name == "style" or name.startswith("on")}
    assert "default-src 'none'" in page.POLICY
    assert "unsafe" not in page.POLICY
