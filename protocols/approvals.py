"""What people are asked and what they answer. One kind of object for approvals, escalations and calls in doubt.

A question is part of an open effect (``effects.Effect.question``): the inbox is a fold over the journal, and nobody's
process is held while people think.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct

from .codec import NULL
from .failures import Failure

QuestionKind = Literal["approval", "escalation", "in_doubt"]

Decision = Literal["approve", "reject", "answer", "happened", "not_happened", "run_again"]
"""What can be answered:

* approval: ``approve`` (do it), ``reject`` (do not, with a reason)
* escalation: ``approve`` (try again), ``answer`` (here is the result), ``reject`` (stop, with a reason)
* in doubt: ``happened`` (it did; the result may be given), ``not_happened`` (it did not, leave it), ``run_again``
"""

ALLOWED: dict[QuestionKind, tuple[Decision, ...]] = {
    "approval": ("approve", "reject"),
    "escalation": ("approve", "answer", "reject"),
    "in_doubt": ("happened", "not_happened", "run_again"),
}


class Question(Struct, frozen=True, omit_defaults=True):
    """What a person is asked.

    Attributes:
        kind: decides which answers fit.
        text: the question, for a person who knows nothing of the code.
        policy: name and version of the rule that asks, for approvals.
        deadline: journal time after which silence counts as ``reject``; None waits for ever (calls in doubt do).
        failure: what led here, with its causes.
        options: answers that make sense for an escalation, such as the workers it could go to.
        takes: the decisions that fit, where not all do that fit its kind.
    """

    kind: QuestionKind
    text: str
    policy: str = ""
    deadline: float | None = None
    failure: Failure | None = None
    options: tuple[str, ...] = ()
    takes: tuple[Decision, ...] = ()


def allowed(question: Question) -> tuple[Decision, ...]:
    """The decisions that answer a question."""
    return question.takes or ALLOWED[question.kind]


class Answer(Struct, frozen=True, omit_defaults=True):
    """What a person said. The first durable answer wins; an item is answered once.

    Attributes:
        item: id of the effect that carries the question.
        decision: what was decided; must be in ``ALLOWED`` for the question's kind.
        by: who answered.
        reason: why; required with ``reject``.
        value: the result as JSON, with ``answer`` and optionally with ``happened``.
        digest: digest of the arguments that the person saw; refused where it differs from the effect's. Empty: not checked.
    """

    item: str
    decision: Decision
    by: str = "somebody"
    reason: str = ""
    value: Raw = NULL
    digest: str = ""
