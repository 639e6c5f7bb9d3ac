"""A family of runs: one that a task from outside began, all to which it handed tasks on, and theirs. How many tasks it has handed on in all
stands in the gate's books; a turn that wants to hand one on is told, and its row holds the new number.

So replay knows it from the row itself, also from one in which nothing more was let through, and a row of before is decided without.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Raw, Struct

from ..protocols.books import Entry
from ..protocols.codec import decode, encode
from ..protocols.envelope import Context
from ..protocols.ids import Address
from ..protocols.journal import Record
from .drawing import RUN
from .hands import hop_of
from .registry import Directory

FAMILY: Final = "family/"
"""Keys in the books: of each family that has handed anything on, by the address of the run that it began with."""

CHECK: Final = "limits.family"


class Family(Struct, frozen=True):
    """A line of the books; never struck out. ``handed``: tasks handed on so far; it only grows."""

    handed: int = 0


def key_of(context: Context, me: Address, among: Directory | None) -> str:
    """Which family an actor belongs to in a turn: that of the first run on the way of its task. An actor that is no run, and lives for
    ever, begins none."""
    for one in (context.run, *(hop_of(hop)[0] for hop in context.via)):
        mount = among.find(Address(one)) if one and among is not None else None
        if mount is not None and RUN in mount.template:
            return FAMILY + one
    return FAMILY + me


def handed_by(books: Mapping[str, Entry], key: str) -> int:
    """How many tasks a family has handed on."""
    entry = books.get(key)
    return 0 if entry is None else decode(entry.value, Family).handed


def counted(key: str, handed: int) -> Entry:
    """The line of a family that has handed on so many."""
    return Entry(key, Raw(encode(Family(handed))))


def known_to(record: Record) -> Mapping[str, Entry] | None:
    """What the turn of this row was told: what its row says, without what it handed on itself. None where it asked for nothing."""
    for entry in record.books:
        if entry.key.startswith(FAMILY):
            said = (v.verdict for effect in record.effects for v in effect.verdicts if v.check == CHECK)
            more = sum(verdict == "allow" for verdict in said)
            return {entry.key: counted(entry.key, decode(entry.value, Family).handed - more)}
    return None
