"""Which providers this deployment has: Anthropic where a key is configured, the built-in one always."""

from __future__ import annotations

from functools import lru_cache

from shared.agents.cost import pricing
from shared.agents.providers.anthropic import Anthropic
from shared.platform.cloud import secrets
from shared.platform.errors import ValidationFailed
from shared.platform.settings import settings

BUILTIN = "builtin"
BUILTIN_MODEL = "analyst-1"


@lru_cache(maxsize=1)
def configured() -> Anthropic | None:
    """The Anthropic adapter, or None without a key. The key may be a reference into Secret Manager."""
    config = settings()
    if config.anthropic_api_key is None:
        return None
    return Anthropic(secrets.resolve(config.anthropic_api_key), config.anthropic_base_url)


def chosen(provider: str | None, model: str | None) -> tuple[str, str]:
    """The provider and model of a new session.

    Raises ValidationFailed for one that is not there, and for a model without a known price.
    """
    has_key = settings().anthropic_api_key is not None
    available = ["anthropic", BUILTIN] if has_key else [BUILTIN]
    name = provider or available[0]
    if name not in available:
        raise ValidationFailed(
            f"The provider {name!r} is not configured here; choose one of: {', '.join(available)}.",
            field="provider",
            reason="not configured",
        )
    if name == BUILTIN:
        if model not in (None, BUILTIN_MODEL):
            raise ValidationFailed(
                f"The built-in provider has one model, {BUILTIN_MODEL!r}.",
                field="model",
                reason="unknown model",
            )
        return name, BUILTIN_MODEL
    wanted = model or settings().default_model
    pricing.require(name, wanted)
    return name, wanted
