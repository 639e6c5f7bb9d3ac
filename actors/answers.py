"""Taking a person's answer: whether it fits the question, and the effect that it makes of it.

Pure: the kernel uses it, and so does the command line on a journal that nobody owns.
"""

from __future__ import annotations

import msgspec

from ..protocols.approvals import Answer, Question, allowed
from ..protocols.bounds import check
from ..protocols.codec import NULL, decode
from ..protocols.decisions import REASONED, VALUED, Decision, meant
from ..protocols.effects import PERSON, Effect
from ..protocols.errors import UnderstudyError, UnknownItem, WrongAnswer
from ..protocols.failures import text_of
from ..protocols.journal import MAX_MESSAGE
from .cell import Cell
from .patience import counts_as, late


def accept(effect: Effect | None, answer: Answer, now: float, *, taken: bool = False) -> Effect:
    """An open effect with a person's answer, in a word that its question takes.

    Raises:
        UnknownItem: nothing is open under that id, or it is answered.
        WrongAnswer: the answer does not fit the question.
        TooLarge, TooComplex: its value is.
    """
    if effect is not None and (effect.answer is not None or (taken and effect.question is not None)):
        by = effect.answer.by if effect.answer else "the deadline"
        raise UnknownItem(f"{answer.item} was answered before, by {by}", hint="the first answer counts")
    if effect is None or effect.question is None or effect.state not in ("asking", "in_doubt"):
        raise UnknownItem(
            f"nothing with the id {answer.item!r} waits for an answer", hint="'understudy inbox' lists what does"
        )
    if late(effect.question, now):
        raise UnknownItem(
            f"the time to answer {answer.item} is over, and silence counts as {counts_as(effect.question)}",
            hint="the next run will say so",
        )
    check(answer.value, f"the answer to {answer.item}", most=MAX_MESSAGE)
    answer = msgspec.structs.replace(answer, decision=decided(effect.question, answer))
    if answer.decision in REASONED and not answer.reason:
        word = "rejecting" if answer.decision == "reject" else "stopping"
        raise WrongAnswer(f"{word} {answer.item} needs a reason", hint="the reason is told to the agent and kept")
    if answer.decision in VALUED and answer.value == NULL:
        raise WrongAnswer(f"answering {answer.item} needs the {_VALUE[answer.decision]}")
    if answer.decision == "replace" and named(answer) not in effect.question.options:
        raise WrongAnswer(
            f"{bytes(answer.value).decode()} is nobody whom {answer.item} could go to",
            hint=f"one of: {', '.join(effect.question.options)}",
        )
    if answer.digest and answer.digest != effect.digest:
        raise WrongAnswer(
            f"{answer.item} is not what was shown: its arguments have another digest",
            hint="look at it again, then answer",
        )
    again = effect.verb != PERSON and answer.decision in ("approve", "run_again")
    if again:
        return msgspec.structs.replace(
            effect, answer=answer, state="intended", interrupted=0, cleared=now, due=None, addressed=None
        )
    return msgspec.structs.replace(effect, answer=answer, due=None)


_VALUE: dict[Decision, str] = {
    "answer": "answer", "result": "result", "change": "changed task or message", "replace": "name of a worker",
}  # fmt: skip


def decided(question: Question, answer: Answer) -> Decision:
    """The word of the question that an answer means. Raises WrongAnswer where it takes none such."""
    takes = allowed(question)
    if answer.decision in takes:
        return answer.decision
    word = None
    if answer.decision == "approve" and question.message and "retry" in takes:
        return "approve"  # as it always was: start it again, and leave the message where it is
    if question.kind == "escalation":
        word = meant(answer.decision, takes, names=named(answer) in question.options)
    if word is None:
        raise WrongAnswer(
            f"{answer.item} is of the kind {question.kind!r}: {answer.decision!r} does not answer it",
            hint=f"it takes: {', '.join(takes)}",
        )
    return word


def named(answer: Answer) -> str:
    """The name that an answer gives; empty where its value is none."""
    try:
        said = decode(answer.value, object)
    except msgspec.DecodeError:
        return ""
    return said if isinstance(said, str) else ""


def is_of(recorded: Answer | None, given: Answer) -> bool:
    """Whether a recorded answer is the one that somebody gave, maybe in another word of the same meaning."""
    return recorded is not None and msgspec.structs.replace(recorded, decision=given.decision) == given


def considered(cell: Cell, effect: Effect, given: Decision) -> None:
    """Let whoever asked look at an answer that was accepted, in the word in which it was given. Raises WrongAnswer where it is of no
    use to it."""
    answer, question = effect.answer, effect.question
    if answer is None or question is None or effect.verb != PERSON or answer.decision not in VALUED:
        return
    if cell.mount is None or cell.state is None:
        return
    try:
        cell.mount.actor.considers(cell.state, effect, msgspec.structs.replace(answer, decision=given))
    except UnderstudyError:
        raise
    except Exception as error:
        raise WrongAnswer(
            f"{answer.item}: {answer.decision!r} does not fit: {text_of(error) or type(error).__name__}",
            hint="the question is still open: answer again",
        ) from error
