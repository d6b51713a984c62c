"""Named SQL: a loader for `queries.sql` files.

Each statement starts with a comment `-- name --`; the comment lines below it say why it is as it is.
A store writes `Q = sql.load(__file__)` and then `tx.one(Q.open_scan, scan=…)`.
"""

import re
from pathlib import Path
from types import SimpleNamespace

_NAME = re.compile(r"^-- ([a-z][a-z0-9_]*) --\s*$", re.MULTILINE)


def load(store_file: str, name: str = "queries.sql") -> SimpleNamespace:
    """The statements of the file beside a store, by name."""
    text = Path(store_file).with_name(name).read_text()
    parts = _NAME.split(text)
    names, bodies = parts[1::2], parts[2::2]
    if len(set(names)) != len(names):
        raise ValueError(f"a statement name stands twice in {name} beside {store_file}")
    return SimpleNamespace(**{key: body.strip().rstrip(";") for key, body in zip(names, bodies, strict=True)})
