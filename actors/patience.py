"""How long people are waited for. Pure: a question, whom it has come to, and the time give what is to be done next.

    addressed   a question is asked: whose it is, and until when
    due         when something is to be done about it
    pressed     that time has come: remind, ask the next one, or let the default count

What came due while nobody was there happens once: one ring is one step, and the times after it are counted from it.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from ..protocols.approvals import DEADLINE, Answer, Question, allowed
from ..protocols.decisions import Decision
from ..protocols.effects import Effect
from ..protocols.errors import DefinitionError
from ..protocols.failures import Failure
from ..protocols.people import Addressed, People

MOST_OPTIONS = 1_000
LONGEST_NOTE = 10_000
"""Characters of what a question says it is unsure of."""


def addressed(question: Question, people: People | None, now: float) -> Question:
    """A question as it is asked: with whom it goes to (its own, or those of whoever asks), and its deadline."""
    people = question.people or people
    if people is not None and question.kind == "approval" and people.quorum > question.quorum:
        question = msgspec.structs.replace(question, quorum=people.quorum)
    deadline = question.deadline
    if people is not None and people.deadline is not None and deadline is None and question.kind == "escalation":
        deadline = now + people.deadline
    if people is not None and question.people is None and question.deadline is not None and people.deadline is not None:
        people = msgspec.structs.replace(people, deadline=None, default="stop")  # whoever asks says what silence means
    if people is question.people and deadline == question.deadline:
        return question
    return msgspec.structs.replace(question, people=people, deadline=deadline)


def checked(question: Question) -> None:
    """Refuse a question that an actor should not ask.

    Raises:
        DefinitionError: a confidence that is none, what is too long, or a default that the question does not take.
    """
    sure = question.confidence
    if sure is not None and not (math.isfinite(sure) and 0.0 <= sure <= 1.0):
        raise DefinitionError(f"question: confidence={sure} is none", hint="0 to 1, or None where nobody can say")
    if len(question.options) > MOST_OPTIONS or len(question.unsure) > LONGEST_NOTE:
        raise DefinitionError(
            f"question: more than {MOST_OPTIONS} options, or unsure is longer than {LONGEST_NOTE} characters",
            hint="make it shorter",
        )
    people = question.people
    if people is not None and people.deadline is not None and people.default not in _takes(question):
        raise DefinitionError(
            f"question: people.default={people.default!r} does not answer it",
            hint=f"it takes: {', '.join(allowed(question))}",
        )


def begin(question: Question | None, now: float) -> Addressed | None:
    """Whom a question comes to first."""
    if question is None or question.people is None:
        return None
    return Addressed(0, now, now)


def due(question: Question | None, to: Addressed | None) -> float | None:
    """When something is to be done about an open question; None for never."""
    if question is None:
        return None
    times = [question.deadline] if question.deadline is not None else []
    people = question.people
    if people is not None and to is not None:
        if people.remind is not None:
            times.append(to.told + people.remind)
        if people.next_after is not None and to.to + 1 < len(people.ask):
            times.append(to.since + people.next_after)
    return min(times, default=None)


def opened(effect: Effect, now: float) -> Effect:
    """An effect that begins to wait for people."""
    to = begin(effect.question, now)
    return msgspec.structs.replace(effect, addressed=to, due=due(effect.question, to))


Step = Literal["over", "hand over", "remind", "wait"]


def pressed(effect: Effect, now: float) -> tuple[Step, Effect]:
    """What is to be done about an open question now, and the effect after that. ``over``: nobody answered in time."""
    question, to = effect.question, effect.addressed
    assert question is not None
    if question.deadline is not None and question.deadline <= now:
        return "over", effect
    people = question.people
    if people is None or to is None:
        return "wait", msgspec.structs.replace(effect, due=due(question, to))
    step: Step = "wait"
    if people.next_after is not None and to.to + 1 < len(people.ask) and to.since + people.next_after <= now:
        step, to = "hand over", Addressed(to.to + 1, now, now)
    elif people.remind is not None and to.told + people.remind <= now:
        step, to = "remind", msgspec.structs.replace(to, told=now, reminded=to.reminded + 1)
    return step, msgspec.structs.replace(effect, addressed=to, due=due(question, to))


def silence(effect: Effect) -> Answer | Failure:
    """What it means that nobody answered in time: the default of those who were asked, or a no."""
    question = effect.question
    assert question is not None
    if question.kind != "escalation" or question.people is None or question.people.deadline is None:
        return Failure("abandon", "no_answer", "nobody answered in time, which counts as no", where=effect.name)
    asked = ", ".join(question.people.ask[: (effect.addressed.to if effect.addressed else 0) + 1])
    wanted: tuple[Decision, ...] = (question.people.default, "stop")
    takes = _takes(question)
    word: Decision | None = next((word for word in wanted if word in takes), None)
    if word is None:
        return Failure("abandon", "no_answer", "nobody answered in time, which counts as no", where=effect.name)
    said: Decision = word if word in allowed(question) else _OLD[word]
    return Answer(effect.id, said, by=DEADLINE, reason=f"nobody answered in time (asked: {asked})")


def counts_as(question: Question) -> str:
    """What silence means, in a word."""
    if question.kind != "escalation" or question.people is None or question.people.deadline is None:
        return "no"
    takes = _takes(question)
    return next((word for word in (question.people.default, "stop") if word in takes), "no")


def late(question: Question, now: float) -> bool:
    """Whether the time to answer is over."""
    return question.deadline is not None and question.deadline <= now


def asked_of(effect: Effect) -> str:
    """Whom an open question is addressed to now; empty for nobody in particular."""
    people = effect.question.people if effect.question is not None else None
    return people.ask[effect.addressed.to] if people is not None and effect.addressed is not None else ""


def was_asked(effect: Effect, name: str) -> bool:
    """Whether a person was asked, now or before; true where nobody in particular was, and of the deadline."""
    people = effect.question.people if effect.question is not None else None
    if people is None or effect.addressed is None or name == DEADLINE:
        return True
    return name in people.ask[: effect.addressed.to + 1]


_OLD: dict[Decision, Decision] = {"stop": "reject", "retry": "approve"}


def _takes(question: Question) -> tuple[Decision, ...]:
    """What can be decided about it, in today's words."""
    takes = allowed(question)
    return (*takes, *(word for word, old in _OLD.items() if old in takes))
