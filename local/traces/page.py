"""The trace view as plain HTML: no script, no inline style; bars are SVG."""

import html
import time
from typing import Any
from urllib.parse import urlencode

STYLE = """\
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --bar: #3b6fd4; --bad: #b3261e; --ground: #fff; --text: #1b1f23; }
@media (prefers-color-scheme: dark) { :root { --bar: #6f9cf0; --bad: #f28b82; --ground: #14181c; --text: #e6e9ec; } }
html { background: var(--ground); color: var(--text); }
* { box-sizing: border-box; }
body { font: 14px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1.25rem; }
h1 { font-size: 1.3rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
p { margin: 0 0 1rem; opacity: .75; overflow-wrap: anywhere; }
form { display: flex; gap: .5rem; margin: 1rem 0; }
input { flex: 1; max-width: 28rem; min-width: 0; }
input, button { font: inherit; padding: .35rem .6rem; border: 1px solid var(--line); border-radius: 6px; background: none; color: inherit; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
th, td { text-align: left; padding: .35rem .5rem; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: 600; opacity: .75; }
tbody tr:hover { background: var(--soft); }
.n { text-align: right; font-variant-numeric: tabular-nums; }
.time { width: 7rem; } .status { width: 6.5rem; } .ms { width: 6.5rem; } .count { width: 4.5rem; }
.span { width: 24rem; } .fn { opacity: .75; font-size: .9em; }
.bad { color: var(--bad); font-weight: 600; }
a { color: inherit; text-decoration-color: var(--line); } a:hover { text-decoration-color: currentColor; }
a:focus-visible, input:focus-visible, button:focus-visible { outline: 2px solid var(--bar); outline-offset: 2px; }
svg { display: block; width: 100%; height: 14px; margin-top: .2rem; }
svg rect { fill: var(--bar); } svg .failed { fill: var(--bad); } svg .ground { fill: var(--soft); }
.attributes { font-size: .85em; opacity: .75; font-family: ui-monospace, monospace; }
.tree { white-space: pre; opacity: .75; font-family: ui-monospace, monospace; }
@media (max-width: 48rem) {
  body { margin: 1rem auto; padding: 0 .75rem; }
  table, tbody, tr, td { display: block; width: auto; }
  thead { display: none; }
  tr { border-bottom: 1px solid var(--line); padding: .4rem 0; }
  td { border: 0; padding: .1rem 0; }
  td.time, td.span { width: auto; }
  td.n { display: inline-block; text-align: left; margin-right: .9rem; width: auto; }
  td.n::before { content: attr(data-label) " "; opacity: .75; }
}
"""
POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
MOST_ROWS = 2000
_DEEPEST = 10
_HIDDEN = ("status", "method", "route", "duration_ms")


def listing(found: dict[str, Any], text: str) -> str:
    """A page of recent traces, newest first."""
    rows = "".join(
        f'<tr><td class="time">{_clock(one["began"])}</td>'
        f'<td><a href="/_local/traces/{_text(one["trace_id"])}">{_text(one["name"])}</a>'
        f'<div class="fn">{_text(_others(one))}</div></td>'
        + _number("status", "status", _status(one))
        + _number("ms", "answered in", _ms(one["duration_ms"]))
        + _number("ms", "all ended in", _ms(one["lasted_ms"]))
        + _number("count", "spans", str(int(one["spans"])))
        + "</tr>"
        for one in found["traces"]
    )
    older = ""
    if found["older"] is not None:
        where = _text(urlencode({"q": text, "before": found["older"]}))
        older = f'<p><a href="/_local/traces?{where}" rel="next">Older</a></p>'
    nothing = (
        "<p>Nothing yet. Use Bridge, then reload this page.</p>"
        if not text
        else "<p>Nothing mentions that.</p>"
    )
    head = (
        '<table><thead><tr><th class="time">time</th><th>request</th><th class="n status">status</th>'
        '<th class="n ms">answered in</th><th class="n ms">all ended in</th><th class="n count">spans</th></tr></thead>'
    )
    return _page(
        "Traces",
        "<h1>Traces</h1><p>The latest requests on this laptop with all the steps that they caused.</p>"
        f'<form action="/_local/traces"><input name="q" value="{_text(text)}" aria-label="Filter" '
        'placeholder="route, function, attribute, trace or correlation id"><button>Filter</button></form>'
        + (f"{head}<tbody>{rows}</tbody></table>{older}" if rows else nothing),
    )


