"""The key of a statement: what a formatter does to it is lost, and no letter of a text or a quoted name is."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.warehouses.bigquery.dialect import BIGQUERY
from shared.warehouses.declared import QueryNotReadOnly
from shared.warehouses.dialect import Dialect
from shared.warehouses.guard import guard
from shared.warehouses.postgres.dialect import POSTGRES

WORDS = [
    "left",
    "LEFT",
    "Left",
    "in",
    "IN",
    "end",
    "END",
    "a",
    "A",
    "",
    " ",
    "or 1",
    "--",
    "/*",
    "#",
    ";",
    "\\n",
]
FORMS = {
    BIGQUERY: ["'{}'", '"{}"', "r'{}'", 'b"{}"', "'''{}'''", '"""{}"""', "`{}`", "t.`{}`"],
    POSTGRES: ["'{}'", "E'{}'", '"{}"', 't."{}"', "$${}$$", "$q${}$q$"],
}
LAYOUT = st.sampled_from([" ", "\n", "  ", " -- left\n", " /* 'x' */ ", "\t"])


@dataclass(frozen=True)
class Written:
    """A statement as a list of words: some of the language, some of the author."""

    words: tuple[tuple[str, bool], ...]

    def text(self, spaces: list[str], upper: list[bool]) -> str:
        """The words of the language in this case, between these spaces."""
        parts = [
            word if own else word.upper() if up else word
            for (word, own), up in zip(self.words, upper, strict=True)
        ]
        return "".join(part + space for part, space in zip(parts, spaces, strict=True))


@st.composite
def literals(draw: st.DrawFn, dialect: Dialect) -> str:
    inside = draw(st.sampled_from(WORDS) | st.text("abLEFTleft ", max_size=8))
    return draw(st.sampled_from(FORMS[dialect])).format(inside)


@st.composite
def statements(draw: st.DrawFn, dialect: Dialect) -> tuple[Written, str]:
    """A statement with holes filled by literals, and its text in one layout."""
    holes = draw(st.lists(literals(dialect), min_size=1, max_size=4))
    words: list[tuple[str, bool]] = [("select", False)]
    for index, hole in enumerate(holes):
        words += [(hole, True), ("as", False), (f"c{index}", True), (",", True)]
    words[-1:] = [("from", False), ("sales.t", True), ("as", False), ("t", True), ("where", False)]
    words += [("t.x", True), ("in", False), ("(", True), (holes[0], True), (")", True)]
    made = Written(tuple(words))
    return made, _laid_out(draw, made)


def _laid_out(draw: st.DrawFn, made: Written) -> str:
    count = len(made.words)
    spaces = draw(st.lists(LAYOUT, min_size=count, max_size=count))
    upper = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    return made.text(spaces, upper)


def _key(sql: str, dialect: Dialect) -> str | None:
    try:
        return guard.fingerprint(sql, dialect)
    except QueryNotReadOnly:
        return None


@pytest.mark.parametrize("dialect", [BIGQUERY, POSTGRES], ids=lambda dialect: dialect.name)
@given(data=st.data())
def test_layout_and_the_case_of_reserved_words_are_all_that_is_lost(
    dialect: Dialect, data: st.DataObject
) -> None:
    """The same words in another layout share a key."""
    made, one = data.draw(statements(dialect))
    two = data.draw(st.builds(lambda spaces, upper: made.text(spaces, upper), *_choices(made)))
    assume(_key(one, dialect) is not None)
    assert _key(one, dialect) == _key(two, dialect)


@pytest.mark.parametrize("dialect", [BIGQUERY, POSTGRES], ids=lambda dialect: dialect.name)
@given(data=st.data())
def test_statements_with_other_texts_or_quoted_names_never_share_a_key(
    dialect: Dialect, data: st.DataObject
) -> None:
    """Whatever stands in them, and however much it looks like the language."""
    one, first = data.draw(statements(dialect))
    two, second = data.draw(statements(dialect))
    assume([word for word, own in one.words if own] != [word for word, own in two.words if own])
    keys = _key(first, dialect), _key(second, dialect)
    assume(None not in keys)
    assert keys[0] != keys[1]


def _choices(made: Written) -> tuple[st.SearchStrategy[list[str]], st.SearchStrategy[list[bool]]]:
    count = len(made.words)
    return (
        st.lists(LAYOUT, min_size=count, max_size=count),
        st.lists(st.booleans(), min_size=count, max_size=count),
    )
