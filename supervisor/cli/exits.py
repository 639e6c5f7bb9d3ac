"""Exit codes. Where several fit, the one that stands further down in ``ORDER`` is given."""

from __future__ import annotations

from typing import Final

from ...protocols.errors import JournalError
from ..journal.files import BadTarget

DONE: Final = 0
"""All is done."""

FAILED: Final = 1
"""Some run ended without what was asked of it: it failed, or said that it can't complete it; a replay differs, an audit lacks
something, something is stuck; or the output cannot be written."""

REFUSED: Final = 2
"""Bad usage, or bad input: something of it was refused, and the message says what. What was good did run."""

WAITING: Final = 3
"""Nothing failed; some runs wait for people, or for the target that made them."""

JOURNAL: Final = 4
"""The journal is held by another process, newer, damaged, read-only or full."""

INTERRUPTED: Final = 130
"""Interrupted, and drained. The same command goes on."""

ORDER: Final = (DONE, WAITING, FAILED, REFUSED, JOURNAL, INTERRUPTED)

HELP = """\b
Exit codes:
  0    all is done
  1    some run failed or can't be completed (or a replay differs, an audit lacks something)
  2    bad usage or input; what was good did run
  3    nothing failed, some runs wait for people
  4    the journal is held, newer, damaged, read-only or full
  130  interrupted and drained; the same command goes on"""


def worst(*codes: int) -> int:
    """The one to give."""
    return max(codes, key=ORDER.index, default=DONE)


def of_error(error: Exception) -> int:
    """The one for an error that ended a command."""
    return JOURNAL if isinstance(error, JournalError) and not isinstance(error, BadTarget) else REFUSED
