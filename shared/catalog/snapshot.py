"""The snapshot of one dataset: gzipped JSON lines, a head and then one line a table.

    {"format": 1, "dataset": "…", "scan": "…", "sha256": "…", "tables": 50}
    {"name": "flights", "table_type": "BASE TABLE", …, "columns": [{"path": "carrier", …}, …]}

Lines, because the reader then holds one batch of tables and not all of them. The same tables give the
same bytes but for the head (no clock, no host, no file name in the gzip header), and `sha256` is over the
tables alone: two scans of an unchanged dataset carry the same one.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shared.catalog.declared import BadSnapshot
from shared.platform.text import strict_json
from shared.warehouses.contract import TableInfo

FORMAT = 1
MOST_BYTES = 1 << 30
"""Longest snapshot that is read, unpacked."""
LONGEST_LINE = 64 << 20


@dataclass(frozen=True)
class Head:
    """What a snapshot says of itself."""

    dataset: str
    scan: str
    sha256: str
    tables: int


def pack(tables: list[TableInfo], *, dataset: str, scan: str) -> bytes:
    """The bytes of a snapshot. Tables must be in name order."""
    digest = hashlib.sha256()
    lines = io.BytesIO()
    for table in tables:
        line = strict_json.canonical(_plain(table)) + b"\n"
        digest.update(line)
        lines.write(line)
    head = strict_json.canonical(
        {
            "format": FORMAT,
            "dataset": dataset,
            "scan": scan,
            "sha256": digest.hexdigest(),
            "tables": len(tables),
        }
    )
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0, compresslevel=6) as file:
        file.write(head + b"\n")
        file.write(lines.getbuffer())
    return packed.getvalue()


def unpack(data: bytes) -> tuple[Head, Iterator[dict[str, Any]]]:
    """The head, and the tables one by one; raises BadSnapshot."""
    file = gzip.GzipFile(fileobj=io.BytesIO(data))
    head = _line(file)
    if head is None or head.get("format") != FORMAT:
        raise BadSnapshot(reason="unknown format")
    try:
        read = Head(str(head["dataset"]), str(head["scan"]), str(head["sha256"]), int(head["tables"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BadSnapshot(reason="its head is incomplete") from error
    return read, _tables(file, read.tables)


def _tables(file: gzip.GzipFile, expected: int) -> Iterator[dict[str, Any]]:
    found = 0
    while (table := _line(file)) is not None:
        found += 1
        yield table
    if found != expected:
        raise BadSnapshot(reason=f"it holds {found} of {expected} tables")


def _line(file: gzip.GzipFile) -> dict[str, Any] | None:
    try:
        if file.tell() > MOST_BYTES:
            raise BadSnapshot(reason="it is too large")
        line = file.readline(LONGEST_LINE)
        if not line:
            return None
        value = json.loads(line)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise BadSnapshot(reason="it is damaged") from error
    if not isinstance(value, dict):
        raise BadSnapshot(reason="a line is not an object")
    return value


def _plain(table: TableInfo) -> dict[str, Any]:
    return {
        "name": table.name,
        "fully_qualified_name": table.fully_qualified_name,
        "table_type": table.table_type,
        "row_count": table.row_count,
        "size_bytes": table.size_bytes,
        "partitioning": dict(table.partitioning) if table.partitioning else None,
        "clustering": list(table.clustering) if table.clustering else None,
        "description": table.description,
        "last_modified": table.last_modified,
        "columns": [
            {
                "path": column.path,
                "data_type": column.data_type,
                "mode": column.mode,
                "position": column.position,
                "description": column.description,
            }
            for column in table.columns
        ],
    }
