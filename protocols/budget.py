"""What may be spent: budgets of runs, windows of users, tenants and days, prices of models; and the accounts in the gate's books.

Money is counted in whole billionths of a US dollar (``nano``), so that sums are exact: what is reserved is rounded up, limits down.

    intended -> reserved (with the row that starts the attempt) -> charged, or given back (with the row that ends it)

An account is a line of the books: ``budget/run/<address>`` for what a run may spend, ``budget/<who>/<every>/…`` for a window. All that
a run causes draws on its account and on those of whoever caused it: they stand in the context (``Allowance``), which everything inherits.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, get_args

from msgspec import Struct
from msgspec.structs import force_setattr

from .plans import WrongField

EXHAUSTED = "budget_exhausted"
"""Code of the failure of whatever is refused because a budget has been hit; ``where`` names the budget."""

UNPRICED = "price_unknown"
"""Code of the failure of a model call whose price nobody knows, where money is limited."""

ASKS = "budget"
"""Policy of a question whether more may be spent. A yes to anything else is none to this, and none of it stands for later."""

NANO = 1_000_000_000
"""Billionths in a US dollar."""

MOST_USD = 1_000_000_000.0
MOST_TOKENS = 10**15

Rung = Literal["cheaper", "rule", "partial", "person"]
"""What an agent does when a budget is hit: ask the next model of its chain; ask a rule of its chain (``us.Rules``), which costs nothing;
end with what there is, if there is anything; ask a person whether as much again may be spent."""

LADDER: tuple[Rung, ...] = ("cheaper", "rule", "partial")
"""Where nothing else is said."""


class Budget(Struct, frozen=True, omit_defaults=True):
    """What one run may spend, with all that it causes: the workers of a team, runs begun by runs, all attempts and restarts.

    Attributes:
        usd: US dollars: model calls by their price, tool calls by their declared ``cost``. None for no limit.
        tokens: of models, in and out together. None for no limit.
        seconds: from its first step on, whatever it waits for. None for no limit.
        hit: the ladder: what an agent does when it is hit, in this order, until one can be done. At its end the run has failed with
            ``budget_exhausted``.

    Raises:
        DefinitionError: a limit is no number, negative or too large; none is given; a rung is unknown or named twice.
    """

    usd: float | None = None
    tokens: int | None = None
    seconds: float | None = None
    hit: tuple[Rung, ...] = LADDER

    def __post_init__(self) -> None:
        amounts("Budget", self.usd, self.tokens)
        number("Budget", "seconds", self.seconds, math.inf)
        if self.usd is None and self.tokens is None and self.seconds is None:
            raise WrongField("Budget() limits nothing", hint="us.Budget(usd=1.0), tokens=, seconds=")
        for name in ("usd", "seconds"):  # as they will be read again
            if isinstance(getattr(self, name), int):
                force_setattr(self, name, float(getattr(self, name)))
        hit: object = self.hit
        if isinstance(hit, list):
            force_setattr(self, "hit", tuple(hit))
        elif not isinstance(hit, tuple):
            raise WrongField(f"Budget: hit={hit!r} is no tuple of rungs", hint=f'hit=("{LADDER[0]}", "partial")')
        for rung in self.hit:
            if rung not in get_args(Rung) or self.hit.count(rung) > 1:
                raise WrongField(f"Budget: hit={self.hit!r}", hint=f"each once, of: {', '.join(get_args(Rung))}")


Per = Literal["all", "tenant", "user", "session"]
Every = Literal["hour", "day", "week", "month"]


class Spending(Struct, frozen=True, omit_defaults=True):
    """What may be spent in a window, over all runs of the journal.

    Attributes:
        per: whose window: one for ``all``, or one for each ``tenant``, ``user`` (of a tenant) or ``session`` (of a user), as tasks name
            them. Those that name none share one.
        every: how long a window is, by the calendar: ``hour``, ``day``, ``week`` (from Monday), ``month``. None for one without end.
        usd, tokens: as in ``Budget``, for each window.
        tz: time zone in which days begin, such as ``"Europe/Oslo"``.

    Raises:
        DefinitionError: an unknown word or time zone, a limit that is none, no limit at all.
    """

    per: Per = "all"
    every: Every | None = None
    usd: float | None = None
    tokens: int | None = None
    tz: str = "UTC"

    def __post_init__(self) -> None:
        amounts("Spending", self.usd, self.tokens)
        if self.usd is None and self.tokens is None:
            raise WrongField("Spending() limits nothing", hint='us.Spending(per="user", every="day", usd=5.0)')
        for name, words in (("per", get_args(Per)), ("every", (*get_args(Every), None))):
            if getattr(self, name) not in words:
                hint = f"one of: {', '.join(str(word) for word in words)}"
                raise WrongField(f"Spending: {name}={getattr(self, name)!r}", hint=hint)
        if not isinstance(self.tz, str):
            raise WrongField(f"Spending: tz={self.tz!r} is no time zone", hint='such as "UTC" or "Europe/Oslo"')


class Price(Struct, frozen=True):
    """What a model costs, where no price list knows it or you know better.

    Attributes:
        input, output: US dollars for a million tokens.

    Raises:
        DefinitionError: one is no number, or negative.
    """

    input: float
    output: float

    def __post_init__(self) -> None:
        for name in ("input", "output"):
            if getattr(self, name) is None:
                raise WrongField(f"Price: {name}=None", hint="US dollars for a million tokens, 0 or more")
            number("Price", name, getattr(self, name), MOST_USD)

    def nano(self, input: int, output: int) -> int:
        """Of so many tokens, in billionths of a dollar, rounded up."""
        return math.ceil(round((input * self.input + output * self.output) * 1_000, 6))


class Allowance(Struct, frozen=True, omit_defaults=True):
    """A budget as it stands in a context: whoever acts on its behalf draws on it.

    Attributes:
        account: its name: the address of the run to which it was given; with ``#task`` where the task brought it.
        budget: what may be spent.
    """

    account: str
    budget: Budget

    @property
    def owner(self) -> str:
        """Address of the run."""
        return self.account.partition("#")[0]


WINDOW = "window:"
"""Where the name of a window's account begins, as failures say it."""

