"""Which models have a price, and what counts where a part of one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from shared.agents.cost import pricing
from shared.agents.protocol.model import Message, Request, SystemBlock, Text, Usage
from shared.agents.providers import choose
from shared.platform import settings as module
from shared.platform.errors import ValidationFailed
from tests.shared.platform.test_settings import GOOD

SONNET = "claude-sonnet-4-5"


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A deployment with a key of Anthropic's, and more where a test says so."""

    def configure(**more: str) -> None:
        for name, value in (GOOD | {"ANTHROPIC_API_KEY": "sk-0"} | more).items():
            monkeypatch.setenv(name, value)
        module.settings.cache_clear()

    configure()
    yield configure
    module.settings.cache_clear()


@pytest.mark.parametrize(
    "model",
    [SONNET, "claude-sonnet-4-5-20250929", "claude-3-5-sonnet-latest", "claude-opus-4-1", "claude-haiku-4-5"],
)
def test_a_model_with_a_price_is_chosen_by_each_of_its_names(configured: Any, model: str) -> None:
    """Its own, one with a date, one that means the latest."""
    assert choose.chosen("anthropic", model) == ("anthropic", model)


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4",
        "gpt-4o",
        "openai/gpt-4",
        "anthropic/claude-sonnet-4-5",
        "openrouter/anthropic/claude-sonnet-4-5",
        "gemini-2.5-pro",
        "claude-of-tomorrow-99",
        "claude",
        "llama-3.3-70b-versatile:free",
        "m",
    ],
)
def test_a_model_without_a_price_is_refused_when_it_is_chosen(configured: Any, model: str) -> None:
    """Another vendor's, a router's name for it, an invented one: with the field and the reason."""
    with pytest.raises(ValidationFailed) as refused:
        choose.chosen("anthropic", model)
    assert (refused.value.status, refused.value.field, refused.value.reason) == (
        400,
        "model",
        "no known price",
    )
    with pytest.raises(ValidationFailed):
        choose.chosen(None, model)


def test_a_default_model_without_a_price_is_refused_too(configured: Any) -> None:
    """Nobody named it, and it would cost as much."""
    configured(BRIDGE_DEFAULT_MODEL="gpt-4")
    with pytest.raises(ValidationFailed, match="gpt-4"):
        choose.chosen(None, None)
    assert choose.chosen("builtin", None) == ("builtin", "analyst-1")


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A vendor whose models' rates the test says."""
    from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice, Provider

    def sells(**models: dict[str, Any]) -> None:
        found = [
            ModelInfo(id=name, match=ClauseEquals(name), prices=ModelPrice(**rates))
            for name, rates in models.items()
        ]
        vendor = Provider(id="vendor", name="Vendor", api_pattern="x", models=found)
        monkeypatch.setattr(pricing, "_vendor", lambda name: vendor if name == "vendor" else None)

    return sells


def test_a_price_of_nothing_is_no_price(catalogue: Any) -> None:
    """An entry that asks for no money binds no budget, wherever the nothing stands."""
    from genai_prices.types import Tier, TieredPrices

    one = Decimal(1)
    catalogue(
        paid={"input_mtok": one, "output_mtok": one},
        free={"input_mtok": Decimal(0), "output_mtok": Decimal(0)},
        half={"input_mtok": one, "output_mtok": Decimal(0)},
        silent={"input_mtok": one},
        empty={},
        later={
            "input_mtok": TieredPrices(base=one, tiers=[Tier(start=9, price=Decimal(0))]),
            "output_mtok": one,
        },
    )
    pricing.require("vendor", "paid")
    for model in ("free", "half", "silent", "empty", "later"):
        with pytest.raises(ValidationFailed):
            pricing.require("vendor", model)


def test_what_the_catalogue_can_not_price_counts_as_the_vendors_dearest(catalogue: Any) -> None:
    """The ledger says nothing, the budgets are told the most that it can have been."""
    full = {
        "input_mtok": 1,
        "output_mtok": 2,
        "cache_write_mtok": 5,
        "cache_write_1h_mtok": 8,
        "cache_read_mtok": 1,
    }
    dear = {name: Decimal(10 * rate) for name, rate in full.items()}
    catalogue(
        bare={"input_mtok": Decimal(1), "output_mtok": Decimal(2)},
        cheap={name: Decimal(rate) for name, rate in full.items()},
        dear=dear,
    )
    plain = pricing.price("vendor", "bare", Usage(fresh_input=1_000_000, output=500_000))
    assert (plain.cost_usd, plain.at_most, plain.warning) == (Decimal(2), Decimal(2), None)
    written = pricing.price("vendor", "bare", Usage(cache_write_1h=1_000_000))
    assert (written.cost_usd, written.at_most) == (None, Decimal(80))
    assert "cache_write_1h_mtok" in str(written.warning)
    unknown = pricing.price("vendor", "nope", Usage(output=1_000_000))
    assert (unknown.cost_usd, unknown.at_most) == (None, Decimal(20))


def test_a_promise_is_as_dear_as_a_call_can_be(catalogue: Any) -> None:
    """Every token of the input may be written to the cache, at twice its price; and by the dearest, where no
    rate is.
    """
    rates = {"input_mtok": Decimal(1), "output_mtok": Decimal(0) + 1, "cache_write_mtok": Decimal(2)}
    catalogue(
        own=rates | {"cache_write_1h_mtok": Decimal(4), "cache_read_mtok": Decimal(1)},
        bare={"input_mtok": Decimal(1), "output_mtok": Decimal(1)},
    )
    text = "word " * 60_000
    for model in ("own", "bare"):
        request = Request(
            model, (SystemBlock("s", text),), (Message("user", (Text("hi"),)),), (), max_tokens=1_000
        )
        input_tokens = -(-(len(text) + len(repr(request.messages)) + len(repr(()))) // 3)
        assert pricing.most("vendor", request) == (Decimal(input_tokens * 4 + 1_000) / 1_000_000).quantize(
            Decimal("0.000001")
        )


def test_prices_are_asked_for_without_remembering_every_name(configured: Any) -> None:
    """Names come from people: what is kept for each of them would grow for ever."""
    from genai_prices.data_snapshot import get_snapshot

    before = len(get_snapshot()._provider_cache) + len(get_snapshot()._provider_misses)
    for number in range(50):
        with pytest.raises(ValidationFailed):
            choose.chosen("anthropic", f"made-up-{number}")
    assert len(get_snapshot()._provider_cache) + len(get_snapshot()._provider_misses) == before
