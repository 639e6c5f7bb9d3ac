"""What an approval is bound to: one digest over all of it. A yes counts for exactly this, and for nothing that differs by one byte."""

from __future__ import annotations

from .approvals import Question
from .budget import ASKS
from .codec import canonical, digest
from .effects import CALL, Effect


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
