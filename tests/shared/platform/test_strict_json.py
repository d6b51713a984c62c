"""JSON with one meaning, or a refusal."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.platform.errors import MalformedJson
from shared.platform.text import strict_json

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_every_plain_value_survives_a_round_trip(value: object) -> None:
    """What we write, we read back equal."""
    assert strict_json.loads(strict_json.dumps(value)) == value


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_a_value_or_a_refusal(raw: bytes) -> None:
    """No input ends in an error of another kind, a recursion error included."""
    try:
        value = strict_json.loads(raw)
    except MalformedJson as refused:
        assert refused.reason
    else:
        assert value == json.loads(raw)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a": 1, "a": 2}', "stands twice"),
        (b"[NaN]", "NaN"),
        (b"[-Infinity]", "Infinity"),
        (b"[1e999]", "too large"),
        (b"[9223372036854775808]", "too large"),
        (b'{"a": [-9223372036854775809]}', "too large"),
        (b"[" + b"9" * 5_000 + b"]", "too large"),
        (b'["\\ud800"]', "surrogate"),
        (b'["a\\u0000"]', "NUL"),
        (b'{"a": 1} {"b": 2}', "Extra data"),
        (b"\xc3\x28", "UTF-8"),
        (b"[" * 100_000 + b"]" * 100_000, "deep"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "deep"),
        (b"", "Expecting value"),
    ],
)
def test_two_ways_to_read_it_is_a_refusal(raw: bytes, reason: str) -> None:
    """Each known way in which two readers disagree is refused with its reason."""
    with pytest.raises(MalformedJson) as caught:
        strict_json.loads(raw)
    assert reason in (caught.value.reason or "")


def test_brackets_inside_text_do_not_count_as_depth() -> None:
    """Depth is counted outside of strings only."""
    text = "[" * 500 + '\\"' + "{" * 500
    assert strict_json.loads(f'["{text}"]'.encode()) == ["[" * 500 + '"' + "{" * 500]


def test_equal_values_have_equal_canonical_bytes() -> None:
    """The order of keys does not matter to a hash."""
    assert strict_json.canonical({"b": 1, "a": [1, 2]}) == strict_json.canonical({"a": [1, 2], "b": 1})