def detail(trace: dict[str, Any]) -> str:
    """A waterfall: what happened under what, when, and how long it took."""
    whole = max(float(trace["lasted_ms"]), 0.001)
    rows = "".join(_row(row, whole) for row in trace["rows"][:MOST_ROWS])
    rest = len(trace["rows"]) - MOST_ROWS
    more = f"<p>{_count(rest, 'further span')} in the JSON behind the id above.</p>" if rest > 0 else ""
    return _page(
        str(trace["name"]),
        f'<p><a href="/_local/traces">Traces</a></p><h1>{_text(trace["name"])} {_status(trace)}</h1>'
        f"<p>{_clock(trace['began'])} · answered in {_ms(trace['duration_ms'])} · all ended in {_ms(whole)} · "
        f"{_count(int(trace['spans']), 'span')} in {_count(len(trace['functions']), 'function')} · "
        f'<a href="/_local/traces/{_text(trace["trace_id"])}?format=json">{_text(trace["trace_id"])}</a></p>'
        '<table><thead><tr><th class="span">span</th><th>when</th><th class="n ms">took</th></tr></thead>'
        f"<tbody>{rows}</tbody></table>{more}",
    )


def _row(row: dict[str, Any], whole: float) -> str:
    start = 1000 * float(row["offset_ms"]) / whole
    width = max(2.0, 1000 * float(row["duration_ms"]) / whole)
    own_text = " · ".join(
        f"{name}={value}" for name, value in row["attributes"].items() if name not in _HIDDEN
    )
    failed = ' class="failed"' if row["failed"] else ""
    mark = ' · <span class="bad">failed</span>' if row["failed"] else ""
    depth = int(row["depth"])
    indent = "  " * min(depth, _DEEPEST) + ("└ " if depth else "") + (f"{depth} " if depth > _DEEPEST else "")
    return (
        f'<tr><td class="span"><span class="tree">{indent}</span>{_text(row["name"])}{mark}'
        f'<div class="fn">{_text(row["function"])}</div></td>'
        '<td><svg viewBox="0 0 1000 14" preserveAspectRatio="none" role="img" '
        f'aria-label="from {_ms(row["offset_ms"])}, {_ms(row["duration_ms"])}">'
        '<rect class="ground" x="0" y="6" width="1000" height="2"/>'
        f'<rect{failed} x="{min(start, 998):.1f}" y="1" width="{min(width, 1000 - min(start, 998)):.1f}" height="12"/></svg>'
        f'<div class="attributes">{_text(own_text)}</div></td>'
        + _number("ms", "took", _ms(row["duration_ms"]))
        + "</tr>"
    )


def _number(kind: str, label: str, shown: str) -> str:
    """A cell of figures; on a narrow screen, where the head is not shown, it carries its label."""
    return f'<td class="n {kind}" data-label="{label}">{shown}</td>'


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_text(title)} · Bridge</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="stylesheet" href="/_local/traces.css"></head><body>{body}</body></html>\n'
    )


def _others(one: dict[str, Any]) -> str:
    return ", ".join(name for name in one["functions"] if name != one["function"]) or str(one["function"])


def _status(one: dict[str, Any]) -> str:
    """The answer's status; said in words when the answer was fine and something below it was not."""
    status = one.get("status")
    if not one["failed"]:
        return "" if status is None else _text(status)
    fine = isinstance(status, int) and status < 500
    return (
        f'{status} <span class="bad">failed</span>'
        if fine
        else f'<span class="bad">{_text(status or "failed")}</span>'
    )


def _ms(value: Any) -> str:
    number = float(value)
    return f"{number / 1000:.2f} s" if number >= 1000 else f"{number:.1f} ms"


def _clock(began: Any) -> str:
    return time.strftime("%H:%M:%S", time.localtime(float(began))) + f".{int(float(began) % 1 * 1000):03d}"


def _text(value: Any) -> str:
    return html.escape(str(value), quote=True)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
