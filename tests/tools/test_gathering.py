"""What rooms declare is checked when it is gathered: each fault is told with who declares what."""

from __future__ import annotations

import gc
import importlib.util
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import shared
from shared.platform.background.messages import Message
from shared.platform.edge.declare import Declaration
from shared.platform.errors import REGISTRY, Conflict
from tools import gathering

ROOT = Path(__file__).resolve().parents[2]
Rooms = Callable[..., gathering.Gathered]
KINDS = "from shared.platform.registry.kinds import *\nfrom shared.platform.registry.kinds import counted\n"
QUEUE = "DEFAULT = Queue('default', 'all the rest')"


@pytest.fixture
def rooms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rooms:
    """Gather areas that are made of these texts: `name="text of declared.py"`, `name_code` and `name_sql` beside it."""

    def load(name: str, path: Path) -> None:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        _, area, last = name.split(".")
        package = sys.modules.get(f"shared.{area}", ModuleType(f"shared.{area}"))
        monkeypatch.setitem(sys.modules, f"shared.{area}", package)
        monkeypatch.setattr(shared, area, package, raising=False)
        monkeypatch.setattr(package, last, module, raising=False)
        monkeypatch.setitem(sys.modules, name, module)

    def made(**texts: str) -> gathering.Gathered:
        for name, text in texts.items():
            area, _, part = name.partition("_")
            folder = tmp_path / "shared" / area
            folder.mkdir(parents=True, exist_ok=True)
            if part == "sql":
                (folder / "queries.sql").write_text(text)
                continue
            path = folder / ("service.py" if part == "code" else "declared.py")
            path.write_text(("" if part == "code" else KINDS) + textwrap.dedent(text))
            load(f"shared.{area}.{path.stem}", path)
        return gathering.gather(tmp_path)

    return made


def test_the_rooms_of_the_product_have_no_fault() -> None:
    """And the order is the platform's first, then by name."""
    found = gathering.gather(ROOT)
    assert found.problems == []
    assert gathering.areas(ROOT)[:2] == ["shared.platform.declared", "shared.agents.declared"]
    assert {one.by for one in found.kinds["buckets"]} >= {"shared.catalog.declared", "shared.agents.declared"}


@pytest.mark.parametrize(
    ("declaration", "kind"),
    [
        ("Flag('same', True, 'a flag')", "flag"),
        ("Queue('same', 'a queue')", "queue"),
        ("Bucket('same', 'a bucket')", "bucket"),
        ("Collection('same', 'a collection', 60)", "collection"),
        ("Limit('same', 'same', 'day', 'count', 1, 'a limit')", "limit"),
        ("Doors('same', 'a folder')", "folder of doors"),
    ],
)
def test_a_clash_names_both_who_declare_it(rooms: Rooms, declaration: str, kind: str) -> None:
    """In two rooms, and twice in one."""
    found = rooms(one=f"A = {declaration}", platform=QUEUE, two=f"B = {declaration}\nC = ({declaration},)")
    assert [problem for problem in found.problems if "declared by" in problem] == [
        f"the {kind} 'same' is declared by shared.one.declared and by shared.two.declared"
    ] * 2


def test_a_declaration_that_is_imported_is_not_declared_again(rooms: Rooms) -> None:
    """A room may use another's."""
    rooms(one=f"A = Flag('shared_flag', True, 'a flag')\n{QUEUE}")
    found = rooms(two="from shared.one.declared import A, DEFAULT")
    assert found.problems == []
    assert [one.by for one in found.kinds["flags"]] == ["shared.one.declared"]


