"""What a caller gets for a run: its output in its type, or a clear word why there is none yet."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Raw

from ..protocols.codec import decode
from ..protocols.errors import AskFailed, RunFailed, WaitingForPerson
from ..protocols.failures import Failure
from ..protocols.tasks import Result, RunStatus
from .inbox import InboxItem

T = TypeVar("T")


class RunResult(Generic[T]):
    """What came of a run so far.

    Attributes:
        id: the run's id; give it again to go on or to get the recorded answer.
        status: done, cannot, failed, or ``waiting`` for people.
        result: the recorded result; None while waiting.
        waiting: what people have to answer.
    """

    def __init__(self, id: str, form: Any, result: Result | None, waiting: tuple[InboxItem, ...], journal: str) -> None:
        self.id = id
        self.result = result
        self.waiting = waiting
        self._form = form
        self._journal = journal

    @property
    def status(self) -> RunStatus | str:
        """done, cannot, failed or waiting."""
        return self.result.status if self.result is not None else "waiting"

    @property
    def output(self) -> T:
        """The answer, in the agent's output type.

        Raises:
            WaitingForPerson: the run needs an approval or an answer first.
            RunFailed: it ended without one; the partial results are in ``result.output``.
        """
        if self.result is None:
            if not self._journal and self.waiting and self.waiting[0].failure is not None:
                raise RunFailed(self.waiting[0].failure)  # in memory: nobody could ever answer
            shown = "; ".join(f"{entry.id}: {entry.text}" for entry in self.waiting)
            items = tuple(entry.id for entry in self.waiting)
            hint = "give the run an id, so that it is kept while people think"
            if items and self._journal:
                hint = f"{_how(self.waiting[0])} --journal {self._journal}' (or reject), then run it again with the same id"
            raise WaitingForPerson(f"run {self.id!r} waits for a person: {shown}", items, hint=hint)
        if self.result.status != "done":
            code = "cannot_complete" if self.result.status == "cannot" else "failed"
            raise RunFailed(self.result.failure or Failure("abandon", code, self.result.reason, where=self.result.by))
        try:
            output: T = decode(self.result.output, self._form)
        except msgspec.ValidationError as error:
            why = f"what was answered does not fit its type: {error}"
            raise RunFailed(Failure("abandon", "schema_drift", why, where=self.result.by)) from error
        return output

    def __repr__(self) -> str:
        return f"<run {self.id} {self.status}>"


def in_its_type(answer: Raw, form: Any) -> Any:  # a type form and its value
    """An answer as its asker takes it. Raises AskFailed (``schema_drift``) where it does not fit."""
    try:
        return decode(answer, form)
    except msgspec.ValidationError as error:
        said, hint = (
            f"the answer does not fit its type: {error}",
            "whoever answered knows this request with another type",
        )
        raise AskFailed(Failure("abandon", "schema_drift", said, hint)) from error


def recorded(answer: Raw) -> Result:
    """A recorded answer as a run's result. What a plain actor answered to a request of its own is its output."""
    try:
        result: Result = decode(answer, Result)
    except msgspec.ValidationError:
        return Result("done", output=answer)
    return result


def _how(item: InboxItem) -> str:
    """The beginning of the command that answers it, in words."""
    if "approve" in item.answers:
        return f"answer with 'understudy approve {item.id}"
    if "answer" in item.answers:
        return f"answer with 'understudy answer {item.id} VALUE"
    return f"see what it takes with 'understudy show {item.id}"
