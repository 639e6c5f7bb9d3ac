"""The board of a team: entries that all of it may read and write, each with a version.

A write names the version that it goes out from. If another came first it is a *lost race*: a conflict of two values, which the team's
``us.Conflicts(entries=…)`` decides. Versions come from one counter for the whole board, so an entry that is dropped and made again never
has an old one.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from .codec import NULL, roundtrip
from .conflicts import Decided
from .errors import NotStorable
from .ids import Address
from .messages import Request
from .provenance import Provenance

MAX_ENTRIES = 1_000
MAX_VALUE = 64_000
"""Bytes of one entry's value as JSON."""
MAX_BOARD = 2_000_000
"""Bytes of all values."""
MAX_KEY = 200
"""Characters of an entry's key."""
MAX_REASON = 1_000
"""Characters of why somebody writes."""
MAX_DISPUTES = 16
"""Lost races of one board that judges or people may be deciding at a time."""


def board_of(team: str) -> Address:
    """Where a team's board is."""
    return Address(f"{team}/shared/board")


class BoardEntry(Struct, frozen=True, omit_defaults=True):
    """An entry as it stands.

    Attributes:
        key: its name.
        value: as JSON; null where there is none.
        version: what a write has to name; 0 where there is no entry. It never goes back.
        by: who wrote it.
        at: journal time of that.
        confidence: how sure its writer was, from 0 to 1; None where it did not say.
        disputed: a lost race for it is being decided; until then nobody else may write it.
        outside: its writer is a caller that is no actor.
        provenance: where the value comes from, in the board's own memory; None where nothing is to be feared of it. Who reads the entry
            takes it on without seeing it.
    """

    key: str
    value: Raw = NULL
    version: int = 0
    by: str = ""
    at: float = 0.0
    confidence: float | None = None
    disputed: bool = False
    outside: bool = False
    provenance: Provenance | None = None

    @property
    def plain(self) -> Any:  # whatever JSON holds
        """The value as plain Python."""
        return msgspec.json.decode(self.value)


class BoardWritten(Struct, frozen=True, omit_defaults=True):
    """What came of a write.

    Attributes:
        won: the value that was given stands.
        entry: the entry as it stands now; read it before you write again.
        decided: how the lost race was decided, where there was one.
    """

    won: bool
    entry: BoardEntry
    decided: Decided | None = None


class BoardRead(Request[BoardEntry], wire="us.board_read"):
    """Read an entry. One that is not there has version 0."""

    key: str


class BoardKeys(Request[dict[str, int]], wire="us.board_keys"):
    """The keys of all entries, with their versions."""


class BoardWrite(Request[BoardWritten], wire="us.board_write"):
    """Write an entry if it has still the version that was read.

    Attributes:
        key: its name, 1 to 200 characters.
        value: as JSON; ``BoardWrite.of`` takes plain Python.
        expected: the version that was read; 0 where there was none.
        confidence: from 0 to 1, for ``us.weighted``; None for not said.
        reason: why, one line of at most 1,000 characters; kept with the claim.
        by: who writes, for a caller that is no actor: a name that nobody in the team has.
    """

    key: str
    value: Raw
    expected: int
    confidence: float | None = None
    reason: str = ""
    by: str = ""

    @classmethod
    def of(cls, key: str, value: object, expected: int) -> BoardWrite:
        """A write of plain Python: numbers, text, lists, dicts, structs.

        Raises:
            NotStorable: JSON does not hold it, or would give a list for a tuple.
        """
        data, _ = roundtrip(_plain(value), Any)
        return cls(key, data, expected)


def _plain(value: object) -> object:
    try:
        plain: object = msgspec.to_builtins(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise NotStorable(f"{type(value).__name__} cannot be stored: {error}") from error
    return plain


class BoardDrop(Request[BoardWritten], wire="us.board_drop"):
    """Take an entry away if it has still the version that was read. A lost race only loses: what stands stays."""

    key: str
    expected: int
    by: str = ""
