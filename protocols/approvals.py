"""What people are asked and what they answer. One kind of object for approvals, escalations and calls in doubt.

A question is part of an open effect (``effects.Effect.question``): the inbox is a fold over the journal, and nobody's
process is held while people think.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct

from .codec import NULL
from .decisions import Decision
from .failures import Failure
from .people import People

QuestionKind = Literal["approval", "escalation", "in_doubt"]

Scope = Literal["once", "run", "pattern", "always"]
"""What a yes is for: this call; calls of this tool in this run; such with the same values of some arguments; all calls of this tool."""

DEADLINE = "the deadline"
"""Who answered where nobody did in time."""

ALLOWED: dict[QuestionKind, tuple[Decision, ...]] = {
    "approval": ("approve", "change", "reject"),
    "escalation": ("approve", "answer", "reject"),
    "in_doubt": ("happened", "not_happened", "run_again"),
}


class Question(Struct, frozen=True, omit_defaults=True):
    """What a person is asked.

    Attributes:
        kind: decides which answers fit.
        text: the question, for a person who knows nothing of the code.
        policy: name and version of the rule that asks, for approvals.
        deadline: journal time after which silence counts as ``reject`` or, with ``people``, as their default; None waits for ever
            (calls in doubt do).
        failure: what led here, with its causes: the first one is the last of its chain.
        options: answers that make sense for an escalation; where ``replace`` fits, names of the workers that it could go to.
        takes: the decisions that fit, where not all do that fit its kind, or more do.
        people: whom it goes to and when; by default those of the agent, supervisor or system that asks. None: nobody in particular.
        unsure: what is known and what is not, in words.
        confidence: how sure whoever asks is of what it would do, 0 to 1; None where it cannot say.
        form: JSON schema of a ``result``; null where any value will do.
        about: the actor that this is about, where it is not the one that asks: the child that was given up.
        message: id of the message on which that one failed and which is put aside: what ``retry``, ``change`` and ``skip`` act on.
        quorum: how many different people must say yes to an approval; the first no decides.
        version: the tool's, for approvals.
        sinks: parameters that say where the call's effect goes, where not all of them do: they are shown first.
        amounts: parameters that say how much the call moves.
        first: a yes means that later calls of this tool in this run are no first ones any more (``ApprovalRule.first``).
    """

    kind: QuestionKind
    text: str
    policy: str = ""
    deadline: float | None = None
    failure: Failure | None = None
    options: tuple[str, ...] = ()
    takes: tuple[Decision, ...] = ()
    people: People | None = None
    unsure: str = ""
    confidence: float | None = None
    form: Raw = NULL
    about: str = ""
    message: str = ""
    quorum: int = 1
    version: str = ""
    sinks: tuple[str, ...] = ()
    amounts: tuple[str, ...] = ()
    first: bool = False


def allowed(question: Question) -> tuple[Decision, ...]:
    """The decisions that answer a question."""
    return question.takes or ALLOWED[question.kind]


class Answer(Struct, frozen=True, omit_defaults=True):
    """What a person said. The first durable answer wins; an item is answered once.

    Attributes:
        item: id of the effect that carries the question.
        decision: what was decided; one that the question takes, or a word that means the same (``decisions.SAME``).
        by: who answered; ``DEADLINE`` where nobody did.
        reason: why; required with ``reject`` and ``stop``.
        value: as JSON: the result, with ``result`` (``answer``) and optionally with ``happened``; the new task or content, with
            ``change`` (of an approval: the arguments that are to be others); a worker's name, with ``replace``.
        digest: what the person saw, as the inbox gave it (``InboxItem.digest``); refused where it is something else now. Empty: not
            checked. In the journal an approval always has it: all that the approval is bound to (``binding.bound``).
        scope: what else a yes to a call is for, besides this call (``Scope``): ``once`` for nothing else.
        same: with the scope ``pattern``: parameters that must have the values that they have here; where none are named, those that
            say where the effect goes, or all.
        expires: with a scope: seconds for which it stands; None until somebody takes it back.
        grant: id of the standing approval that gives this answer; empty for a person's.
    """

    item: str
    decision: Decision
    by: str = "somebody"
    reason: str = ""
    value: Raw = NULL
    digest: str = ""
    scope: Scope = "once"
    same: tuple[str, ...] = ()
    expires: float | None = None
    grant: str = ""
