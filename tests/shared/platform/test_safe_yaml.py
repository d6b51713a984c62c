"""YAML as plain data with positions."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.platform.text import safe_yaml, strict_json
from shared.platform.text.safe_yaml import MalformedYaml

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b]\n"


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        (BOMB, "anchors", 1),
        ("a: 1\nb: *nothing", "alias", 2),
        ("a: !!python/object/apply:os.system [id]", "tag", 1),
        ("a: !include /etc/passwd", "tag", 1),
        ("a: 1\nb: 2\na: 3", "stands twice", 3),
        ("a: 1\n---\nb: 2", "more than one document", 2),
        ("a: [1, 2", "expected", 1),
        ("[" * 30 + "]" * 30, "deeper", 1),
        ("a: .inf", "finite", 1),
        ("a: 1\nb: 0x" + "f" * 9_000, "longer than 400", 2),
        ("a: " + "9" * 5_000, "longer than 400", 1),
        ("a: 1" + ":0" * 173 + ":0.0", "out of range", 1),
        ("a: 1" + ":59" * 40_000, "longer than 400", 1),
        ("a: 0xffffffffffffffff", "2^63", 1),
        ("a: 9223372036854775808", "2^63", 1),
        ("a: 1:0:0:0:0:0:0:0:0:0:0:0:0:0", "2^63", 1),
        ("a: 0b_", "number", 1),
        ('a: "\\0"', "NUL", 1),
        ('a: 1\n"b\\0": 1', "NUL", 2),
        ('a: "\\ud800"', "surrogate", 1),
        ('"\\udfff": 1', "surrogate", 1),
        ("", "empty", None),
        ("a: " + "x" * (300 * 1024), "larger", None),
        ("? [1, 2]\n: x", "plain word", 1),
        ("[" + "1," * 60_000 + "1]", "too many", 1),
    ],
)
def test_what_is_not_plain_data_is_refused_with_its_place(text: str, reason: str, line: int | None) -> None:
    """Bombs, tags, duplicates and broken text: the reason, and the line where it stands."""
    with pytest.raises(MalformedYaml) as caught:
        safe_yaml.load(text)
    assert reason in str(caught.value)
    if line is not None and caught.value.line is not None:
        assert caught.value.line >= line


def test_every_value_knows_its_line_and_column() -> None:
    """A later error about a value can point to it."""
    _, positions = safe_yaml.load("title: T\nqueries:\n  - id: q\n    sql: |\n      SELECT 1\n")
    assert positions[("queries", 0, "sql")] == (4, 5)


def test_dates_stay_the_text_that_the_author_wrote() -> None:
    """An unquoted date is a string: JSON has no dates, and a document must not change by being read."""
    assert safe_yaml.load("day: 2013-01-05")[0] == {"day": "2013-01-05"}


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=30)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS.filter(bool), inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(WORDS.filter(bool), PLAIN, min_size=1, max_size=4))
def test_what_is_written_reads_back_equal(value: dict[str, object]) -> None:
    """dump and load are inverse, whatever the text looks like."""
    assert safe_yaml.load(safe_yaml.dump(value))[0] == value


@given(st.text(max_size=200))
def test_any_text_is_a_value_or_a_refusal(text: str) -> None:
    """No text ends in an error of another kind."""
    try:
        safe_yaml.load(text)
    except MalformedYaml as refused:
        assert refused.reason


NUMBERS = st.text(st.sampled_from("0123456789abcdefxob_.:+-eE "), min_size=1, max_size=40)


@given(
    NUMBERS
    | st.integers(1, 60).map(lambda n: "1" + ":0" * n)
    | st.integers(1, 60).map(lambda n: f"0x{'f' * n}")
)
def test_a_number_that_is_read_has_64_bits_or_is_a_finite_float(text: str) -> None:
    """Every store, every JSON and every browser can hold it; what can't be is refused with its place."""
    try:
        value = safe_yaml.load(f"a: {text}")[0]["a"]
    except MalformedYaml as refused:
        assert refused.line is not None
        return
    if isinstance(value, int):
        assert -(2**63) <= value < 2**63
    assert json.loads(strict_json.dumps(value)) == value
