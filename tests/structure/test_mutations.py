"""The catalogue of guards (tests/mutations.toml) keeps step with the code, so that `make mutations` proves them all."""

import re
from pathlib import Path

import pytest

from tools import mutations

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = mutations.read()


@pytest.mark.parametrize("mutation", CATALOGUE, ids=lambda mutation: mutation.name)
def test_a_guard_of_the_catalogue_stands_in_the_code_and_its_test_too(mutation: mutations.Mutation) -> None:
    """The text that a patch takes away is there exactly once, and the test that must go red exists."""
    assert (ROOT / mutation.file).read_text().count(mutation.find) == 1
    assert mutation.replace != mutation.find
    file, _, name = mutation.test.partition("::")
    tests = (ROOT / file).read_text()
    assert not name or re.search(
        rf"^(def|class) {re.escape(name.split('[')[0].split('::')[0])}\b", tests, re.M
    )
