"""Of many alike cases, those that `make test` runs; `--thorough` runs all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def sampled(cases: Iterable[Any], *kept: str, name: Callable[[Any], str] = str) -> list[Any]:
    """Cases for `parametrize`, of which only those with these names run without `--thorough`.

    Raises ValueError for a name that no case has: a case that was renamed must not leave `make test` unseen.
    """
    given = list(cases)
    names = [name(case) for case in given]
    if unknown := set(kept) - set(names):
        raise ValueError(f"no case is named {', '.join(sorted(unknown))}")
    return [
        pytest.param(case, id=found, marks=() if found in kept else pytest.mark.soak)
        for case, found in zip(given, names, strict=True)
    ]
