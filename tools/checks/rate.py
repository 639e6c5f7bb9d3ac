"""Rate: how fast a tool or model is used by all that one journal runs, and that it is left alone when it asks for it.

Two rules over one entry of the books for each name (``rate/<name>``), each pure arithmetic over journal time:

* **The window.** Of what a ``us.Rate`` limits, no window of ``per`` seconds has more. Time is cut into slices of a 32nd of it; an attempt
  counts in the slice of its start and may begin one slice late, so what lies in the last 34 slices is never more than the limit.
* **The hint.** A failure that says ``after`` (Retry-After) holds for everybody: until then nobody begins, afterwards they come one by one.

Who must wait is given a turn, behind those who wait already: the entry says when the last turn is, the effect waits until its own
(``due``), and begins then without asking again, unless another hint came or it is late, because the process was down.
A name without a ``us.Rate`` has no entry, and costs nothing, until a hint comes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from ...protocols.codec import decode
from ...protocols.effects import PERSON, THINK, Effect
from ...protocols.failures import Failure
from ...protocols.model import Usage
from ...protocols.rates import Rate, spacing
from ...protocols.verdicts import Verdict
from ..ledger import PATIENCE
from ..starting import Ending, Starting
from .case import Ruling, allow, deny
from .waiting import wait_or_not

CHECK = "rate"

SLICES = 32

CALM = 1.0
"""Seconds without anybody in the queue after which a hint is forgotten."""

WAIT = 3_600.0
"""Seconds that a call waits because of a hint at most, where no ``us.Rate`` says otherwise."""

SWEEP = 64
"""Every so many turns it is looked whether somebody left the queue for good."""


class Window(Struct, omit_defaults=True):
    """The entry of one name.

    Attributes:
        until: journal time before which nobody begins.
        tail: the last turn that was given.
        given: turns given since the last hint.
        spent: requests, tokens and dollars by slice, the oldest first.
        tokens, usd: the guess for one call; negative where there is none yet.
    """

    until: float = 0.0
    tail: float = 0.0
    given: int = 0
    spent: list[tuple[int, int, float, float]] = []
    tokens: float = -1.0
    usd: float = -1.0


class Held(Struct, omit_defaults=True):
    """What is held for a call whose tokens and price are not known yet (``slot/<effect>``); ``due``: its turn."""

    name: str
    slice: int
    tokens: float = 0.0
    usd: float = 0.0
    due: float = 0.0


class _Answer(Struct):
    """What of a model's answer says what it took."""

    usage: Usage = Usage()
    cost: float | None = None


class RateCheck:
    """The check.

    Args:
        rates: what was declared, by name of the tool or model.
        alone: names of what workers do. A task that asks for time (``us.RetryLater(after=…)``) speaks for itself there, unless a
            rate is declared: others are other tasks, not other calls of one server.
    """

    name = CHECK

    def __init__(self, rates: Mapping[str, Rate], alone: frozenset[str] = frozenset()) -> None:
        self._rates, self._alone = rates, alone - rates.keys()

    def concerns(self, effect: Effect) -> bool:
        """Everything that goes out: a hint may come from anybody."""
        return effect.verb != PERSON

    def start(self, starting: Starting) -> Ruling:
        """Let it begin, give it a turn, or refuse it."""
        effect, now, books = starting.effect, starting.now, starting.books
        limit = self._rates.get(effect.name)
        window = books.read(f"rate/{effect.name}", Window)
        if window is None:
            if limit is None:
                return allow(CHECK)
            window = Window()
        turn = _turn(effect)
        late = turn is not None and _is_late(turn, now, limit)
        if turn is not None and not late and now >= window.until:
            if limit is not None:  # a row says that the turn is used, so that nobody begins twice on it
                books.write(f"rate/{effect.name}", window)
            return allow(CHECK, "its turn has come")
        queued = window.tail > now
        hinted = late or now < window.until or (window.until > 0.0 and now < max(window.until, window.tail) + CALM)
        if limit is None and not hinted and not queued:
            return allow(CHECK)
        earliest = max(now, window.until)
        if hinted or queued:
            earliest = max(earliest, window.tail + _gap(window, limit))
        if (never := _never(starting, limit)) is not None:
            return never
        wants = _wants(starting, window, limit)
        place, at = (0, earliest) if limit is None else _fit(window, limit, earliest, wants)
        ruling = allow(CHECK)
        if at > now:
            longest = WAIT if limit is None else limit.wait
            ruling = wait_or_not(CHECK, starting, at, longest, "rate_limited", _why(starting, window))
            if ruling.due is None:
                return ruling
        if at > now or hinted:
            window.tail, window.given = at, window.given + 1
        if limit is not None:
            _spend(window, place, wants)
            if effect.verb == THINK and (limit.tokens is not None or limit.usd is not None):
                books.write(f"slot/{effect.id}", Held(effect.name, place, wants[1], wants[2], at))
                if window.given % SWEEP == SWEEP - 1:
                    _sweep(starting)
        books.write(f"rate/{effect.name}", window)
        return ruling

    def book(self, ending: Ending) -> tuple[Verdict, ...]:
        """An attempt has ended: whether all are to wait, and what it really took."""
        effect, attempt, books = ending.effect, ending.attempt, ending.books
        failure = attempt.failure if attempt is not None else None
        asks = failure is not None and failure.kind == "retry_later" and effect.name not in self._alone
        hint = failure.after if failure is not None and asks else None
        held = books.read(f"slot/{effect.id}", Held) if effect.verb == THINK and self._rates else None
        if held is None and not hint:
            return ()
        key = f"rate/{effect.name}"
        window = books.read(key, Window) or Window()
        if hint and math.isfinite(hint) and hint > 0.0:
            until = ending.now + min(hint, PATIENCE)
            if until > window.until:
                window.until, window.given = until, 0
        if held is not None:
            books.strike(f"slot/{effect.id}")
            if attempt is not None and attempt.value is not None:
                _put_right(window, held, attempt.value, self._rates.get(effect.name))
        books.write(key, window)
        return ()


