"""Breaker: what fails is left alone for a while, and then tried with one call before all come again.

    closed --failures--> open --cooldown--> half-open --the probe went well--> closed
                           ^                    |
                           +---- it failed -----+   (twice as long, up to a bound)

One entry of the books for each name in trouble (``protocols.circuits``); without one it is closed, and nothing is written. The entry says
which effect is the probe, so there is one under any concurrency; a probe that the end of the process cut off, or whose run was stopped,
gives its place back. Where a breaker says so, a person is asked whether a call may be the probe; so there is one question, too.

A person may open the breaker of whatever goes out (``opened_by_hand``), also of what has none of its own.

What counts as a failure: what may go better at another time (``retry_now``, ``retry_later``), a timeout or silence, an exception that
nobody declared, and what is slower than declared. Not: wrong arguments and refusals (it works, it says no), being asked to wait (that is
``rate``), and what is ours: a cancel, a lease that is not to be had, an earlier attempt still running, the end of the process.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ...protocols.approvals import Question
from ...protocols.binding import approves, as_allowed
from ...protocols.breakers import Breaker
from ...protocols.circuits import CHECK, Trouble, key, under_way
from ...protocols.decisions import Decision
from ...protocols.effects import PERSON, Attempt, Effect
from ...protocols.rates import spacing
from ...protocols.verdicts import Verdict
from ..starting import Ending, Starting
from .case import Ruling, allow
from .waiting import wait_or_not

PROBES = ("read", "idempotent")
"""Classes of effects that may be the probe without saying so."""

BREAKER = Breaker()
"""Of what nothing is declared for, where its calls may run again."""

OURS = frozenset({"cancelled", "still_running", "interrupted", "no_process", "no_such_tool", "no_such_model"})
"""Codes of failures that say nothing about the other side."""

LOST = 3_600.0
"""Seconds beyond its timeout after which a probe is given up of which nobody has heard, where nobody knows whether it is under way."""

LOOKS = 300.0
"""Seconds after which whoever waits for a probe looks again at the latest. (It is woken when the breaker closes.)"""


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
        """Everything that goes out: a person may have opened the breaker of anything."""
        return effect.verb != PERSON

    def start(self, starting: Starting) -> Ruling | None:
        """Let it begin where the breaker is closed, or as the probe; else it waits, or is refused."""
        effect, now, books = starting.effect, starting.now, starting.books
        rule = self._rule(effect)
        trouble = books.read(key(effect.name), Trouble)
        if trouble is not None and trouble.by:
            if not trouble.endless and now >= trouble.until:
                books.strike(key(effect.name))
                return allow(CHECK, f"the time for which {trouble.by} had opened it is over")
            return self._wait(starting, trouble, rule or BREAKER, taken_out(trouble, effect.name))
        if rule is None:
            return None
        if trouble is None or not trouble.until:
            if rule.slow is not None:
                books.write(f"begun/{effect.id}", now)
            return allow(CHECK)
        left = f"is left alone for another {trouble.until - now:.3g} s"
        if now >= trouble.until:
            left = _busy(trouble, starting)
            if not left and rule.probe == "ask" and not (trouble.item == effect.id and trouble.allowed):
                return _ask(starting, trouble, rule)
            if not left and (rule.probe or effect.effect in PROBES):
                said = f", {effect.answer.by} said that it may" if trouble.allowed and effect.answer is not None else ""
                trouble.probe, trouble.attempt, trouble.begun = effect.id, effect.attempt + 1, now
                trouble.item, trouble.allowed, trouble.no = "", False, 0.0
                books.write(key(effect.name), trouble)
                if rule.slow is not None:
                    books.write(f"begun/{effect.id}", now)
                return allow(CHECK, f"it is the probe{said}")
        why = f"{effect.name} has failed {trouble.failed} times, and {left or 'one call tries whether it works again'}"
        return self._wait(starting, trouble, rule, why)

    def _wait(self, starting: Starting, trouble: Trouble, rule: Breaker, why: str) -> Ruling:
        """It waits: until the time is over, in its place behind others, or to look again whether it is closed. (It is woken when it is.)"""
        effect, now = starting.effect, starting.now
        waited = _waited(effect, now)
        spare = effect.name in self._spared.get(effect.agent, ())
        wait = 0.0 if spare else rule.wait - waited
        shut = not trouble.endless and now < trouble.until
        if shut:
            again = max(trouble.until, trouble.tail + spacing(trouble.given))
        else:  # further and further apart: all of them are written
            again = now + min(max(rule.cooldown, waited) / 4.0, max(LOOKS, rule.cooldown / 4.0))
            again = min(again, max(now + rule.cooldown / 4.0, now + wait))
            if trouble.probe and starting.known is None:
                again = min(again, max(now + rule.cooldown / 4.0, trouble.begun + effect.timeout + LOST))
        ruling = wait_or_not(CHECK, starting, again, wait, "circuit_open", why)
        if ruling.due is not None and shut:
            trouble.tail, trouble.given = again, trouble.given + 1
            starting.books.write(key(effect.name), trouble)
        return ruling

    def book(self, ending: Ending) -> tuple[Verdict, ...]:
        """An attempt has ended. Gives what should stand beside it where the breaker has changed."""
        effect, now, books = ending.effect, ending.now, ending.books
        rule = self._rule(effect)
        if rule is None:
            return ()
        slow = False
        if rule.slow is not None:
            begun = books.read(f"begun/{effect.id}", float)
            slow = begun is not None and ending.attempt is not None and now - begun >= rule.slow
            books.strike(f"begun/{effect.id}")
        ended = "bad" if slow else _how(ending.attempt)
        name = key(effect.name)
        trouble = books.read(name, Trouble)
        if trouble is None and ended != "bad":
            return ()
        if trouble is not None and trouble.until:
            return _while_open(ending, rule, trouble, ended)
        if trouble is None or now - trouble.since > rule.per:
            trouble = Trouble(now)
            if ended != "bad":
                books.strike(name)
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
        books.write(name, trouble)
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
    name = key(effect.name)
    if trouble.probe != effect.id or trouble.attempt != effect.attempt:
        return ()
    if ended == "good":
        books.strike(name)
        return (Verdict(CHECK, "allow", f"closed: {effect.name} works again", now),)
    trouble.probe, trouble.attempt, trouble.begun = "", 0, 0.0
    if ended != "bad":
        books.write(name, trouble)
        return ()
    long = _longer(rule, trouble)
    trouble.until, trouble.opened = now + long, trouble.opened + 1
    books.write(name, trouble)
    return (Verdict(CHECK, "alert", f"opened again for {long:g} s: the probe of {effect.name} failed", now),)


def _longer(rule: Breaker, trouble: Trouble) -> float:
    """Seconds for which it stays open after a probe that failed."""
    return min(rule.longest, rule.cooldown * 2.0 ** min(64, trouble.opened))


def _busy(trouble: Trouble, starting: Starting) -> str:
    """Why this one may not be the probe: another one is, or a person is asked about another one; empty for nothing of that."""
    effect, now = starting.effect, starting.now
    if starting.known is not None:
        alive = under_way(trouble, starting.known)
    else:
        alive = not trouble.probe or now < trouble.begun + effect.timeout + LOST
    if trouble.probe:
        return "one call tries whether it works again" if alive and trouble.probe != effect.id else ""
    if not trouble.item or trouble.item == effect.id or not alive:
        return ""
    return (
        f"{trouble.item} "
        + ("may try" if trouble.allowed else "asks a person whether it may try")
        + " whether it works again"
    )


def _ask(starting: Starting, trouble: Trouble, rule: Breaker) -> Ruling:
    """A person says whether this call may be the probe; with what was asked about it before, if anything was."""
    effect, tool, limit = starting.effect, starting.tool, starting.limits.approval
    text = (
        f"{effect.name} has failed {trouble.failed} times and is left alone since. May this call of {effect.stream} try whether it works "
        "again? It is a real one, and as long as nobody says yes the others wait."
    )
    deadline = None if limit is None else starting.now + limit
    takes: tuple[Decision, ...] = ("approve", "reject")
    question = Question("approval", text, policy=CHECK, deadline=deadline, takes=takes)
    if tool is not None:
        amounts = (tool.spec.amount,) if tool.spec.amount else ()
        question = msgspec.structs.replace(
            question, version=tool.spec.version, sinks=tool.spec.sinks or (), amounts=amounts
        )
    effect = as_allowed(effect)
    before, answer = effect.question, effect.answer
    if before is not None and approves(before) and answer is not None and answer.decision in ("approve", "change"):
        labels = [label for label in before.policy.split(", ") if label not in ("", CHECK)]
        text = text if not labels else f"{before.text} {text}"
        question = msgspec.structs.replace(
            before, text=text, policy=", ".join((*labels, CHECK)), deadline=deadline, takes=takes
        )
    trouble.probe, trouble.attempt, trouble.begun = "", 0, 0.0
    trouble.item, trouble.allowed, trouble.no = effect.id, False, _longer(rule, trouble)
    starting.books.write(key(effect.name), trouble)
    return Ruling(Verdict(CHECK, "ask", question.text, starting.now), question=question)


def taken_out(trouble: Trouble, name: str) -> str:
    """Why calls wait for what a person has opened."""
    why = f": {trouble.reason}" if trouble.reason else ""
    return f"{trouble.by} has opened the breaker of {name} by hand{why}"[:1_000]


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
