"""Circuits: breakers as they stand in the gate's books, and what people do about them.

    closed --failures--> open --cooldown--> half-open --the probe went well--> closed
                           ^                    |
                           +-- it failed, no ---+

One entry of the books (``breaker/<name>``) for each tool or model in trouble. A person may close one that is open, or open one, for a
time or without an end; then there is no half-open: when its time is over it is closed. Where a breaker says so, a person is asked
before a probe, and the entry names the call about which that question is: one at a time. Pure, as the gate is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

from msgspec import Raw, Struct

from .approvals import Question
from .books import Entry
from .codec import NULL, decode, encode
from .effects import Effect
from .errors import UnknownItem
from .rates import spacing

CHECK = "breaker"
"""Name of the check, and policy of its question whether a call may be the probe."""

PREFIX = "breaker/"
"""Of their keys in the books."""


class Trouble(Struct, omit_defaults=True):
    """The entry of one name.

    Attributes:
        since: when the window began; of one that was opened by hand: when.
        failed, ended: failures in it; attempts that ended since a quarter of them were there, and the failures before.
        until: it is open until then; 0 while it is closed.
        opened: how often in a row it was opened.
        probe, attempt, begun: the effect that tries whether it works, which attempt of it, and since when; empty for none.
        tail, given: the last time given to one that waits, and how many were.
        item: the effect about which a person is asked whether it may be the probe; empty for none.
        allowed: the person has said yes, and it has not begun yet.
        no: seconds for which it stays open after a no.
        by, reason: who opened it by hand, and why; empty where it opened by itself.
        endless: it is open until a person closes it.
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
    item: str = ""
    allowed: bool = False
    no: float = 0.0
    by: str = ""
    reason: str = ""
    endless: bool = False


class Circuit(Struct, frozen=True, omit_defaults=True):
    """A breaker as people look at it.

    Attributes:
        name: of the tool or model.
        state: ``closed`` with failures counted, ``open``, or ``half_open``: one call tries, or is to try, whether it works again.
        since: journal time at which it began to count failures, or was opened by hand.
        failed: failures counted since.
        until: of an open one: journal time up to which it is; None until a person closes it.
        opened: how often in a row it was opened.
        probe: id of the call that tries; empty for none.
        item: id of the call about which a person is asked whether it may; empty for none.
        by, reason: who opened it by hand, and why; empty where it opened by itself.
    """

    name: str
    state: Literal["closed", "open", "half_open"]
    since: float
    failed: int = 0
    until: float | None = None
    opened: int = 0
    probe: str = ""
    item: str = ""
    by: str = ""
    reason: str = ""


def key(name: str) -> str:
    """Of an entry in the books."""
    return f"{PREFIX}{name}"


def standing(books: Mapping[str, Entry], name: str) -> Trouble | None:
    """What is wrong with a name; None where nothing is."""
    entry = books.get(key(name))
    if entry is None or entry.value == NULL:
        return None
    trouble: Trouble = decode(entry.value, Trouble)
    return trouble


def circuits(books: Mapping[str, Entry], now: float) -> tuple[Circuit, ...]:
    """All that stand in the books, by name."""
    names = sorted(name.removeprefix(PREFIX) for name in books if name.startswith(PREFIX))
    found = ((name, standing(books, name)) for name in names)
    return tuple(_shown(name, trouble, now) for name, trouble in found if trouble is not None)


def _shown(name: str, t: Trouble, now: float) -> Circuit:
    if not t.until or (t.by and not t.endless and now >= t.until):
        return Circuit(name, "closed", t.since, t.failed)
    if t.endless or now < t.until:
        until = None if t.endless else t.until
        return Circuit(name, "open", t.since, t.failed, until, t.opened, item=t.item, by=t.by, reason=t.reason)
    return Circuit(name, "half_open", t.since, t.failed, None, t.opened, t.probe, t.item)


# -- by hand ----------------------------------------------------------------------------------------------------


def opened_by_hand(name: str, by: str, reason: str, seconds: float | None, now: float) -> Entry:
    """The entry of a breaker that a person opens, for so many seconds or without an end. A probe under way and a question about one
    are no longer what they were."""
    until = now if seconds is None else now + seconds
    shut = Trouble(now, until=until, opened=1, by=by or "somebody", reason=reason, endless=seconds is None)
    return Entry(key(name), Raw(encode(shut)))


