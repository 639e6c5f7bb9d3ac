"""Breaker: what fails is left alone for a while, and then tried with one call before all come again.

    closed --failures--> open --cooldown--> half-open --the probe went well--> closed
                           ^                    |
                           +---- it failed -----+   (twice as long, up to a bound)

One entry of the books for each name in trouble (``breaker/<name>``); without one it is closed, and nothing is written. The entry says
which effect is the probe, so there is one under any concurrency; a probe that the end of the process cut off gives its place back.

What counts as a failure: what may go better at another time (``retry_now``, ``retry_later``), a timeout or silence, an exception that
nobody declared, and what is slower than declared. Not: wrong arguments and refusals (it works, it says no), being asked to wait (that is
``rate``), and what is ours: a cancel, a lease that is not to be had, an earlier attempt still running, the end of the process.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from ...protocols.breakers import Breaker
from ...protocols.effects import PERSON, Attempt, Effect
from ...protocols.verdicts import Verdict
from ..starting import Ending, Starting
from .case import Ruling, allow
from .waiting import spacing, wait_or_not

CHECK = "breaker"

PROBES = ("read", "idempotent")
"""Classes of effects that may be the probe without saying so."""

BREAKER = Breaker()
"""Of what nothing is declared for, where its calls may run again."""

OURS = frozenset({"cancelled", "still_running", "interrupted", "no_process", "no_such_tool", "no_such_model"})
"""Codes of failures that say nothing about the other side."""

LOST = 3_600.0
"""Seconds beyond its timeout after which a probe of which nobody has heard is given up: it belongs to nobody any more."""


class Trouble(Struct, omit_defaults=True):
    """The entry of one name.

    Attributes:
        since: when the window began.
        failed, ended: failures in it; attempts that ended since a quarter of them were there, and the failures before.
        until: it is open until then; 0 while it is closed.
        opened: how often in a row it was opened.
        probe, attempt, begun: the effect that tries whether it works, which attempt of it, and since when; empty for none.
        tail, given: the last time given to one that waits, and how many were.
    """

    since: float
    failed: int = 0
    ended: int = 0
    until: float = 0.0
    opened: int = 0
    probe: str = ""
    attempt: int = 0
    begun: float = 0.0
    tail: float = 0.0
    given: int = 0


class BreakerCheck:
    """The check.

    Args:
        breakers: what was declared, by name of the tool or model; None for one that has none.
        spared: models after which an agent has another one, by agent.
        alone: names of what workers do; they have a breaker only where one is declared: their tasks have little in common.
    """

    name = CHECK

    def __init__(
        self,
        breakers: Mapping[str, Breaker | None],
        spared: Mapping[str, frozenset[str]],
        alone: frozenset[str] = frozenset(),
    ) -> None:
        self._breakers, self._spared, self._alone = breakers, spared, alone

    def concerns(self, effect: Effect) -> bool:
        """Everything that goes out and has a breaker."""
        return effect.verb != PERSON and self._rule(effect) is not None

    def start(self, starting: Starting) -> Ruling:
        """Let it begin where the breaker is closed, or as the probe; else it waits, or is refused."""
        effect, now, books = starting.effect, starting.now, starting.books
        rule = self._rule(effect)
        assert rule is not None
        key = f"breaker/{effect.name}"
        trouble = books.read(key, Trouble)
        if trouble is None or not trouble.until:
            if rule.slow is not None:
                books.write(f"begun/{effect.id}", now)
            return allow(CHECK)
        tried = bool(trouble.probe) and trouble.probe != effect.id and now < trouble.begun + effect.timeout + LOST
        if now >= trouble.until and not tried:
            if rule.probe or effect.effect in PROBES:
                trouble.probe, trouble.attempt, trouble.begun = effect.id, effect.attempt + 1, now
                books.write(key, trouble)
                if rule.slow is not None:
                    books.write(f"begun/{effect.id}", now)
                return allow(CHECK, "it is the probe")
            tried = True
        again = max(now + rule.cooldown / 4.0 if tried else trouble.until, trouble.tail + spacing(trouble.given))
        left = f"is left alone for another {trouble.until - now:.3g} s"
        what = "one call tries whether it works again" if tried else left
        why = f"{effect.name} has failed {trouble.failed} times, and {what}"
        spare = effect.name in self._spared.get(effect.agent, ())
        wait = 0.0 if spare else rule.wait - _waited(effect, now)
        ruling = wait_or_not(CHECK, starting, again, wait, "circuit_open", why)
        if ruling.due is not None:
            trouble.tail, trouble.given = again, trouble.given + 1
            books.write(key, trouble)
        return ruling

    def book(self, ending: Ending) -> tuple[Verdict, ...]:
        """An attempt has ended. Gives what should stand beside it where the breaker has changed."""
        effect, now, books = ending.effect, ending.now, ending.books
        rule = self._rule(effect)
        assert rule is not None
        slow = False
        if rule.slow is not None:
            begun = books.read(f"begun/{effect.id}", float)
            slow = begun is not None and ending.attempt is not None and now - begun >= rule.slow
            books.strike(f"begun/{effect.id}")
        ended = "bad" if slow else _how(ending.attempt)
        key = f"breaker/{effect.name}"
        trouble = books.read(key, Trouble)
        if trouble is None and ended != "bad":
            return ()
        if trouble is not None and trouble.until:
            return _while_open(ending, rule, trouble, ended)
        if trouble is None or now - trouble.since > rule.per:
            trouble = Trouble(now)
            if ended != "bad":
                books.strike(key)
                return ()
        if ended == "bad":
            trouble.failed, trouble.ended = trouble.failed + 1, trouble.ended + 1
        elif ended == "good" and trouble.failed * 4 >= rule.failures:
            trouble.ended += 1
        else:
            return ()
        opens = ended == "bad" and trouble.failed >= rule.failures and trouble.failed >= rule.ratio * trouble.ended
        if opens:
            trouble.until, trouble.opened = now + rule.cooldown, 1
        books.write(key, trouble)
        if not opens:
            return ()
        how = f"{trouble.failed} of {trouble.ended} attempts in {now - trouble.since:.3g} s"
        return (Verdict(CHECK, "alert", f"opened for {rule.cooldown:g} s: {effect.name} failed in {how}", now),)

    def _rule(self, effect: Effect) -> Breaker | None:
        if effect.name in self._breakers:
            return self._breakers[effect.name]
        return BREAKER if effect.effect in PROBES and effect.name not in self._alone else None


def _while_open(ending: Ending, rule: Breaker, trouble: Trouble, ended: str) -> tuple[Verdict, ...]:
    """Only the probe says anything about what is open: others began before it was."""
    effect, now, books = ending.effect, ending.now, ending.books
    key = f"breaker/{effect.name}"
    if trouble.probe != effect.id or trouble.attempt != effect.attempt:
        return ()
    if ended == "good":
        books.strike(key)
        return (Verdict(CHECK, "allow", f"closed: {effect.name} works again", now),)
    trouble.probe, trouble.attempt, trouble.begun = "", 0, 0.0
    if ended != "bad":
        books.write(key, trouble)
        return ()
    long = min(rule.longest, rule.cooldown * 2.0 ** min(64, trouble.opened))
    trouble.until, trouble.opened = now + long, trouble.opened + 1
    books.write(key, trouble)
    return (Verdict(CHECK, "alert", f"opened again for {long:g} s: the probe of {effect.name} failed", now),)


def _how(attempt: Attempt | None) -> str:
    """``good``, ``bad``, or ``""`` for what says nothing."""
    if attempt is None:
        return ""
    failure = attempt.failure
    if failure is None:
        return "good"
    if failure.code in OURS or failure.code.startswith("lease_") or failure.after:
        return ""
    return "bad" if attempt.unknown or failure.kind in ("retry_now", "retry_later") else ""


def _waited(effect: Effect, now: float) -> float:
    """Seconds since it was first told to wait for this breaker."""
    first = now
    for verdict in reversed(effect.verdicts):
        if verdict.check == CHECK:
            if verdict.verdict != "wait":
                break
            first = verdict.at
    return now - first
