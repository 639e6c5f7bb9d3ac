"""Failures as values. Tool, gate, model adapter and supervisor all speak this taxonomy.

A failure says what the one who has to deal with it can do next (``kind``), in words and as a stable ``code``, and
keeps what caused it. Exceptions that people meet in Python are in ``errors``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, cast, get_args

import msgspec
from msgspec import Struct

FailureKind = Literal["retry_now", "retry_later", "change_arguments", "abandon"]
"""What can be done: the same again at once; the same again after a while; other arguments; nothing."""

KINDS = get_args(FailureKind)

LONGEST = 20_000
"""Characters of a failure's text that are kept, where they were written for whoever reads it."""

RAISED = 2_000
"""Characters of any other exception's text that are kept."""

FOREVER = 1e12
"""Seconds to wait that are kept at most."""

DEEPEST = 16
"""Causes of an exception that are kept; they may go round in a circle."""


class Failure(Struct, frozen=True, omit_defaults=True):
    """One failure.

    Attributes:
        kind: what can be done about it.
        code: stable machine name, such as ``timeout`` or ``unknown_tool``.
        message: what happened and why, one line.
        hint: what to do next, one line; may be empty.
        after: seconds to wait before trying again; only with ``retry_later``.
        where: address of the actor or name of the tool that failed.
        cause: the failure behind this one.
    """

    kind: FailureKind
    code: str
    message: str
    hint: str = ""
    after: float | None = None
    where: str = ""
    cause: Failure | None = None

    def chain(self) -> tuple[Failure, ...]:
        """This failure and its causes, the first cause last."""
        links: list[Failure] = []
        link: Failure | None = self
        while link is not None:
            links.append(link)
            link = link.cause
        return tuple(links)

    def __str__(self) -> str:
        text = f"{self.code}: {self.message}"
        return f"{text} ({self.hint})" if self.hint else text


def text_of(thing: object) -> str:
    """What an exception or a value of somebody's code says of itself, as text that can be stored; empty where it cannot even do that."""
    try:
        return storable(str(thing))
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - somebody's ``__str__``: what is to be told is the failure, not the trouble with its text
        return ""


def storable(text: str, most: int = LONGEST) -> str:
    """Text as a journal can hold it: without lone surrogates, without secrets (``secrets``), and not longer than this."""
    for hide in _HIDING:
        text = hide(text)
    return text[:most].encode("utf-8", "replace").decode("utf-8")


_HIDING: list[Callable[[str], str]] = []


def hide_with(hide: Callable[[str], str]) -> None:
    """Have every text go through this before it is kept: said when this process gets to know of a secret."""
    _HIDING[:] = [hide]


def said(failure: Failure, depth: int = DEEPEST) -> Failure:
    """A failure that is somebody's code's, as a journal can hold it: its words, what can be done about it, and its causes."""
    message, hint, code, where = (
        text_of(part) for part in (failure.message, failure.hint, failure.code, failure.where)
    )
    kind: FailureKind = failure.kind if failure.kind in KINDS else "abandon"
    after = failure.after
    if isinstance(after, bool) or not isinstance(after, (int, float)) or not 0 <= after < math.inf:
        after = None
    elif after > FOREVER:  # a whole number of four hundred digits is no float
        after = FOREVER
    cause = failure.cause
    if cause is not None:
        cause = said(cause, depth - 1) if isinstance(cause, Failure) and depth else None
    if depth < DEEPEST:
        message = message[:RAISED]
    kept = Failure(kind, code, message or type(failure.message).__name__, hint[:RAISED], after, where[:RAISED], cause)
    return failure if kept == failure else kept


def leaves(error: BaseException) -> tuple[BaseException, ...]:
    """What an exception group is about, through groups in groups; of any other exception itself. Cancellations are left out where there is
    anything else: they came because of it."""
    if not isinstance(error, BaseExceptionGroup):
        return (error,)
    group = cast("BaseExceptionGroup[BaseException]", error)
    found = tuple(leaf for inner in group.exceptions for leaf in leaves(inner))
    return tuple(leaf for leaf in found if type(leaf).__name__ not in _CANCELLATIONS) or found


_CANCELLATIONS = ("CancelledError", "Cancelled")
"""Of asyncio and trio, which this floor does not import."""


def interruption(error: BaseException) -> KeyboardInterrupt | None:
    """Ctrl-C of whoever sits at the terminal, also where a group holds it; None where there is none. It is nobody's failure."""
    return next((leaf for leaf in leaves(error) if isinstance(leaf, KeyboardInterrupt)), None)


def of_exception(error: BaseException, *, where: str = "", code: str = "crashed", depth: int = DEEPEST) -> Failure:
    """An exception as a failure that cannot be retried, with its causes: what a group holds, ``__cause__``, else ``__context__``; so many
    at most."""
    below = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    name = type(error).__name__
    inside = leaves(error)
    if inside[0] is not error:
        inside += (below,) if below is not None else ()
        links = [
            link for one in inside for link in of_exception(one, where=where, code="cause", depth=depth - 1).chain()
        ]
        cause: Failure | None = None
        for link in reversed(links[:depth]):
            cause = msgspec.structs.replace(link, cause=cause)
        return Failure("abandon", code, storable(f"{name}: {text_of(error)}", RAISED), where=where, cause=cause)
    return Failure(
        kind="abandon",
        code=code,
        message=storable(f"{name}: {text_of(error) or name}", RAISED),
        where=where,
        cause=of_exception(below, where=where, code="cause", depth=depth - 1) if below is not None and depth else None,
    )
