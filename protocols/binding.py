"""What an approval is bound to: one digest over all of it. A yes counts for exactly this, and for nothing that differs by one byte."""

from __future__ import annotations

import msgspec

from .approvals import Question
from .budget import ASKS
from .codec import canonical, digest
from .effects import CALL, Effect, Leave


def bound(effect: Effect) -> str:
    """Digest of what a person approves: the call (its id, so one use), tool, version of the tool, canonical arguments and their labels,
    agent, run, the names and versions of the rules that ask, and how many people must say yes. Of other questions: the digest of the
    call itself.
    """
    question = effect.question
    if not approves(question) or effect.verb != CALL:
        return effect.digest
    assert question is not None
    parts = [effect.id, effect.name, question.version, effect.digest, effect.agent, effect.stream, question.policy]
    labels = [canonical(effect.labels)] if effect.labels else []
    return digest(*parts, str(question.quorum), *labels)


def approves(question: Question | None) -> bool:
    """Whether a question is about the approval of a call, rather than about money for it."""
    return question is not None and question.kind == "approval" and question.policy != ASKS


def leave(effect: Effect) -> Leave | None:
    """The approval by which a call was let go, now that something else is to be asked about it; None where nobody was asked for one."""
    if _of_money(effect):
        return effect.leave
    question, answer = effect.question, effect.answer
    if question is None or answer is None or not approves(question) or answer.decision not in ("approve", "change"):
        return None
    return Leave(question, answer, effect.cleared)


def as_allowed(effect: Effect) -> Effect:
    """A call as it stood when it was let go: a yes to its costs is none to the call."""
    if effect.verb != CALL or not _of_money(effect):
        return effect
    kept = effect.leave
    if kept is None:
        return msgspec.structs.replace(effect, question=None, answer=None, cleared=0.0)
    return msgspec.structs.replace(effect, question=kept.question, answer=kept.answer, cleared=kept.cleared)


def _of_money(effect: Effect) -> bool:
    return effect.question is not None and effect.question.kind == "approval" and effect.question.policy == ASKS
