"""Which words of a person name a dashboard that may be changed, and which say yes."""

import pytest

from shared.analyst.tools.naming import agrees, names

SALES = ("sales", "Sales by month")
CARRIERS = ("flights-by-carrier", "Flights by carrier")


@pytest.mark.parametrize(
    "said",
    [
        "See http://127.0.0.1:8080/dash/sales?team_id=1, please.",
        "open /dash/sales",
        "Replace sales with this.",
        "please UPDATE the Sales   by month dashboard",
        "Can you fix “sales by month”?",
        "what about `sales`",
        "Add a table to sales",
        "remove the pie from the dashboard sales",
        "Ersetze Sales by month durch eine Tabelle",
        "remplace sales by month",
    ],
)
def test_these_name_it(said: str) -> None:
    assert names(said, *SALES)


@pytest.mark.parametrize(
    "said",
    [
        "total sales by region",
        "Sales by month",
        "make a sales dashboard",
        "Show me sales by month for 2024 and add a table",
        "replace presales with this",
        "update sales-2",
        "see /dash/sales-2 and /dash/presales",
        "change the pricing",
        "why did sales change?",
        "what changed in sales by month?",
        "show how sales by month was updated",
        "sales by month, and its change",
        "wie haben sich sales by month geändert",
        "",
    ],
)
def test_these_do_not(said: str) -> None:
    """A question is not a wish to change what is called like it; neither is a name that holds this one."""
    assert not names(said, *SALES)


def test_a_slug_of_several_words_is_said_on_purpose() -> None:
    assert names("Show only JFK in flights-by-carrier.", *CARRIERS)
    assert not names("flights by carrier", *CARRIERS)
    assert not names("all-flights-by-carrier and flights-by-carrier-2", *CARRIERS)


def test_names_of_any_script_are_found() -> None:
    assert names("Update 売上 please", "uriage", "売上")
    assert names("bitte „Umsätze“ ansehen", "umsaetze", "Umsätze")
    assert not names("売上は", "uriage", "売上")


@pytest.mark.parametrize(
    "said",
    [
        "yes",
        "Yes, replace it",
        "YES!",
        " ok ",
        "Ja, bitte.",
        "sí",
        "はい",
        "go ahead",
        "Replace it.",
        "да",
        "好的",
    ],
)
def test_these_say_yes(said: str) -> None:
    assert agrees(said)


@pytest.mark.parametrize(
    "said",
    [
        "no",
        "No, keep it",
        "yes, but only March",
        "do not replace it",
        "ok no",
        "please",
        "",
        "…",
        "it",
        "yes yes yes yes yes yes yes yes yes",
        "Yesterday",
        "what would change?",
    ],
)
def test_these_do_not_say_yes(said: str) -> None:
    """A condition is another wish, and what is not understood is not a yes."""
    assert not agrees(said)


@pytest.mark.parametrize("piece", ["sales ", "sales-", '"sales', "replace ", "/dash/"])
def test_a_long_message_that_nearly_names_it_does_not(piece: str) -> None:
    """As long as a message may be, and full of pieces of the name."""
    assert not names(piece * (32_000 // len(piece)), "no-such-name-here", "No such name")
