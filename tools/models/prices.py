"""What a request costs, from the price lists of `genai-prices` (extra ``prices``), offline.

A price that is not known is None and never zero: whoever has to keep a money budget refuses what has no price.
"""

from __future__ import annotations

from functools import lru_cache

from ...protocols.model import Usage


def estimate(model: str, usage: Usage) -> float | None:
    """US dollars for this usage at list price.

    Args:
        model: ``provider:name``, as ``openai:gpt-5-mini``; a dated name such as ``openai:gpt-5-mini-2025-08-07`` is
            found too.
        usage: the tokens. Those read from a provider's cache are not told apart, so this is never too low for them.

    Returns:
        None where the model or its price is unknown, or the library is not installed.
    """
    try:
        return _priced(model, usage.input_tokens, usage.output_tokens)
    except (ImportError, LookupError, ValueError):
        return None


@lru_cache(maxsize=1)
def load() -> None:
    """Read the price lists, which takes a third of a second, before anybody waits for them; nothing where they are not installed."""
    estimate("openai:gpt-5-mini", Usage(1, 1))


@lru_cache(maxsize=4_096)
def _priced(model: str, input_tokens: int, output_tokens: int) -> float:
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    provider, _, name = model.partition(":")
    tokens = Tokens(input_tokens=input_tokens, output_tokens=output_tokens)
    return float(calc_price(tokens, model_ref=name, provider_id=provider).total_price)
