"""The Firestore of the run, for what instances share."""

from __future__ import annotations

import pytest

from tests import keeper


@pytest.fixture(scope="session")
def firestore() -> str:
    """Its address."""
    return str(keeper.asked("firestore"))
