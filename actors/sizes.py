"""Sizes: what an effect may hold so that every row about it fits, and what a row leaves out that would not.

A row that settles an effect holds its outcome, and once more the effect as it was intended. Its intent stands in a row before,
so where both together come near the bound of a row, the ledger's last word on it does not say again what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Raw

from ..protocols.approvals import Question
from ..protocols.codec import NULL, encode
from ..protocols.effects import Effect
from ..protocols.errors import TooLarge
from ..protocols.failures import Failure, storable
from ..protocols.journal import MAX_MESSAGE, MAX_ROW

SMALL = 10_000
"""Bytes of arguments that need no look."""

IDS = 200
"""Ids of mail in one row of the system's: one has up to a few thousand bytes."""

TOLD = 500
"""Characters that are left of a failure's message where its row would be too large."""


def bounded(name: str, args: Raw, question: Question | None) -> None:
    """Refuse an intent whose rows might not fit. Raises TooLarge, NotStorable."""
    size = len(args) + (len(encode(question)) if question is not None else 0)
    if size > MAX_MESSAGE:
        raise TooLarge(
            f"{name}: what is intended is {size:,} bytes, more than {MAX_MESSAGE:,}",
            hint="keep large values elsewhere and give their names",
        )


def lean(effect: Effect, outcome: Raw) -> Effect:
    """A settled effect for a row that holds this outcome, too: as it is, or without what stands in earlier rows."""
    answer, question = effect.answer, effect.question
    size = len(outcome) + len(effect.args) + len(effect.tag)
    if answer is not None:
        size += len(answer.value)
    if question is not None:
        size += len(question.text)
    if size <= MAX_ROW // 2:
        return effect
    if answer is not None:
        answer = msgspec.structs.replace(answer, value=NULL)
    if question is not None:
        question = asked_briefly(question)
    return msgspec.structs.replace(effect, args=NULL, tag=NULL, answer=answer, question=question)


def asked_briefly(question: Question) -> Question:
    """The beginning of a question."""
    return msgspec.structs.replace(
        question,
        text=storable(question.text, TOLD),
        failure=None,
        options=(),
        unsure=storable(question.unsure, TOLD),
        form=NULL,
    )


def brief(failure: Failure) -> Failure:
    """The beginning of a failure, without its causes."""
    return msgspec.structs.replace(
        failure, message=storable(failure.message, TOLD), hint=storable(failure.hint, TOLD), cause=None
    )


def batched(ids: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Ids for rows of their own, so many in each that it fits; none for none."""
    for start in range(0, len(ids), IDS):
        yield tuple(ids[start : start + IDS])


def fitting(payload: bytes) -> bytes:
    """A row's JSON. Raises TooLarge where no journal takes it."""
    if len(payload) > MAX_ROW:
        raise TooLarge(
            f"the row is {len(payload):,} bytes, more than {MAX_ROW:,}",
            hint="keep large values elsewhere and store their names",
        )
    return payload
