"""The snapshot's format: the same tables, the same bytes; a damaged one is an error, never half a dataset."""

import gzip
import json
from datetime import UTC, datetime

import pytest

from shared.catalog import snapshot
from shared.warehouses.contract import ColumnInfo, TableInfo


def _table(name="t", columns=2, **changes):
    given = {
        "name": name,
        "fully_qualified_name": f"p.d.{name}",
        "table_type": "BASE TABLE",
        "row_count": 5,
        "size_bytes": 2**60,
        "partitioning": {"column": "day", "type": "DAY", "require_filter": True},
        "clustering": ("a", "b"),
        "description": 'quote " and ünïcode',
        "last_modified": datetime(2024, 1, 2, tzinfo=UTC),
        "columns": tuple(
            ColumnInfo(f"c{i}", "STRUCT<a INT64>", "REPEATED", i + 1, None) for i in range(columns)
        ),
    }
    return TableInfo(**(given | changes))


def test_a_snapshot_reads_back_what_was_written():
    """Every field of every table and column."""
    head, tables = snapshot.unpack(snapshot.pack([_table("a"), _table("b", 0)], dataset="d", scan="s"))
    assert (head.dataset, head.scan, head.tables) == ("d", "s", 2)
    read = list(tables)
    assert [table["name"] for table in read] == ["a", "b"]
    assert read[0]["clustering"] == ["a", "b"]
    assert read[0]["size_bytes"] == 2**60
    assert read[0]["last_modified"] == "2024-01-02T00:00:00.000Z"
    assert read[0]["columns"][1] == {
        "path": "c1",
        "data_type": "STRUCT<a INT64>",
        "mode": "REPEATED",
        "position": 2,
        "description": None,
    }
    assert read[1]["columns"] == []


def test_the_same_tables_give_the_same_bytes():
    """No clock, no host and no file name: a repeated step writes what the first wrote."""
    assert snapshot.pack([_table()], dataset="d", scan="s") == snapshot.pack(
        [_table()], dataset="d", scan="s"
    )


def test_the_content_hash_is_of_the_tables_alone():
    """Two scans of an unchanged dataset agree; any change of a table does not."""

    def sha(*tables, scan="s"):
        return snapshot.unpack(snapshot.pack(list(tables), dataset="d", scan=scan))[0].sha256

    assert sha(_table(), scan="s1") == sha(_table(), scan="s2")
    others = [
        _table(row_count=6),
        _table(description=None),
        _table(columns=3),
        _table("u"),
        _table(clustering=None),
    ]
    assert len({sha(other) for other in others} | {sha(_table())}) == len(others) + 1


def _gz(*lines):
    return gzip.compress(b"".join(json.dumps(line).encode() + b"\n" for line in lines))


HEAD = {"format": 1, "dataset": "d", "scan": "s", "sha256": "x", "tables": 1}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not gzip",
        snapshot.pack([_table()], dataset="d", scan="s")[:-12],
        _gz({**HEAD, "format": 2}),
        _gz({"format": 1}),
        _gz(HEAD),
        _gz({**HEAD, "tables": 5}, {"name": "a"}),
        _gz(HEAD, ["not a table"]),
        gzip.compress(b"{"),
    ],
    ids=["empty", "plain", "cut", "format", "head", "none", "few", "shape", "json"],
)
def test_a_damaged_snapshot_is_an_error(data):
    """Cut, foreign or short of tables: BAD_SNAPSHOT, so that no table is taken for vanished."""
    with pytest.raises(snapshot.BadSnapshot):
        _, tables = snapshot.unpack(data)
        list(tables)
