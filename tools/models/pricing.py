"""What a model call may cost, before it is made: the tokens that a request can have at most, and the price of a model.

The number of tokens is not guessed but bounded: no tokenizer in use makes more tokens of a text than it has bytes in UTF-8 (they
are built over bytes), so every byte counts as one, and so does what a provider puts around messages and tools. For English that is about
four times too much; it is what is reserved, never what is charged.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...protocols.budget import NANO, Price
from ...protocols.model import Model, ModelRequest, Usage
from .prices import estimate

AROUND = 16
"""Tokens that a provider may put around a message, a call or a tool."""

BEFORE = 64
"""Tokens that it may put before a request."""

ANSWER = 8_192
"""Tokens that an answer may have where money or tokens are limited and neither the agent nor the model says otherwise."""

LEAST = 256
"""Tokens below which asking for an answer makes no sense."""


class Terms:
    """What it takes to ask one model.

    Attributes:
        rule: it is code of yours (``us.Rules``): it costs neither money nor tokens.
        most: tokens that its answers have at most, where it says so.
    """

    def __init__(self, name: str, model: Model | None, prices: Mapping[str, Price]) -> None:
        self.rule = getattr(model, "rule", False) is True
        most = getattr(model, "most", None)
        self.most: int | None = most if isinstance(most, int) and most > 0 else None
        price = prices.get(name, getattr(model, "price", None))
        self._price: Price | None = price if isinstance(price, Price) else None
        self._name = name

    def cost(self, input: int, output: int, name: str = "") -> int | None:
        """Of so many tokens, in billionths of a dollar; None where nobody knows. ``name``: the model that answered, as it says itself."""
        if self._price is not None:
            return self._price.nano(input, output)
        usd = estimate(self._name, Usage(input, output))
        if usd is None:
            return None
        provider = self._name.partition(":")[0]
        other = (
            estimate(f"{provider}:{name}", Usage(input, output))
            if name and not self._name.endswith(f":{name}")
            else None
        )
        return -int(-max(usd, other or 0.0) * NANO // 1)


def bound(request: ModelRequest) -> int:
    """Tokens that a request can have at most."""
    total = BEFORE + len(bytes(request.output or b""))
    for message in request.messages:
        total += AROUND + len(message.text.encode(errors="replace")) + len(message.name) * 4
        for call in message.calls:
            total += AROUND + len(call.id) * 4 + len((call.name + call.arguments).encode(errors="replace"))
    for offer in request.tools:
        total += (
            AROUND * 4 + len((offer.name + offer.description).encode(errors="replace")) + len(bytes(offer.parameters))
        )
    return total