OF_TASK = "#task"
"""At the end of the name of an account that a task brought."""


class Account(Struct, frozen=True, omit_defaults=True):
    """A line of the books: what was spent of a budget or window, and what is reserved.

    Attributes:
        began: journal time at which it was first drawn on; of a window, at which it begins.
        usd, tokens: charged, in billionths of a dollar and tokens.
        held_usd, held_tokens: reserved for what is under way.
        limit_usd, limit_tokens, seconds: what may be spent, a person's raises included; None for no limit.
        raised: how often a person let it spend as much again.
        by: the effect for which that was last.
    """

    began: float = 0.0
    usd: int = 0
    tokens: int = 0
    held_usd: int = 0
    held_tokens: int = 0
    limit_usd: int | None = None
    limit_tokens: int | None = None
    seconds: float | None = None
    raised: int = 0
    by: str = ""

    def changed(self, usd: int, tokens: int, held_usd: int, held_tokens: int) -> Account:
        """With so much charged and reserved. (``replace`` takes three times as long.)"""
        return Account(
            self.began, usd, tokens, held_usd, held_tokens, self.limit_usd, self.limit_tokens, self.seconds, self.raised, self.by
        )  # fmt: skip


class Hold(Struct, frozen=True, omit_defaults=True):
    """A line of the books while an attempt is under way: what is reserved for it.

    Attributes:
        accounts: keys of those on which it draws.
        usd, tokens: how much.
        input, answer: of a model call: the tokens that its request and its answer may have at most.
    """

    accounts: tuple[str, ...]
    usd: int = 0
    tokens: int = 0
    input: int = 0
    answer: int = 0


def nano(usd: float) -> int:
    """US dollars of a limit in billionths."""
    return math.floor(usd * NANO + 0.5)


@lru_cache(maxsize=256)
def dollars(amount: int) -> str:
    """Billionths as people read them."""
    return f"${amount / NANO:,.6f}".rstrip("0").ljust(len(f"${amount // NANO:,}.00"), "0")


def amounts(what: str, usd: object, tokens: object) -> None:
    """Limits of money and tokens, each None or a number. Raises DefinitionError."""
    number(what, "usd", usd, MOST_USD)
    whole = isinstance(tokens, int) and not isinstance(tokens, bool) and 0 <= tokens <= MOST_TOKENS
    if tokens is not None and not whole:
        raise WrongField(f"{what}: tokens={tokens!r}", hint="a whole number, 0 or more")


def number(what: str, name: str, value: object, most: float) -> None:
    """None, or a finite number from 0 up. Raises DefinitionError."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most or math.isinf(value):
        hint = "a number, 0 or more" if math.isinf(most) else f"a number from 0 to {most:,.0f}"
        raise WrongField(f"{what}: {name}={value!r}", hint=hint)


def budget(who: str, given: object) -> Budget | None:
    """A budget that somebody was given. Raises DefinitionError."""
    if given is not None and not isinstance(given, Budget):
        raise WrongField(f"{who}: budget={given!r} is no us.Budget", hint="us.Budget(usd=1.0)")
    return given
