"""Build the console's chart runtime: one minified file with Vega, Vega-Lite and vega-embed.

The libraries ship inside vl-convert-python, so no Node and no network are needed. Built once at set-up (about
1.5 s) and again only when that package or this file changes. vega-embed carries the expression interpreter (`ast: true`),
with which charts run under a Content-Security-Policy without `unsafe-eval`.
"""

import gzip
import hashlib
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "console" / "vendor" / "vega.js"
STAMP = TARGET.with_suffix(".stamp")
SNIPPET = "window.vegaEmbed = vegaEmbed; window.vega = vega;"
BUDGET_GZIP = 350 * 1024


def main() -> int:
    """Build when something changed; answers the exit code."""
    wanted = hashlib.sha256(Path(__file__).read_bytes() + version("vl-convert-python").encode()).hexdigest()
    if TARGET.exists() and STAMP.exists() and STAMP.read_text() == wanted:
        return 0
    import vl_convert

    script = vl_convert.javascript_bundle(SNIPPET)
    size = len(gzip.compress(script.encode(), 9))
    if size > BUDGET_GZIP:
        print(
            f"the chart runtime is {size} bytes compressed, above the budget of {BUDGET_GZIP}",
            file=sys.stderr,
        )
        return 1
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(script)
    STAMP.write_text(wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
