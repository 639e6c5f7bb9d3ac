"""The gate's books: what it keeps beyond one actor, such as budgets, rates, breakers and standing approvals.

An entry is a key and a value, and the row that changes one holds its new value (``Record.books``): the books are a fold over rows like any
other working set, and survive whatever the journal survives. Only the gate reads them and says what changes; the kernel carries
them. Keys are paths, the first segment says whose they are: ``budget/…``, ``rate/…``, ``breaker/…``, ``grant/…``, ``family/…``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Raw, Struct

from .codec import NULL, decode, encode

T = TypeVar("T")


class Entry(Struct, frozen=True, omit_defaults=True, gc=False):
    """One line of the books.

    Attributes:
        key: its path; never changes.
        value: its newest value as JSON; null where the entry is struck out.
        gid: the row that wrote it; 0 in that row itself.
    """

    key: str
    value: Raw = NULL
    gid: int = 0


class Books:
    """The books as one decision sees them: what stands, and on top what the decision itself has written so far."""

    __slots__ = ("_standing", "_written")

    def __init__(self, standing: Mapping[str, Entry]) -> None:
        self._standing = standing
        self._written: dict[str, Entry] = {}

    def read(self, key: str, form: type[T]) -> T | None:
        """The value under a key; None where there is none.

        Raises:
            msgspec.ValidationError: it is of another type.
        """
        entry = self._written.get(key) or self._standing.get(key)
        if entry is None or entry.value == NULL:
            return None
        value: T = decode(entry.value, form)
        return value

    def write(self, key: str, value: Any) -> None:  # whatever the reader of that key reads
        """Put a value under a key. (``strike`` takes one out.)"""
        self._written[key] = Entry(key, Raw(encode(value)))

    def strike(self, key: str) -> None:
        """Strike an entry out. One that is not there stays so."""
        if key in self._standing:
            self._written[key] = Entry(key)
        else:
            self._written.pop(key, None)

    def under(self, prefix: str) -> Iterator[str]:
        """Keys that begin so, the oldest entry first. Looks at all of them: for what is rare."""
        for key in (*self._standing, *(key for key in self._written if key not in self._standing)):
            if key.startswith(prefix) and (entry := self._written.get(key) or self._standing[key]).value != NULL:
                yield entry.key

    @property
    def changes(self) -> tuple[Entry, ...]:
        """What was written: for the row."""
        return tuple(self._written.values())


def kept(standing: dict[str, Entry], entry: Entry, gid: int) -> None:
    """Fold an entry of row ``gid`` in."""
    if entry.value == NULL:
        standing.pop(entry.key, None)
    else:
        standing[entry.key] = msgspec.structs.replace(entry, gid=gid)
