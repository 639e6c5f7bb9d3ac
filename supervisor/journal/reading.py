"""What a damaged row is to whoever reads it: not a traceback, but ``JournalDamaged`` with the row and what to do next."""

from __future__ import annotations

import struct
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import msgspec

from ...protocols.errors import JournalDamaged
from ...protocols.ids import Address
from ...protocols.journal import Row
from .chain import content, genesis, link
from .reader import JournalReader

HINT = "'understudy journal verify' says what else is damaged; the file was left as it is: restore a backup beside it"

_UNREADABLE = (msgspec.MsgspecError, ValueError, TypeError, LookupError, RecursionError, AssertionError, struct.error)
"""What folding bytes that are no longer what was written comes to."""


@contextmanager
def reading(what: str) -> Generator[None]:
    """Something is read that stands in the journal. ``what`` completes "… cannot be read".

    Raises:
        JournalDamaged: it is not what this version, or any, wrote.
    """
    try:
        yield
    except _UNREADABLE as error:
        raise JournalDamaged(f"{what} cannot be read: {error}", hint=HINT) from error


def row_name(row: Row) -> str:
    """A row as people find it."""
    return f"row {row.gid} ({row.stream!r}, its row {row.seq})"


_LINKS = """SELECT r.gid, r.hash, r.digest, p.hash FROM rows r LEFT JOIN rows p ON p.gid = r.gid - 1
    WHERE r.stream = (SELECT id FROM streams WHERE address = ?)"""


def must_fit(reader: JournalReader, address: Address, rows: Sequence[Row]) -> None:
    """Look whether an actor's rows still have the hashes that they were written with.

    Raises:
        JournalDamaged: one has not; the first is named.
    """
    links = {gid: (stands, erased, before) for gid, stands, erased, before in reader.query(_LINKS, str(address))}
    for row in rows:
        stands, erased, before = links.get(row.gid, (b"", None, None))
        if row.gid == 1:
            before = genesis(reader.meta().get("seed", ""))
        with reading(row_name(row)):
            fits = link(before, row, erased or content(row.cause, bytes(row.payload))) == stands
        if not fits:
            raise JournalDamaged(f"{row_name(row)} is not what was written: its hash does not fit", hint=HINT)
