"""How fast a tool or a model may be used, as data: ``us.Rate``."""

from __future__ import annotations

import math

from msgspec import Struct

from .errors import DefinitionError

LONGEST_WINDOW = 31 * 86_400.0
"""Seconds."""

SHORTEST_WINDOW = 0.001
"""Seconds. Time is a float, and of less no part can be told from the next."""


class Rate(Struct, frozen=True, kw_only=True):
    """So much in any ``per`` seconds, of all that one journal runs.

    Attributes:
        requests: attempts that begin.
        tokens: of a model, in and out. Those of one call are known when it has ended: until then a guess is held for it, at first a tenth
            of the limit, later what recent calls took.
        usd: US dollars: what a tool says that a call costs (``us.tool(cost=…)``), what a model's answer did cost; guessed likewise.
        per: seconds of the window, wherever it begins; a thousandth at least, 31 days at most.
        wait: seconds that a call waits for its turn at most. Where that would be longer it is refused (``rate_limited``, a failure to
            retry later, which says after how long).

    Raises:
        DefinitionError: nothing is limited, or a number is none, not above 0, or no whole one.
    """

    requests: int | None = None
    tokens: int | None = None
    usd: float | None = None
    per: float = 60.0
    wait: float = 3_600.0

    def __post_init__(self) -> None:
        for name in ("requests", "tokens"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise DefinitionError(f"Rate({name}={value!r})", hint="a whole number, 1 or more")
        above_zero("Rate", "per", self.per, most=LONGEST_WINDOW)
        if self.per < SHORTEST_WINDOW:
            raise DefinitionError(f"Rate(per={self.per!r})", hint=f"{SHORTEST_WINDOW} s at least")
        if self.usd is not None:
            above_zero("Rate", "usd", self.usd)
        not_below_zero("Rate", "wait", self.wait)
        if self.requests is None and self.tokens is None and self.usd is None:
            raise DefinitionError("Rate() limits nothing", hint="say requests=, tokens= or usd=")


def spacing(given: int) -> float:
    """Seconds between two that are let out after a wait that all had, so that they do not come at once: the first ten a tenth of a
    second apart, then ever faster (a slow start: who waits in a long queue is through in a few seconds more)."""
    return 0.1 / (1.0 + given / 50.0)


def above_zero(what: str, name: str, value: object, *, most: float = math.inf) -> None:
    """A number that is finite and above 0. Raises DefinitionError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 < value <= most or value == math.inf:
        bound = "" if most == math.inf else f", {most:,.0f} at most"
        raise DefinitionError(f"{what}({name}={value!r})", hint=f"a number above 0{bound}")


def not_below_zero(what: str, name: str, value: object) -> None:
    """A number that is finite and not below 0. Raises DefinitionError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value < math.inf:
        raise DefinitionError(f"{what}({name}={value!r})", hint="a number, 0 or more")
