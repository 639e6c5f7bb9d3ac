"""The exceptions that people meet. Few and narrow; each keeps its cause and carries a hint what to do next."""

from __future__ import annotations

from .failures import Failure


class UnderstudyError(Exception):
    """Everything that Understudy raises on purpose. ``hint`` says what to do next."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        text = super().__str__()
        return f"{text}\n  {self.hint}" if self.hint else text


class DefinitionError(UnderstudyError):
    """A class, tool, agent or supervisor is declared in a way that cannot work. Raised when it is defined, never later."""


class BadArgument(DefinitionError, ValueError, TypeError):
    """What a public method was given makes no sense: a negative ``timeout``, a name that is none. The message names the argument, and
    nothing was sent. A ``ValueError`` and a ``TypeError`` as well, for who expects Python's own."""


class NotStorable(UnderstudyError):
    """What a turn made does not come back from its JSON as it was: NaN, a tuple under ``Any``, a wrong field type."""


class TooLarge(NotStorable):
    """A row over 1 MB, or a message from outside over 500 kB. Store the value elsewhere and keep its name."""


class TooComplex(NotStorable):
    """JSON that is nested too deeply or has too many members. Refused before it is decoded, however small it is."""


class StateTooLarge(TooLarge):
    """A turn made an actor's state larger than 4 MB. Keep large values elsewhere and store their names."""


class Unreadable(UnderstudyError):
    """What stands in the journal was written by code that this code does not know. It is left as it is."""


class Rejected(UnderstudyError):
    """Raised *by a handler* to refuse a message: a typed answer to the caller, not a crash. The turn leaves nothing else."""


class Ignore(UnderstudyError):
    """Raised by a ``us.Started`` handler whose supervisor starts it: there is nothing to do. Nothing runs, and that is no failure."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason or "there is nothing to do")


class AskFailed(UnderstudyError):
    """An ask from outside ended without an answer. ``failure`` says why: ``rejected``, ``parked``, ``stopped``, ``timeout`` …"""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.code}: {failure.message}", hint=failure.hint)
        self.failure = failure


class RunFailed(UnderstudyError):
    """A run ended without the output that was asked for. ``failure`` says why, partial results are in the run's result."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.code}: {failure.message}", hint=failure.hint)
        self.failure = failure


class WaitingForPerson(UnderstudyError):
    """A run has no output yet: everything it could do alone is done. ``items`` are the ids to answer."""

    def __init__(self, message: str, items: tuple[str, ...], *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.items = items


class UnknownItem(UnderstudyError):
    """No open approval, escalation or doubtful call has that id (it may have been answered already)."""


class WrongAnswer(UnderstudyError):
    """The item is open, but this answer does not fit it: a call in doubt, say, cannot just be approved."""


class SystemStopped(UnderstudyError):
    """The system no longer takes messages: it was closed, or its journal failed three times in a minute."""


class InsideLoop(UnderstudyError):
    """``us.run`` was called inside a running event loop, where it would block it. Use ``await system.run(…)``."""


class MissingExtra(UnderstudyError):
    """An optional library is not installed. The hint is the ``pip install`` line."""


class MissingKey(UnderstudyError):
    """A model needs a key and its environment variable is not set. The message names the variable."""


class TargetError(UnderstudyError):
    """``module:name`` could not be imported, or is not something that can run. Keeps the cause."""


class JournalError(UnderstudyError):
    """The journal could not do what it was asked; nothing was acknowledged falsely."""


class JournalHeld(JournalError):
    """Another process owns the journal. ``pid`` is its process id, 0 where it is not known."""

    def __init__(self, message: str, *, pid: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.pid = pid


class JournalNewer(JournalError):
    """The file was written by a newer version. It was not touched."""


class JournalDamaged(JournalError):
    """The file does not hold what it acknowledged, or a row cannot be read. It was not touched."""


class JournalReadOnly(JournalError):
    """The file or its folder cannot be written."""


class JournalFull(JournalError):
    """No space left on the device, or an I/O error, while writing. Reading goes on."""


class Failed(UnderstudyError):
    """A failure on its way through Python code. Raised by tools and adapters (as one of the four classes below) and by
    ``Outcome.value`` where there is none."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message, hint=failure.hint)
        self.failure = failure


class RetryNow(Failed):
    """Raised by a tool: it did not happen; the same call may be tried again at once."""

    def __init__(self, message: str, *, code: str = "try_again") -> None:
        super().__init__(Failure("retry_now", code, message))


class RetryLater(Failed):
    """Raised by a tool: it did not happen; the same call may work ``after`` seconds from now (None: as the tool's retry policy says)."""

    def __init__(self, message: str, *, after: float | None = None, code: str = "busy") -> None:
        super().__init__(Failure("retry_later", code, message, after=after))


class ChangeArguments(Failed):
    """Raised by a tool: it did not happen and never will with these arguments; ``hint`` says what would be right."""

    def __init__(self, message: str, *, hint: str = "", code: str = "bad_arguments") -> None:
        super().__init__(Failure("change_arguments", code, message, hint=hint))


class Abandon(Failed):
    """Raised by a tool: it did not happen, and there is no point in trying again."""

    def __init__(self, message: str, *, hint: str = "", code: str = "refused") -> None:
        super().__init__(Failure("abandon", code, message, hint=hint))