@pytest.mark.parametrize(
    ("declaration", "problem"),
    [
        ("Limit('things', 'things', 'day', 'count', 1, ' ')", "the limit 'things' does not say what"),
        ("Flag('things', True, '')", "the flag 'things' does not say what"),
        ("Collection('things', 'some', 0)",
         "the collection 'things' has no TTL: say how long a document lives at the longest"),
        ("Collection('things', 'some', None)",
         "the collection 'things' has no TTL: say how long a document lives at the longest"),
        ("Bucket('things', 'some', delete_after_days=0)",
         "delete_after_days of the bucket 'things' must be at least 1"),
        ("Bucket('things', 'some', delete_versions_after_days=3)",
         "the bucket 'things' keeps no versions that could be deleted"),
        ("Bucket('things', 'some', queue='nowhere')",
         "the bucket 'things' names the queue 'nowhere', which no room declares"),
        ("Flag('Things', True, 'some')", "'Things' is no name for a flag"),
        ("Queue('two_words', 'some')", "'two_words' is no name for a queue"),
        ("Limit('things_month', 'things', 'month', 'count', 1, 'some')",
         "the limit 'things_month' is of 'things', which has no daily limit"),
        ("Limit('rate_x', 'x', 'day', 'count', 1, 'some')",
         "the limit 'rate_x' is half a rate: rate_…, minute and requests go together"),
        ("Limit('rate_x', 'y', 'minute', 'requests', 1, 'some')", "the rate 'rate_x' is not that of the class 'y'"),
        ("Limit('things', 'things', 'day', 'count', -1, 'some')",
         f"the limit 'things' must be from 0 to {2**53 - 1}"),
        ("Retention('things', 0, 'they came', 'so', 'purge')",
         "the retention rule 'things' must keep rows for at least a day"),
        ("Retention('things', 1, 'they came', '', 'purge')", "the retention rule 'things' does not say why"),
    ],
)  # fmt: skip
def test_a_fault_in_a_declaration_is_told(rooms: Rooms, declaration: str, problem: str) -> None:
    """Every problem at once, each with its room."""
    sql = "-- purge --\nDELETE FROM t WHERE at < now() - :days LIMIT :batch RETURNING 1 AS removed;\n"
    found = rooms(one=f"A = {declaration}\n{QUEUE}", one_sql=sql)
    assert f"shared.one.declared: {problem}" in found.problems


def test_a_resource_belongs_to_one_room(rooms: Rooms) -> None:
    """Another room can't add a window to it."""
    found = rooms(
        one=f"A = counted('things', 1, 1, 'things')\n{QUEUE}",
        two="B = Limit('things_month', 'things', 'month', 'count', 1, 'a month')",
    )
    assert found.problems == [
        "the limit 'things_month' of shared.two.declared is of a resource of shared.one.declared: one room owns a resource"
    ]


def test_a_retention_rule_has_its_statement_in_its_room(rooms: Rooms) -> None:
    """Once, and with what the step binds; another room's statement does not count."""
    rule = "A = Retention('old things', 2, 'they came', 'so', 'purge_things')\n"
    found = rooms(one=rule + QUEUE, two="", two_sql="-- purge_things --\nSELECT 1;\n")
    assert "stands 0 times in the room's queries.sql" in found.problems[0]
    found = rooms(one=rule + QUEUE, one_sql="-- purge_things --\nDELETE FROM t WHERE at < :days;\n")
    assert [problem.rpartition(" ")[2] for problem in found.problems] == [":batch", "removed"]


# What needs the doors --------------------------------------------------------------------------


def problems(found: gathering.Gathered, *doors: Declaration) -> list[str]:
    """What is wrong with the use of it, beside doors of one folder."""
    gathering.check_use(found, list(doors))
    return found.problems


def door(**about: Any) -> Declaration:
    """A door of the folder `things`."""
    return Declaration(kind="task", module="functions.things.work.main", **about)


def test_a_queue_that_nobody_uses_and_one_that_nobody_declares(rooms: Rooms) -> None:
    """A step's queue counts as used, and the one that a bucket of a finalize step names."""
    found = rooms(
        one=f"A = Queue('idle', 'nothing')\nB = Queue('events', 'events')\nC = Bucket('bin', 'b', queue='events')\n{QUEUE}",
        one_code="from shared.platform.cloud import objects\ndef w(): objects.put('bin', 'n', b'')\n",
    )
    assert problems(found, door(queue="nowhere"), door(bucket="bin"), door(bucket="hole")) == [
        "things-work receives from the queue 'nowhere', which no room declares",
        "things-work waits for the bucket 'hole', which no room declares",
        "shared.one.declared: the queue 'idle' is used by nobody",
    ]


