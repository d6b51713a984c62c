"""What a model call costs, by a maintained catalogue of prices (the package genai-prices).

The vendor counts four kinds of input and each has its own rate: fresh, read from the cache (a tenth),
written for five minutes (1.25 times) and for an hour (twice). A catalogue that lacks the rate of a kind
that was used gives no price: a guess in a ledger is worse than a gap.
"""

from __future__ import annotations

from decimal import Decimal

from shared.agents.protocol.model import Price, Request, Usage

_PLACES = Decimal("0.000001")
_CHARACTERS_A_TOKEN = 3
"""Fewer than any vendor's average, so that an estimate is rather too high."""


def price(provider: str, model: str, usage: Usage, *, free: bool = False) -> Price:
    """Dollars for one call; None with a warning where the model has no price. `free` is for what runs here."""
    if free:
        return Price(Decimal(0))
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    written = usage.cache_write_5m + usage.cache_write_1h
    tokens = Tokens(
        # The catalogue wants the whole input and, as parts of it, what was read and written.
        input_tokens=usage.fresh_input + usage.cache_read + written,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=written,
        cache_write_1h_tokens=usage.cache_write_1h,
        output_tokens=usage.output,
    )
    try:
        found = calc_price(tokens, model_ref=model, provider_id=provider)
    except LookupError:
        return Price(None, f"The price of {model} is not known; this call's cost is not counted.")
    rates = found.model_price
    for used, rate in (
        (usage.cache_read, "cache_read_mtok"),
        (usage.cache_write_5m, "cache_write_mtok"),
        (usage.cache_write_1h, "cache_write_1h_mtok"),
    ):
        if used and getattr(rates, rate, None) is None:
            return Price(
                None, f"The catalogue has no {rate} rate for {model}; this call's cost is not counted."
            )
    return Price(found.total_price.quantize(_PLACES))


def most(provider: str, request: Request) -> Decimal | None:
    """What a call may cost at the most: all input fresh, all output used. None where no price is known."""
    characters = sum(len(block.text) for block in request.system)
    characters += len(repr(request.messages)) + len(repr(request.tools))
    usage = Usage(fresh_input=-(-characters // _CHARACTERS_A_TOKEN), output=request.max_tokens)
    return price(provider, request.model, usage).cost_usd
