"""The compare of every compare-and-swap: the generation that a writer expects.

It is parsed before the body is read and checked inside the write transaction, so that of any number of racing
writers with the same expectation exactly one wins.
"""

from local.cloud.storage.errors import precondition_failed
from local.cloud.storage.model import StoredObject


def check(expected: int | None, found: StoredObject | None) -> None:
    """412 unless the live object has this generation; 0 stands for "no live object", None for anything."""
    if expected is not None and expected != (found.generation if found else 0):
        raise precondition_failed("ifGenerationMatch")
