"""What a model call costs, by a maintained catalogue of prices (the package genai-prices).

The vendor counts four kinds of input and each has its own rate: fresh, read from the cache (a tenth),
written for five minutes (1.25 times) and for an hour (twice). A model that the catalogue does not know, or
knows without a price, is not called: no budget would bind (`require`). A catalogue that lacks the rate of a
kind that was used gives no price, since a guess in a ledger is worse than a gap; the budgets then count what
the vendor's dearest model would have cost.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Any

from shared.agents.protocol.model import Price, Provider, Request, Usage
from shared.platform import clock
from shared.platform.errors import ValidationFailed

_PLACES = Decimal("0.000001")
_CHARACTERS_A_TOKEN = 3
"""Fewer than any vendor's average, so that an estimate is rather too high."""
_RATES = {
    "fresh_input": "input_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write_5m": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "output": "output_mtok",
}
"""The rate of each kind of token, as the catalogue names it."""
_SURE = ("input_mtok", "output_mtok")
"""Rates without which a model has no price: every call uses these kinds."""


def vendor_of(provider: Provider) -> str:
    """Whose prices a provider's models have."""
    return str(getattr(provider, "vendor", provider.name))


def require(vendor: str, model: str) -> None:
    """Raise ValidationFailed for a model of the vendor whose price is not known, or is nothing."""
    rates = _rates(vendor, model)
    if rates is None or not all(_is_positive(getattr(rates, name, None)) for name in _SURE):
        raise ValidationFailed(
            f"The price of the model {model!r} of {vendor} is not known, so no budget would bind it; "
            "choose another.",
            field="model",
            reason="no known price",
        )


def price(vendor: str, model: str, usage: Usage, *, free: bool = False) -> Price:
    """Dollars for one call; None with a warning where the model has no price. `free` is for what runs here."""
    if free:
        return Price(Decimal(0), Decimal(0))
    rates = _rates(vendor, model)
    if rates is None:
        warning = f"The price of {model} is not known; this call's cost is not counted."
        return Price(None, _dearest(vendor, usage), warning)
    if missing := _missing(rates, usage):
        warning = f"The catalogue has no {missing} rate for {model}; this call's cost is not counted."
        return Price(None, _dearest(vendor, usage), warning)
    cost = _cost(rates, usage)
    return Price(cost, cost)


def most(vendor: str, request: Request) -> Decimal:
    """What a call may cost at the most: all input at its dearest rate, all output used.

    By the dearest model of the vendor where the catalogue lacks a rate. Raises ValidationFailed for a model
    without a price.
    """
    require(vendor, request.model)
    characters = sum(len(block.text) for block in request.system)
    characters += len(repr(request.messages)) + len(repr(request.tools))
    tokens, output = -(-characters // _CHARACTERS_A_TOKEN), request.max_tokens
    ways = [
        Usage(fresh_input=tokens, output=output),
        Usage(cache_write_5m=tokens, output=output),
        Usage(cache_write_1h=tokens, output=output),
    ]
    return max(price(vendor, request.model, usage).at_most for usage in ways)


def _rates(vendor: str, model: str) -> Any | None:
    """The model's rates now, or None where the vendor has no such model."""
    provider = _vendor(vendor)
    found = None if provider is None else provider.find_model(model)
    return None if found is None else found.get_prices(clock.now())


def _dearest(vendor: str, usage: Usage) -> Decimal:
    """What this usage would have cost with the vendor's dearest model."""
    provider = _vendor(vendor)
    rates = [] if provider is None else [found.get_prices(clock.now()) for found in provider.models]
    return max((_cost(one, usage) for one in rates if not _missing(one, usage)), default=Decimal(0))


@lru_cache(maxsize=8)
def _vendor(name: str) -> Any | None:
    """The vendor's part of the catalogue. Not by the package's own search, which remembers every name it was
    asked for.
    """
    from genai_prices.data import providers
    from genai_prices.data_snapshot import find_provider_by_id

    return find_provider_by_id(providers, name)


def _missing(rates: Any, usage: Usage) -> str | None:
    """A rate that the usage needs and the catalogue lacks."""
    return next(
        (
            rate
            for kind, rate in _RATES.items()
            if getattr(usage, kind) and getattr(rates, rate, None) is None
        ),
        None,
    )


def _cost(rates: Any, usage: Usage) -> Decimal:
    from genai_prices import Usage as Tokens

    written = usage.cache_write_5m + usage.cache_write_1h
    tokens = Tokens(
        # The catalogue wants the whole input and, as parts of it, what was read and written.
        input_tokens=usage.fresh_input + usage.cache_read + written,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=written,
        cache_write_1h_tokens=usage.cache_write_1h,
        output_tokens=usage.output,
    )
    return Decimal(rates.calc_price(tokens)["total_price"]).quantize(_PLACES)


def _is_positive(rate: Any) -> bool:
    """Whether a rate asks for money, also beyond its tiers."""
    if rate is None:
        return False
    tiers = [tier.price for tier in getattr(rate, "tiers", ())]
    return all(amount > 0 for amount in (getattr(rate, "base", rate), *tiers))
