"""The accounts on which an effect draws, as they stand in the gate's books: those of the runs that caused it, and the windows of whoever it
is done for. A window that is over begins anew: what was charged is gone, what is reserved still counts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from urllib.parse import quote

import msgspec
from msgspec import Struct

from ..protocols.books import Books
from ..protocols.budget import WINDOW, Account, Every, Rung, Spending, dollars, nano
from ..protocols.envelope import Context
from ..protocols.errors import DefinitionError

RUN = "budget/run/"
"""Keys of what runs may spend, by account."""


class Drawn(Struct):
    """One account, as one decision sees it.

    Attributes:
        key: in the books.
        name: as failures say it (``where``).
        whom: of a window, whose it is.
        stood: as it stands in the books; None where nothing was drawn on it yet.
        account: the same in the window of now, with the limits that count now.
        usd, tokens: the limits without what a person gave.
        hit: the ladder; empty for windows.
    """

    key: str
    name: str
    whom: str
    stood: Account | None
    account: Account
    usd: int | None
    tokens: int | None
    hit: tuple[Rung, ...] = ()

    @property
    def label(self) -> str:
        """As people read it."""
        return f"the {self.whom}" if self.whom else f"the budget of {self.name.partition('#')[0]}"

    def fits(self, usd: int, tokens: int) -> bool:
        """Whether so much can be reserved. Nothing always can."""
        a = self.account
        if usd and a.limit_usd is not None and a.usd + a.held_usd + usd > a.limit_usd:
            return False
        return not tokens or a.limit_tokens is None or a.tokens + a.held_tokens + tokens <= a.limit_tokens

    def would_fit(self, usd: int, tokens: int) -> bool:
        """Whether so much could, if all that is reserved now were given back."""
        a = self.account
        if usd and a.limit_usd is not None and a.usd + usd > a.limit_usd:
            return False
        return not tokens or a.limit_tokens is None or a.tokens + tokens <= a.limit_tokens

    def raised(self, effect: str) -> Drawn:
        """The same after a person let it spend as much again, for this effect."""
        a = self.account
        more = msgspec.structs.replace(
            a,
            limit_usd=None if a.limit_usd is None or self.usd is None else a.limit_usd + self.usd,
            limit_tokens=None if a.limit_tokens is None or self.tokens is None else a.limit_tokens + self.tokens,
            raised=a.raised + 1,
            by=effect,
        )
        return msgspec.structs.replace(self, account=more)

    def limits(self) -> str:
        """What may be spent, without what a person gave."""
        money = [dollars(self.usd)] if self.usd is not None else []
        return ", ".join(money + ([f"{self.tokens:,} tokens"] if self.tokens is not None else []))

    def stands(self) -> str:
        """What is spent and reserved of what, in words."""
        return stands(self.account)


def stands(a: Account) -> str:
    """What is spent and reserved of what, in words."""
    parts: list[str] = []
    if a.limit_usd is not None:
        held = f", {dollars(a.held_usd)} reserved" if a.held_usd else ""
        parts.append(
            f"{dollars(a.usd)} of {dollars(a.limit_usd)} spent{held}, {dollars(max(0, a.limit_usd - a.usd - a.held_usd))} left"
        )
    if a.limit_tokens is not None:
        held = f", {a.held_tokens:,} reserved" if a.held_tokens else ""
        left = max(0, a.limit_tokens - a.tokens - a.held_tokens)
        parts.append(f"{a.tokens:,} of {a.limit_tokens:,} tokens spent{held}, {left:,} left")
    return "; ".join(parts)


def drawn(spending: Iterable[Spending], context: Context, books: Books, now: float) -> list[Drawn]:
    """All accounts on which something done in this context draws."""
    found: list[Drawn] = []
    for allowance in context.budgets:
        budget = allowance.budget
        usd, tokens = None if budget.usd is None else nano(budget.usd), budget.tokens
        stood = books.read(RUN + allowance.account, Account)
        account = _limited(stood or Account(now), usd, tokens, budget.seconds)
        found.append(Drawn(RUN + allowance.account, allowance.account, "", stood, account, usd, tokens, budget.hit))
    for window in spending:
        name, label = whose(window, context)
        usd, tokens = None if window.usd is None else nano(window.usd), window.tokens
        key = f"budget/{name}"
        stood, began = books.read(key, Account), begins(window.every, window.tz, now)
        account = stood or Account(began)
        if account.began < began:
            account = Account(began, held_usd=account.held_usd, held_tokens=account.held_tokens)
        found.append(Drawn(key, WINDOW + name, label, stood, _limited(account, usd, tokens, None), usd, tokens))
    return found


def _limited(account: Account, usd: int | None, tokens: int | None, seconds: float | None) -> Account:
    """With the limits that count now: those that are declared, as often again as a person said."""
    times = 1 + account.raised
    usd = None if usd is None else usd * times
    tokens = None if tokens is None else tokens * times
    if account.limit_usd == usd and account.limit_tokens == tokens and account.seconds == seconds:
        return account
    return msgspec.structs.replace(account, limit_usd=usd, limit_tokens=tokens, seconds=seconds)


def whose(window: Spending, context: Context) -> tuple[str, str]:
    """The name of a window's account (without ``budget/``), and how people read it."""
    parts = (context.tenant, context.user, context.session)[: _PARTS[window.per]]
    every = window.every or "ever"
    label = f"{window.per} {parts[-1] or '(none)'}" if parts else "everybody"
    how = f"of each {window.every}" if window.every else "in all"
    return "/".join((window.per, every, *(quote(p, safe="") for p in parts))), f"spending of {label} {how}"


