"""What a person's answer means besides being the answer: what becomes of the message on which a child failed.

    retry    it is sent again, as it was                 change   it is sent again, with the content given
    skip     it is dropped, and that is recorded         stop     it stays where it is

Written in one batch with the answer (``actors.releases.Verdict``): both or neither. And for whoever answers too late: how the
question ended.
"""

from __future__ import annotations

from msgspec import Raw

from ..actors.answers import YES, decided
from ..actors.registry import Directory
from ..actors.releases import Resolve, Verdict
from ..protocols.approvals import Answer, Question
from ..protocols.errors import UnderstudyError, UnknownItem, WrongAnswer
from ..protocols.ids import Address
from ..protocols.mail import Resolution
from .journal.batch import record_of
from .parked import Pages, ParkedMessage, edited, of_item

ACT = ("retry", "change", "skip")
"""Decisions that say what becomes of the message."""


def verdict(pages: Pages, question: Question, answer: Answer, directory: Directory | None) -> Answer | Verdict:
    """An answer with what it means for the message that its question is about; the answer alone where there is none.

    Raises:
        WrongAnswer: the answer does not fit the question, or the content given does not fit the message.
    """
    if not acts(question):
        return answer
    word = decided(question, answer)
    if word not in ACT:
        return answer
    message = of_item(pages, Address(question.about), question.message)
    if message is None and word == "change":
        raise WrongAnswer(
            f"{answer.item}: the message on which {question.about} failed cannot be changed: it was sent again or dropped meanwhile, "
            "or is none that people send",
            hint="retry or stop",
        )
    if message is None:
        return answer
    return Verdict(answer, resolution(message, word, answer, directory))


def acts(question: Question) -> bool:
    """Whether an answer to it can say what becomes of a message."""
    return bool(question.message and question.about)


def resolution(message: ParkedMessage, word: str, answer: Answer, directory: Directory | None) -> Resolve:
    """What is decided about the message. Raises WrongAnswer."""
    row = int(message.id)
    if word == "skip":
        return Resolve(Resolution(row, "drop", answer.by, answer.reason))
    if word == "change" and directory is None:
        raise WrongAnswer(
            f"nobody can say whether this fits {message.wire}: the journal names no program that takes it",
            hint="answer while that program runs",
        )
    value: Raw | None = answer.value if word == "change" else None
    return Resolve(Resolution(row, "resend", answer.by, answer.reason), edited(message, value, directory))


def too_late(pages: Pages, item: str) -> UnknownItem | None:
    """What to tell whoever answers a question that is answered; None where the journal does not say how it ended."""
    ended = how_it_ended(pages, item)
    return UnknownItem(f"{item} was answered before: {ended}", hint="the first answer counts") if ended else None


def how_it_ended(pages: Pages, item: str) -> str:
    """By whom and how a question was answered, in words; empty where the journal does not say, or it is open.

    A call may be asked about several times (about a loop, then because it costs too much, then whether it happened): what decided the
    last of these questions counts. Where several people had to agree, all of them are named.
    """
    first = item.partition(".")[0]
    asked = pages.row(int(first)) if first.isascii() and first.isdigit() and len(first) < 19 else None
    ended = ""
    for row in pages.stream(asked.stream) if asked is not None else ():
        named = item in (row.cause, row.cause.removesuffix("!"))
        payload = bytes(row.payload)
        if (
            asked is None
            or row.gid < asked.gid
            or not (named or (b'"withdrawn"' in payload and item.encode() in payload))
        ):
            continue
        try:
            record = record_of(row)
        except UnderstudyError:  # what cannot be read is told by whoever looks at the run
            continue
        for effect in record.changes:
            if effect.id != item:
                continue
            if effect.state == "withdrawn":
                ended = ended or "nobody needed the answer any more, and it was withdrawn"
            elif effect.answer is None and effect.state in ("asking", "in_doubt"):
                ended = ""  # asked again, or a yes that others have to say, too
            elif effect.answer is not None and record.answer is not None:
                ended = _decided_by(effect.answer, effect.yes)
        if named and row.kind == "expired":
            ended = "nobody answered in time, which counted as no"
    return ended


def _decided_by(answer: Answer, yes: tuple[Answer, ...]) -> str:
    """The answer that decided, and those without which it would not have."""
    why = f" ({answer.reason})" if answer.reason else ""
    said = [one for one in yes if one.by != answer.by] if answer.decision in YES else []
    if not said:
        return f"{_word(answer)}, by {answer.by}{why}"
    all_of_them = (*said, answer)
    if len({one.decision for one in all_of_them}) == 1:
        return f"{_word(answer)}, by {' and '.join(one.by for one in all_of_them)}{why}"
    return f"{', '.join(f'{_word(one)} by {one.by}' for one in all_of_them)}{why}"


def _word(answer: Answer) -> str:
    return answer.decision.replace("_", " ")
