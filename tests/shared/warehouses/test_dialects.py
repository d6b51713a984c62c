"""The parser's dialects and the threads of a new instance."""

from __future__ import annotations

import subprocess
import sys

PROBE = """
import threading, time
import sqlglot.dialects.dialect as base
from shared.warehouses.bigquery.dialect import BIGQUERY
from shared.warehouses.guard import guard

quick, began = base.new_trie, threading.Event()

def slow(words):
    began.set()
    time.sleep(0.2)
    return quick(words)

base.new_trie = slow
sql = r"SELECT REGEXP_EXTRACT(ddl, r'(\\d+)') FROM `p.d.t`"
first = threading.Thread(target=guard.fingerprint, args=(sql, BIGQUERY))
first.start()
assert began.wait(20)
found = guard.fingerprint(sql, BIGQUERY)
first.join()
print(found == guard.fingerprint(sql, BIGQUERY))
"""


def test_a_query_that_comes_while_the_dialect_loads_is_read_like_any_other() -> None:
    """The second thread of a cold instance waits for the whole dialect instead of using half of it."""
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True)
    assert done.stdout.strip() == "True", done.stderr
