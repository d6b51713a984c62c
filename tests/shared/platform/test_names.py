"""Names stand in other people's lists and logs: what would bend those is refused."""

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.platform.text.names import Name, NameOrNothing


@pytest.mark.parametrize("name", ["Sales", "  Sales  ", "Größe · 2026", "営業", "مبيعات", "👩‍🚀 Crew", "O'Hara & Sons <b>"])  # fmt: skip
def test_a_name_of_any_script_is_kept_as_it_is(name: str) -> None:
    """But for white space around it."""
    assert TypeAdapter(Name).validate_python(name) == name.strip()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a\nb", "one line"),
        ("a\u2028b", "one line"),
        ("a\x00b", "one line"),
        ("a\x1b[31mb", "one line"),
        ("\u202etxt.exe", "direction"),
        ("a\u2066b", "direction"),
        ("\u200b\u200b", "seen"),
        ("\u200b \ufeff", "seen"),
        ("   ", "at least 1 character"),
        ("x" * 121, "at most 120"),
    ],
    ids=ascii,
)
def test_a_name_that_would_bend_a_list_is_refused(name: str, reason: str) -> None:
    """With what is wrong with it."""
    with pytest.raises(ValidationError, match=reason):
        TypeAdapter(Name).validate_python(name)


def test_where_a_name_may_be_missing_it_may_not_be_invisible() -> None:
    """A person need not say their name."""
    assert TypeAdapter(NameOrNothing).validate_python(" ") == ""
    with pytest.raises(ValidationError):
        TypeAdapter(NameOrNothing).validate_python("\u200b")
