"""What an object of the lake may be called."""

import pytest

from shared.platform.cloud import objects


@pytest.mark.parametrize(
    "parts",
    [
        ("team", "..", "other"),
        ("team", "../other"),
        ("..",),
        ("team", "a..b"),
        ("/team",),
        ("team", ""),
        ("team", "/", "x"),
        ("team", ".hidden"),
        ("team", "a b"),
        ("team", "a\\b"),
        ("team", "a\n"),
        ("team", "a\x00"),
        ("team", "é"),
        ("team", "%2e%2e"),
        ("",),
        ("t" * 901,),
    ],
)
def test_a_name_that_could_climb_or_confuse_is_refused(parts: tuple[str, ...]) -> None:
    """Parts come from ids and slugs; one that is neither must not lead to another team's objects."""
    with pytest.raises(ValueError, match="not a valid object name"):
        objects.safe_name(*parts)


def test_ids_and_file_names_make_names() -> None:
    """As they are, joined by slashes."""
    assert objects.safe_name("018f0000-0000", "a_b", "c.d-1.json.gz") == "018f0000-0000/a_b/c.d-1.json.gz"
