"""What every back-end asks of a batch before it writes anything.

``check`` is called with what the back-end believes of its tail; it returns the new seq of each stream the batch touches
or raises, and then nothing is written. It is the last line of defence: a kernel that works never sees it raise.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ...protocols.codec import decode
from ...protocols.errors import JournalDamaged, JournalError, TooLarge
from ...protocols.ids import Address
from ...protocols.journal import MAX_ROW, Batch, Record, Row


class SystemFacts(msgspec.Struct, frozen=True):
    """What a batch says of the journal itself.

    Attributes:
        epoch: how often it has been taken over; None where the batch says nothing of it.
        clean: whether its last row is a stop in order.
    """

    epoch: int | None
    clean: bool


def check(batch: Batch, last: int, at: float, seq_of: Callable[[Address], int]) -> dict[Address, int]:
    """The new seq of each stream.

    Raises:
        JournalError: the batch does not follow the last row.
        TooLarge: a payload is over MAX_ROW bytes.
    """
    if not batch.rows:
        raise JournalError(
            "a batch without rows cannot be appended",
            hint="working sets are folds over the rows: what changes them is a row",
        )
    seqs: dict[Address, int] = {}
    for row in batch.rows:
        stream = row.stream
        if row.gid != last + 1:
            raise JournalError(f"row {row.gid} does not follow row {last}")
        seq = seqs.get(stream)
        if seq is None:
            seq = seq_of(stream)
        if row.seq != seq + 1:
            raise JournalError(f"row {row.gid} is number {row.seq} of {stream!r}, which stands at {seq}")
        if not row.at >= at:
            raise JournalError(f"row {row.gid} is at {row.at!r}, before the row before it ({at!r})")
        if len(row.payload) > MAX_ROW:
            raise TooLarge(
                f"row {row.gid} of {stream!r} has {len(row.payload):,} bytes; {MAX_ROW:,} are allowed",
                hint="store the value elsewhere and keep its name",
            )
        last, at = row.gid, row.at
        seqs[stream] = row.seq
    return seqs


def system_facts(rows: tuple[Row, ...]) -> SystemFacts:
    """Read a batch's system rows: a note with ``epoch`` is a takeover, a last row with ``stopped`` a stop in order."""
    epoch: int | None = None
    clean = False
    for row in rows:
        if row.kind != "system":
            clean = False
            continue
        note = record_of(row).note
        clean = "stopped" in note
        if "epoch" in note:
            epoch = int(note["epoch"])
    return SystemFacts(epoch, clean)


def record_of(row: Row) -> Record:
    """The payload of a row.

    Raises:
        JournalDamaged: it is not a record.
    """
    try:
        record: Record = decode(row.payload, Record)
        return record
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise JournalDamaged(f"row {row.gid} of {row.stream!r} cannot be read: {error}") from error