def _turn(effect: Effect) -> float | None:
    """The turn that it was given and waits for; None where it was given none."""
    last = effect.verdicts[-1] if effect.verdicts else None
    if effect.due is None or last is None or last.check != CHECK or last.verdict != "wait":
        return None
    return effect.due


def _is_late(turn: float, now: float, limit: Rate | None) -> bool:
    """Whether a turn has gone by: what was counted for it belongs to another window."""
    if limit is None:
        return now > turn + CALM
    width = limit.per / SLICES
    return now >= (math.floor(turn / width) + 2) * width


def _gap(window: Window, limit: Rate | None) -> float:
    if limit is not None and limit.requests is not None:
        return min(1.0, limit.per / (2 * limit.requests))
    return spacing(window.given)


def _wants(starting: Starting, window: Window, limit: Rate | None) -> tuple[int, float, float]:
    """What is held for it: one request, and its tokens and dollars as far as anybody knows. Never more than the whole limit: then it
    goes alone."""
    if limit is None:
        return 1, 0.0, 0.0
    tokens = usd = 0.0
    if limit.tokens is not None:
        tokens = min(float(limit.tokens), window.tokens if window.tokens >= 0.0 else limit.tokens / 10.0)
    if limit.usd is not None:
        guess = window.usd if window.usd >= 0.0 else limit.usd / 10.0
        usd = min(limit.usd, guess if starting.tool is None else starting.tool.spec.cost)
    return 1, tokens, usd


def _fit(window: Window, limit: Rate, earliest: float, wants: tuple[int, float, float]) -> tuple[int, float]:
    """The first slice from a time on in which there is room, and the time in it."""
    width = limit.per / SLICES
    place = math.floor(earliest / width)
    while True:
        inside = [spent for spent in window.spent if spent[0] >= place - SLICES - 1]
        if not inside or _has_room(inside, limit, wants):
            return place, max(earliest, place * width)
        place = inside[0][0] + SLICES + 2  # then the oldest is out


def _has_room(inside: list[tuple[int, int, float, float]], limit: Rate, wants: tuple[int, float, float]) -> bool:
    for at, bound in ((1, limit.requests), (2, limit.tokens), (3, limit.usd)):
        if bound is not None and sum([spent[at] for spent in inside]) + wants[at - 1] > bound * (1.0 + 1e-9):
            return False
    return True


def _spend(window: Window, place: int, wants: tuple[int, float, float]) -> None:
    """Count it, and forget what no later turn will ask for: turns are given in order."""
    spent = [one for one in window.spent if one[0] >= place - SLICES - 1]
    if spent and spent[-1][0] == place:
        _, requests, tokens, usd = spent.pop()
        wants = (requests + wants[0], tokens + wants[1], usd + wants[2])
    window.spent = [*spent, (place, *wants)]


def _put_right(window: Window, held: Held, value: bytes, limit: Rate | None) -> None:
    """What it took instead of what was guessed. What nobody says, or says wrongly, stays as it was guessed. Nothing is guessed to take
    more than a whole window, or one answer with a number too large would slow down many after it."""
    try:
        answer: _Answer = decode(value, _Answer)
    except msgspec.DecodeError:
        return
    took = float(answer.usage.input_tokens + answer.usage.output_tokens)
    tokens = took if took > 0.0 else held.tokens
    usd = answer.cost if answer.cost is not None and 0.0 <= answer.cost < math.inf else held.usd
    most = (limit.tokens, limit.usd) if limit is not None else (None, None)
    window.tokens, window.usd = _guess(window.tokens, tokens, most[0]), _guess(window.usd, usd, most[1])
    window.spent = [
        (s, r, max(0.0, t + tokens - held.tokens), max(0.0, u + usd - held.usd)) if s == held.slice else (s, r, t, u)
        for s, r, t, u in window.spent
    ]


def _guess(before: float, took: float, most: float | None) -> float:
    """As much as the last one took, or a little less than one before it took."""
    took = took if most is None else min(took, float(most))
    return max(took, 0.9 * before + 0.1 * took)


def _never(starting: Starting, limit: Rate | None) -> Ruling | None:
    """Refused where a call costs more than a whole window has, as an older version of a tool may."""
    cost = starting.tool.spec.cost if starting.tool is not None else 0.0
    if limit is None or limit.usd is None or cost <= limit.usd:
        return None
    name = starting.effect.name
    why = f"one call of {name} costs {cost:g} USD, more than the {limit.usd:g} that any {limit.per:g} s may have"
    return deny(CHECK, Failure("abandon", "rate_too_small", why, "us.System(rates=…) says how much", where=name))


def _sweep(starting: Starting) -> None:
    """Strike out what is held for those that never began: their actor has ended. (After a day nobody's turn is still to come.)"""
    books = starting.books
    for key in list(books.under("slot/")):
        held = books.read(key, Held)
        if held is not None and held.due < starting.now - PATIENCE:
            books.strike(key)


def _why(starting: Starting, window: Window) -> str:
    name, now = starting.effect.name, starting.now
    if now < window.until:
        return f"{name} asked to be left alone for another {window.until - now:.3g} s"
    return f"{name} is used as fast as it may be" + (", others wait before this" if window.tail > now else "")
