"""From ``sys.argv`` to an exit code: what a command raises becomes a message that says what to do next."""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import cast

import click
import msgspec

from ...protocols.errors import JournalDamaged, UnderstudyError
from ..journal.reading import HINT
from . import exits
from .app import app
from .plain import plain, plain_json

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class _Lines(logging.Formatter):
    """``understudy: what happened (error=…)``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback where there is one."""
        facts = ", ".join(f"{key}={value}" for key, value in vars(record).items() if key not in _PLAIN)
        text = f"understudy: {record.getMessage()}" + (f" ({facts})" if facts else "")
        return plain(f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text)


def run(arguments: list[str] | None) -> int:
    """Run a command and give its exit code."""
    typed = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in typed
    _fill_closed()
    _log_to_stderr()
    try:
        code = app.main(typed, prog_name="understudy", standalone_mode=False)
        sys.stdout.flush()
    except (click.Abort, KeyboardInterrupt):
        code = _say("interrupted; whatever was acknowledged is in the journal", "", exits.INTERRUPTED, as_json)
    except click.ClickException as error:
        if as_json:
            code = _say(error.format_message(), "", exits.REFUSED, as_json)
        else:
            error.show()
            code = exits.REFUSED
    except BrokenPipeError:  # `understudy show … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = exits.DONE
    except OSError as error:
        if error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries it again at its end
        code = _say(f"the output cannot be written: {error.strerror}", "", exits.FAILED, as_json=False)
    except Exception as error:
        found = _leaf(error)
        if not isinstance(found, UnderstudyError):
            raise
        hint = found.hint or (HINT if isinstance(found, JournalDamaged) else "")
        code = _say(str(found.args[0]), hint, exits.of_error(found), as_json, type(found).__name__)
    code = code if isinstance(code, int) else exits.DONE
    return _leave(code) if arguments is None else code


def _fill_closed() -> None:
    """A standard stream that was closed (``>&-``): the next file to be opened, a journal perhaps, would take its place.

    What is written to a closed output fails, as on a full disk; messages for people go nowhere.
    """
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY))
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison]
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


def _leaf(error: BaseException) -> BaseException:
    """Task groups wrap what went wrong in them; the first of it is what people want to read."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    return _leaf(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])


def _say(message: str, hint: str, code: int, as_json: bool, kind: str = "") -> int:
    if as_json:
        error = {"type": kind, "message": message, "hint": hint}
        print(plain_json(msgspec.json.encode({"error": error, "exit": code}).decode()))
    else:
        print(plain(f"understudy: {message}" + (f"\n  {hint}" if hint else "")), file=sys.stderr)
    return code


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines())
    library = logging.getLogger("understudy")
    library.handlers[:] = [handler]
    library.setLevel(logging.WARNING)
    library.propagate = False


def _leave(code: int) -> int:
    """Python waits for every thread at exit. A tool that hangs in one was given its time when the system drained."""
    if any(thread is not threading.main_thread() and not thread.daemon for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code