_PARTS = {"all": 0, "tenant": 1, "user": 2, "session": 3}


def begins(every: Every | None, tz: str, now: float) -> float:
    """Journal time at which the window began that is now; 0 for one without end."""
    if every is None:
        return 0.0
    local = datetime.fromtimestamp(now, _zone(tz))
    into = local.minute * 60 + local.second + local.microsecond / 1e6
    local = local.replace(minute=0, second=0, microsecond=0)
    if (
        every == "hour"
    ):  # where clocks were put forward in the middle of an hour, its beginning was not, or is still to come
        began = local.timestamp()
        return began if began <= now else round(now - into, 3)
    local = local.replace(hour=0, fold=0)
    if every == "week":
        local -= timedelta(days=local.weekday())
    elif every == "month":
        local = local.replace(day=1)
    return local.timestamp()


@lru_cache(maxsize=64)
def _zone(tz: str) -> tzinfo:
    """Raises KeyError, ValueError or OSError where there is no such zone."""
    if tz == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # most systems never need it

    return ZoneInfo(tz)


def check_windows(spending: object) -> tuple[Spending, ...]:
    """Windows that a system was given. Raises DefinitionError: one is none, names no time zone, or is there twice."""
    if isinstance(spending, Spending):
        spending = (spending,)
    if not isinstance(spending, (list, tuple)):
        raise DefinitionError(f"spending={spending!r}", hint='[us.Spending(per="user", every="day", usd=5.0)]')
    windows: tuple[Spending, ...] = tuple(spending)  # pyright: ignore[reportUnknownArgumentType]
    for window in windows:
        if not isinstance(window, Spending):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DefinitionError(f"spending: {window!r} is no us.Spending", hint='us.Spending(every="day", usd=5.0)')
        try:
            _zone(window.tz)
        except (KeyError, ValueError, OSError) as error:
            raise DefinitionError(f"Spending: tz={window.tz!r} is no time zone", hint='such as "UTC"') from error
    if len({(w.per, w.every) for w in windows}) < len(windows):
        raise DefinitionError("spending: two windows of one kind", hint="one for each per= and every=")
    return windows
