"""The tables of docs/limits.md and docs/operations.md that show what rooms declare. `--check` fails when they are stale."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "limits.md": ("limits", "people", "rates", "flags"),
    "operations.md": ("retention", "queues", "buckets", "collections"),
}
_UNITS = {"bytes": " bytes", "micro_usd": " micro-dollars", "count": ""}
_DAY = 86_400


def tables() -> dict[str, str]:
    """Each table's text, by the name of its place in a page."""
    declared = json.loads((ROOT / "functions" / "manifest.json").read_text())["declared"]
    spent = {
        name: one for name, one in declared["limits"].items() if one["window"] not in ("minute", "lasting")
    }
    personal = {name: one for name, one in declared["limits"].items() if one["window"] == "lasting"}
    rates = {name: one for name, one in declared["limits"].items() if one["window"] == "minute"}
    return {
        "limits": _table(
            ("name", "what", "window", "default"),
            [
                (f"`{name}`", one["what"], one["window"], f"{one['default']:,}{_UNITS[one['unit']]}")
                for name, one in spent.items()
            ],
        ),
        "rates": _table(
            ("name", "what", "default"),
            [(f"`{name}`", one["what"], f"{one['default']:,}") for name, one in rates.items()],
        ),
        "people": _table(
            ("name", "what", "default"),
            [(f"`{name}`", one["what"], f"{one['default']:,}") for name, one in personal.items()],
        ),
        "flags": _table(
            ("name", "what", "default"),
            [
                (f"`{name}`", one["what"], "on" if one["default"] else "off")
                for name, one in declared["flags"].items()
            ],
        ),
        "retention": _table(
            ("what", "kept", "why"),
            [
                (name, f"{_count(one['days'], 'day')} after {one['after']}", one["why"])
                for name, one in declared["retention"].items()
            ],
        ),
        "queues": _table(
            ("queue", "carries"), [(f"`{name}`", one["what"]) for name, one in declared["queues"].items()]
        ),
        "buckets": _table(
            ("bucket", "holds", "keeps"),
            [(f"`{name}`", one["what"], _keeps(one)) for name, one in declared["buckets"].items()],
        ),
        "collections": _table(
            ("collection", "holds", "a document lives at the longest"),
            [
                (f"`{name}`", one["what"], _span(one["longest_seconds"]))
                for name, one in declared["collections"].items()
            ],
        ),
    }


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *rows))


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _span(seconds: float) -> str:
    whole = int(seconds)
    return _count(whole // _DAY, "day") if whole % _DAY == 0 else _count(whole, "second")


def _keeps(bucket: dict[str, Any]) -> str:
    said = []
    if bucket["versioned"]:
        days = bucket.get("delete_versions_after_days")
        said.append("earlier versions" + (f" for {_count(days, 'day')}" if days else ""))
    if days := bucket.get("delete_after_days"):
        said.append(f"nothing older than {_count(days, 'day')}")
    if days := bucket.get("archive_after_days"):
        said.append(f"what is older than {_count(days, 'day')} in the archive")
    return ", ".join(said) or "each object until it is removed"


def render(page: str, names: tuple[str, ...]) -> str:
    """The page with its tables as they are now."""
    made = tables()
    for name in names:
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise SystemExit(f"a page has no place for the table {name!r}")
        head, _, rest = page.partition(begin)
        page = f"{head}{begin}{made[name]}\n{end}{rest.partition(end)[2]}"
    return page


def main() -> int:
    """Write or check; answers the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when a page is stale")
    arguments = parser.parse_args()
    stale = []
    for name, places in PAGES.items():
        path = ROOT / "docs" / name
        before = path.read_text()
        after = render(before, places)
        if before == after:
            continue
        if arguments.check:
            stale.append(f"docs/{name}")
        else:
            path.write_text(after)
            print(f"wrote docs/{name}")
    if stale:
        print(f"{', '.join(stale)}: stale, run `make generate`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