def closed_by_hand(books: Mapping[str, Entry], name: str) -> Entry:
    """The entry of one that a person closes; what it has counted is forgotten.

    Raises:
        UnknownItem: it is not open.
    """
    trouble = standing(books, name)
    if trouble is None or not trouble.until:
        raise UnknownItem(f"the breaker of {name!r} is not open", hint="'understudy breakers' lists those that are")
    return Entry(key(name))


# -- the question before a probe --------------------------------------------------------------------------------


def answered(effect: Effect, books: Mapping[str, Entry], now: float) -> tuple[Entry, ...]:
    """What an answer to the question whether a call may be the probe means for the books: for the row that holds it."""
    if effect.answer is None or not _about_probe(effect.question):
        return ()
    if effect.answer.decision not in ("approve", "change"):
        return declined(effect, books, now)
    trouble = standing(books, effect.name)
    if trouble is None or trouble.item != effect.id:
        return ()
    trouble.allowed = True
    return (Entry(key(effect.name), Raw(encode(trouble))),)


def declined(effect: Effect, books: Mapping[str, Entry], now: float) -> tuple[Entry, ...]:
    """The same where nobody said yes in time, or somebody said no: it stays open for another while."""
    trouble = standing(books, effect.name) if _about_probe(effect.question) else None
    if trouble is None or trouble.item != effect.id:
        return ()
    trouble.until, trouble.opened = now + trouble.no, trouble.opened + 1
    trouble.item, trouble.allowed, trouble.no = "", False, 0.0
    return (Entry(key(effect.name), Raw(encode(trouble))),)


def _about_probe(question: Question | None) -> bool:
    return question is not None and (question.policy == CHECK or question.policy.endswith(f", {CHECK}"))


def under_way(trouble: Trouble, known: Callable[[str], Effect | None]) -> bool:
    """Whether the probe, or the call about which a person is asked, still is what it was; one whose run was stopped is not."""
    if trouble.probe:
        probe = known(trouble.probe)
        return probe is not None and (probe.state, probe.attempt) == ("started", trouble.attempt)
    asked = known(trouble.item)
    return asked is not None and asked.state in ("asking", "intended", "waiting")


# -- who waits --------------------------------------------------------------------------------------------------


def held_up(effect: Effect) -> bool:
    """Whether it waits for a breaker."""
    last = effect.verdicts[-1] if effect.state == "waiting" and effect.verdicts else None
    return last is not None and (last.check, last.verdict) == (CHECK, "wait")


def moot(effect: Effect, books: Mapping[str, Entry]) -> bool:
    """Whether a person is asked whether it may be the probe, and there is nothing to probe any more. Where a rule asks, too, the
    question stays."""
    if effect.state != "asking" or effect.answer is not None or effect.question is None:
        return False
    if effect.question.policy != CHECK:
        return False
    trouble = standing(books, effect.name)
    return trouble is None or trouble.item != effect.id


def free(effect: Effect, books: Mapping[str, Entry]) -> bool:
    """Whether it waits for a breaker that is not open any more, or is asked about for nothing."""
    if held_up(effect):
        trouble = standing(books, effect.name)
        return trouble is None or not trouble.until
    return moot(effect, books)


def closed(entries: Iterable[Entry]) -> frozenset[str]:
    """Names of the breakers that these entries close."""
    return frozenset(e.key.removeprefix(PREFIX) for e in entries if e.value == NULL and e.key.startswith(PREFIX))


def set_free(
    names: frozenset[str], effects: Iterable[Effect], books: Mapping[str, Entry], *, at_once: bool
) -> Iterator[tuple[str, float]]:
    """Who goes on now that these breakers have changed, in order, and in how many seconds: one by one, unless a person said so."""
    after, given = 0.0, 0
    for effect in effects:
        if effect.name in names and free(effect, books):
            yield effect.id, after
            after, given = after + (AT_ONCE if at_once else spacing(given)), given + 1


AT_ONCE = 0.0001
"""Seconds between two that go on at once, so that the loop is not held up."""
