"""The parser's dialects, loaded whole before they are used."""

from __future__ import annotations

import importlib
from typing import TypeVar

D = TypeVar("D", bound=str)


def loaded(dialect: D) -> D:
    """The dialect's name, once its module is there from its first line to its last.

    sqlglot registers a dialect's class before it has set it up, and a second thread that asks for it by
    name meanwhile gets it half made: it reads r'…' as a column and a text. Importing the module waits
    for whoever is importing it.
    """
    importlib.import_module(f"sqlglot.dialects.{dialect}")
    return dialect
