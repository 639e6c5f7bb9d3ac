"""The logger that a call hands its tool: the standard library's, under ``understudy.tool``, each record with the call that it is about.

What is logged is the program's to keep, like all of the library's own log; nothing of it stands in the journal. Secrets that this process
knows are hidden before any handler sees the record.
"""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Callable, MutableMapping
from typing import Any

from msgspec import Struct

from .failures import storable, text_of
from .secrets import is_hiding

NAME = "understudy.tool"

LONGEST = 10_000
"""Characters of one record that are kept."""


class Line(Struct, frozen=True):
    """A record on its way from the process of a call."""

    level: int
    text: str


class ToolLog(logging.LoggerAdapter[logging.Logger]):
    """As any logger. Each record has the attributes ``tool``, ``call`` (its id), ``run``, ``agent`` and ``attempt``."""

    def __init__(self, *, tool: str, call: str, run: str, agent: str, attempt: int) -> None:
        super().__init__(_LOGGER, {"tool": tool, "call": call, "run": run, "agent": agent, "attempt": attempt})

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Adds the call to what its author says of a record (``extra=``)."""
        kwargs["extra"] = {**(kwargs.get("extra") or {}), **(self.extra or {})}
        return msg, kwargs

    def pass_on(self, line: Line) -> None:
        """Log what the process of the call has logged."""
        self.log(line.level, "%s", line.text)


class _Told(logging.Filter):
    """Says of which call a record is, and hides what is secret."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = _text(record)
        if record.exc_info and is_hiding():  # no formatter would hide what a traceback holds
            text = f"{text}\n{_trace(record)}"
            record.exc_info = record.exc_text = None
        record.msg, record.args = storable(f"{_of(record)}{text}", LONGEST), None
        return True


def _text(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit the text, or cannot be shown: no reason for the call to fail
        return text_of(record.msg)


def _trace(record: logging.LogRecord) -> str:
    return "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""


def _of(record: logging.LogRecord) -> str:
    known = record.__dict__
    return f"{known['tool']} {known['call']} of {known['run']}: " if known.get("call") else ""


_LOGGER = logging.getLogger(NAME)
_LOGGER.addFilter(_Told())


def level() -> int:
    """From which on records are wanted, as this program has it."""
    return _LOGGER.getEffectiveLevel()


class _Sends(logging.Handler):
    def __init__(self, send: Callable[[Line], None]) -> None:
        super().__init__()
        self.send = send

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{_text(record)}\n{_trace(record)}".rstrip("\n")
        with contextlib.suppress(OSError):  # the program is gone, and this process will be, too
            self.send(Line(record.levelno, storable(text, LONGEST)))


def send_to(send: Callable[[Line], None], wanted: int) -> None:
    """Have all records of this process go there: it runs one call and nothing else. Whoever gets them says of which call they are."""
    _LOGGER.filters.clear()
    _LOGGER.handlers[:] = [_Sends(send)]
    _LOGGER.setLevel(max(1, wanted))
    _LOGGER.propagate = False
