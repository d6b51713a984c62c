"""The tables of docs/limits.md, from the limits and flags as they are declared. `--check` fails when they are stale."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "limits.md"
sys.path.insert(0, str(ROOT))
_UNITS = {"bytes": " bytes", "micro_usd": " micro-dollars", "count": ""}


def tables() -> dict[str, str]:
    """Each table's text, by the name of its place in the page."""
    from shared.platform.limit_defaults import FLAGS, LIMITS, PERSONAL, RATES

    limits = ["| name | what | window | default |", "| --- | --- | --- | --- |"]
    limits += [
        f"| `{one.name}` | {one.what} | {one.window} | {one.default:,}{_UNITS[one.unit]} |"
        for one in LIMITS.values()
    ]
    rates = ["| name | what | default |", "| --- | --- | --- |"]
    rates += [f"| `{one.name}` | {one.what} | {one.default:,} |" for one in RATES.values()]
    flags = ["| name | what | default |", "| --- | --- | --- |"]
    flags += [f"| `{one.name}` | {one.what} | {'on' if one.default else 'off'} |" for one in FLAGS.values()]
    people = ["| name | what | default |", "| --- | --- | --- |"]
    people += [f"| `{one.name}` | {one.what} | {one.default:,} |" for one in PERSONAL.values()]
    found = {"limits": limits, "people": people, "rates": rates, "flags": flags}
    return {name: "\n".join(lines) for name, lines in found.items()}


def render(page: str) -> str:
    """The page with its tables as they are now."""
    for name, table in tables().items():
        begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise SystemExit(f"{PAGE.relative_to(ROOT)} has no place for the table {name!r}")
        head, _, rest = page.partition(begin)
        page = f"{head}{begin}{table}\n{end}{rest.partition(end)[2]}"
    return page


def main() -> int:
    """Write or check; answers the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="fail when the page is stale")
    arguments = parser.parse_args()
    before = PAGE.read_text()
    after = render(before)
    if before == after:
        return 0
    if arguments.check:
        print("docs/limits.md is stale: run `make generate`", file=sys.stderr)
        return 1
    PAGE.write_text(after)
    print("wrote docs/limits.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
