"""Taking a person's answer: whether it fits the question, and the effect that it makes of it.

Pure: the kernel uses it, and so does the command line on a journal that nobody owns.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..protocols.approvals import Answer, Question, allowed
from ..protocols.binding import approves, bound
from ..protocols.bounds import check
from ..protocols.codec import NULL, decode
from ..protocols.decisions import REASONED, VALUED, Decision, meant
from ..protocols.effects import PERSON, Effect
from ..protocols.errors import UnderstudyError, UnknownItem, WrongAnswer
from ..protocols.failures import text_of
from ..protocols.grants import check_scope
from ..protocols.journal import MAX_MESSAGE
from ..protocols.lookalike import seen
from .cell import Cell
from .patience import counts_as, late

NOBODY = "somebody"
"""Who answers where no name is given: nobody in particular, and so no one of several."""

Edit = Callable[[Effect, Answer], Effect]
"""A call with the arguments that a person gave it, as the gate lets it through (``editing.edited``). Raises WrongAnswer."""


def accept(
    effect: Effect | None, answer: Answer, now: float, *, taken: bool = False, edit: Edit | None = None
) -> Effect:
    """An open effect with a person's answer, in a word that its question takes.

    A yes to an approval is bound here to all that it stands for (``binding.bound``). Where several people must say yes, one that is
    not the last is kept in ``Effect.yes``, and the question stays open. ``edit``: for a yes with other arguments; without it there is
    nobody who could check them.

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
    check_scope(effect, answer)
    if effect.verb != PERSON and answer.decision == "result":
        _choice(effect.question, answer)
    if answer.digest and answer.digest != bound(effect):
        raise WrongAnswer(
            f"{answer.item} is not what was shown: its arguments, its tool or its rule have another digest",
            hint="look at it again, then answer",
        )
    if effect.verb != PERSON and approves(effect.question) and answer.decision in YES:
        effect, answer = _yes(effect, answer, edit)
        if len(effect.yes) < effect.question.quorum:  # type: ignore[union-attr]  # it is an approval
            return effect
        effect = msgspec.structs.replace(effect, yes=effect.yes if len(effect.yes) > 1 else ())
    again = effect.verb != PERSON and answer.decision in (*YES, "run_again")
    if again:
        return msgspec.structs.replace(
            effect, answer=answer, state="intended", interrupted=0, cleared=now, due=None, addressed=None
        )
    return msgspec.structs.replace(effect, answer=answer, due=None)


_VALUE: dict[Decision, str] = {
    "answer": "answer", "result": "result", "change": "changed arguments, task or message", "replace": "name of a worker",
}  # fmt: skip


def allowed_by(effect: Effect, answer: Answer, now: float) -> Effect:
    """A call that a standing approval (``grants.standing``) lets go."""
    return msgspec.structs.replace(effect, answer=answer, state="intended", cleared=now, due=None, addressed=None)


YES: tuple[Decision, ...] = ("approve", "change")
"""Both let an approval's call go."""


def _yes(effect: Effect, answer: Answer, edit: Edit | None) -> tuple[Effect, Answer]:
    """A yes to a call: the call with it (and with its arguments, where they are changed), and the yes as it is kept."""
    assert effect.question is not None
    if effect.question.quorum > 1:
        _another(effect, answer)
    if answer.decision == "change":
        if edit is None:
            raise WrongAnswer(
                f"nobody can say whether the changed arguments of {answer.item} are let through: the journal names no program that knows "
                f"{effect.name}",
                hint="answer while that program runs, or approve it as it is",
            )
        effect = edit(effect, answer)
    kept = msgspec.structs.replace(answer, digest=bound(effect))
    return msgspec.structs.replace(effect, yes=(*effect.yes, kept)), kept


def _another(effect: Effect, answer: Answer) -> None:
    """Whether whoever says yes is somebody, and somebody else than those before. Raises WrongAnswer."""
    assert effect.question is not None
    need, name = effect.question.quorum, who(answer.by)
    if not name or name == NOBODY or not answer.by.isprintable():
        raise WrongAnswer(
            f"{answer.item} needs a yes of {need} different people, and {answer.by!r} is no name of one",
            hint="say who answers (--by NAME)",
        )
    if any(who(before.by) == name for before in effect.yes):
        raise WrongAnswer(
            f"{answer.item} needs a yes of {need} different people, and {answer.by} has said yes before",
            hint="somebody else must say yes, too; anybody may still say no",
        )


def who(name: str) -> str:
    """A person's name as it is compared: letter case, width, spaces, accents, letters of other alphabets that look the same, and
    what nobody sees make nobody another person."""
    return " ".join(seen(name).split())


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


def _choice(question: Question, answer: Answer) -> None:
    """Refuse words that are no answer to a tool's question."""
    said = worded(answer)
    if not said.strip() or said == '""':
        raise WrongAnswer(f"the answer to {answer.item} is empty", hint="write what is to be told")
    if question.options and said not in question.options:
        raise WrongAnswer(
            f"{said[:200]!r} is none of the answers to {answer.item}", hint=f"one of: {', '.join(question.options)}"
        )


def worded(answer: Answer) -> str:
    """The words in which a question of a tool was answered: a text, or the JSON of something else (42, true)."""
    return named(answer) or bytes(answer.value).decode()


def is_of(recorded: Answer | None, given: Answer) -> bool:
    """Whether a recorded answer is the one that somebody gave, maybe in another word of the same meaning."""
    return (
        recorded is not None
        and msgspec.structs.replace(recorded, decision=given.decision, digest=given.digest) == given
    )


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