def test_a_bucket_that_nobody_writes(rooms: Rooms) -> None:
    """Reading is not writing; who writes from outside is said, and said only where nobody else does."""
    code = """
        from shared.platform.cloud import objects as store
        from shared.one import declared
        NAME = "written"
        def work(other):
            store.get("read", "n")
            store.put(NAME, "n", b"")
            store.put_once(declared.BOTH.name, "n", b"")
            store.put(other, "n", b"")
    """
    found = rooms(
        one=f"A = Bucket('read', 'r')\nB = Bucket('written', 'w')\nC = Bucket('given', 'g', written_by='people')\n"
        f"BOTH = Bucket('both', 'b', written_by='people')\n{QUEUE}",
        one_code=code,
    )
    assert problems(found) == [
        "shared.one.declared: the bucket 'read' is written by nobody",
        "shared.one.declared: the bucket 'both' is written by functions, not by people",
    ]


def test_names_that_no_room_declares_are_told_by_file_and_line(rooms: Rooms) -> None:
    """Buckets, collections, limits and flags, wherever code says them plainly; and a collection that nobody uses."""
    code = """\
        from shared.platform.cloud import documents, objects
        from shared.platform.limits import budgets, flags
        def work(tx):
            objects.get("bukket", "n")
            documents.get("colection", "k")
            budgets.take(tx, "team", "thigns", 1, key="k")
            flags.require("team", "flga")
            budgets.take(tx, "team", "things", 1, key="k")
    """
    found = rooms(
        one=f"A = counted('things', 1, 1, 'things')\nB = Collection('kept', 'k', 60)\n{QUEUE}", one_code=code
    )
    assert problems(found) == [
        "shared/one/service.py:4 uses the bucket 'bukket', which no room declares",
        "shared/one/service.py:5 uses the collection 'colection', which no room declares",
        "shared/one/service.py:6 uses the limit 'thigns', which no room declares",
        "shared/one/service.py:7 uses the flag 'flga', which no room declares",
        "shared.one.declared: the collection 'kept' is used by nobody",
    ]


def test_a_door_counts_against_a_rate_that_is_declared_and_its_folder_has_words(rooms: Rooms) -> None:
    """An unknown class of rate, a folder without words, and words without endpoints."""
    found = rooms(
        one=f"A = Limit('rate_slow', 'slow', 'minute', 'requests', 1, 'slow')\nB = Doors('empty', 'e')\n{QUEUE}"
    )
    slow, fast = (door(method="GET", role="user", rate=rate) for rate in ("slow", "fast"))
    assert problems(found, slow, fast) == [
        "things-work is of the class 'fast', whose rate no room declares",
        "functions/things: no room says what it is for (Doors)",
        "shared.one.declared: there are no endpoints in functions/empty",
    ]


def test_an_error_code_belongs_to_one_class_in_its_rooms_file(rooms: Rooms) -> None:
    """A second class with the code is refused where it is made, also one of the same name in another room."""
    twice = "from shared.platform.errors import Conflict\nclass ScanRunning(Conflict):\n    'Twice.'\n    code = 'SCAN_RUNNING'\n"
    with pytest.raises(
        TypeError,
        match=r"SCAN_RUNNING is declared by shared\.catalog\.declared\.ScanRunning and shared\.one\.",
    ):
        rooms(one=twice)
    type("Stray", (Conflict,), {"__module__": "shared.catalog.scan", "__doc__": "Astray.", "code": "STRAY"})
    try:
        assert problems(rooms(one=QUEUE)) == [
            "the error STRAY is declared by shared.catalog.scan.Stray; it belongs into shared.catalog.declared",
            "the error SCAN_RUNNING is declared by shared.catalog.declared.ScanRunning and by shared.one.declared.ScanRunning",
        ]
    finally:
        del REGISTRY["STRAY"]
        gc.collect()  # Else the classes would be subclasses of Conflict in the tests after this one.


def test_a_message_can_t_name_a_queue_that_no_room_declares() -> None:
    """It fails where the message is declared."""
    with pytest.raises(TypeError, match="names the queue 'nowhere', which no room declares"):

        class _Lost(Message, step="things-lost", queue="nowhere"):
            pass
