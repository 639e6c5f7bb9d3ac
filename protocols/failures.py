"""Failures as values. Tool, gate, model adapter and supervisor all speak this taxonomy.

A failure says what the one who has to deal with it can do next (``kind``), in words and as a stable ``code``, and
keeps what caused it. Exceptions that people meet in Python are in ``errors``.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

FailureKind = Literal["retry_now", "retry_later", "change_arguments", "abandon"]
"""What can be done: the same again at once; the same again after a while; other arguments; nothing."""


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


def of_exception(error: BaseException, *, where: str = "", code: str = "crashed") -> Failure:
    """An exception as a failure that cannot be retried, with its causes (``__cause__``, else ``__context__``)."""
    below = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    text = str(error) or type(error).__name__
    return Failure(
        kind="abandon",
        code=code,
        message=f"{type(error).__name__}: {text}"[:2_000].encode("utf-8", "replace").decode("utf-8"),
        where=where,
        cause=of_exception(below, where=where, code="cause") if below is not None else None,
    )
