"""Snapshots: what an actor is after one of its rows, so that it need not be folded from the first one. Disposable.

A snapshot holds the state and all that is remembered besides it. It is taken only of what comes back from its JSON as it
was, stored only when its row is committed, and believed only if that row still has the hash that it had and the code has
the fingerprint that it had. Anything else is as if there were none: the rows are folded.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct

from ..protocols.codec import decode, encode
from ..protocols.errors import NotStorable, StateTooLarge
from ..protocols.journal import MAX_STATE, Snapshot
from .cell import Cell, Memory
from .fingerprint import fingerprint

EVERY = 200
"""Rows of one actor after which a snapshot is due."""

LEAVING = 100
"""Rows since the last one that make a snapshot worth its bytes when an actor leaves memory."""

BYTES = 1_000_000
"""Bytes of snapshots after which ``take`` leaves the rest for the next time: the pump is shared."""


class _Kept(Struct, frozen=True, forbid_unknown_fields=True):
    """The value of a snapshot."""

    state: Raw
    memory: Memory


def snapshot(cell: Cell) -> Snapshot | None:
    """One of a cell as it is now; None where it would not come back as it is, or where nobody would read it."""
    if cell.mount is None or cell.broken is not None or cell.state is None:
        return None
    try:
        state = encode(cell.state)
        value = encode(_Kept(Raw(state), cell.memory))
        back: _Kept = decode(value, _Kept)
        again = decode(back.state, type(cell.state))
        same = alike(again, cell.state) and encode(back.memory) == encode(cell.memory)
    except Exception:  # noqa: BLE001 - the state's own code ran, or it is too deep: what cannot be compared is not kept
        return None
    if not same:
        return None
    cell.weight = len(state)
    return Snapshot(cell.address, cell.gid, cell.memory.seq, fingerprint(cell.mount.actor), value.decode())


def schema_of(cell: Cell) -> str:
    """Under which fingerprint a snapshot of this cell would be believed; empty where none would."""
    return fingerprint(cell.mount.actor) if cell.mount is not None else ""


def restore(cell: Cell, kept: Snapshot) -> bool:
    """Put a new cell where a snapshot says. False, and nothing is changed, where it cannot be read."""
    if cell.mount is None or kept.schema != schema_of(cell):
        return False
    try:
        value: _Kept = decode(kept.state.encode(), _Kept)
        state = decode(value.state, cell.mount.actor.behaviour.state)
    except Exception:  # noqa: BLE001 - the state's own code ran: the rows are folded instead
        return False
    if value.memory.seq != kept.seq:
        return False
    cell.state, cell.memory = state, value.memory
    cell.gid, cell.kept, cell.weight = kept.gid, kept.seq, len(value.state)
    return True


def alike(one: Any, other: Any) -> bool:  # any values
    """Equality that sees into ``Raw``, which is equal only to itself. Types count: a list is no tuple."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Raw):
        return bytes(one) == bytes(other)
    if isinstance(one, Struct):
        return all(alike(getattr(one, name), getattr(other, name)) for name in one.__struct_fields__)
    if isinstance(one, dict):
        mine: dict[Any, Any] = one  # pyright: ignore[reportUnknownVariableType]
        theirs: dict[Any, Any] = other
        return list(mine) == list(theirs) and all(alike(value, theirs[key]) for key, value in mine.items())
    if isinstance(one, (list, tuple)):
        ours: list[Any] = list(one)  # pyright: ignore[reportUnknownArgumentType]
        others: list[Any] = list(other)
        return len(ours) == len(others) and all(map(alike, ours, others))
    return bool(one == other)


def weigh(cell: Cell, after: object) -> None:
    """Refuse a state that is too large. Asked only where the events since the last look could have made it so.

    Raises:
        StateTooLarge: it is, and was smaller before this turn: what makes it smaller again goes through.
    """
    try:
        size = len(encode(after))
        before = len(encode(cell.state)) if size > MAX_STATE else size
    except NotStorable:  # no JSON, so no snapshots either: nobody can say how large it is
        size = before = 0
    cell.weight = size  # only a bound, so it does no harm that the turn may still fail
    if size > MAX_STATE and size > before:
        raise StateTooLarge(
            f"the state of {cell.address} would be {size:,} bytes as JSON, more than {MAX_STATE:,}",
            hint="keep large values elsewhere and store their names, or spread them over several actors",
        )


class Aging:
    """Cells that have made so many rows since their last snapshot that one is due."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.cells: dict[str, Cell] = {}

    def take(self) -> list[Snapshot]:
        """Some of those that are due, at most about ``BYTES`` of them."""
        taken: list[Snapshot] = []
        size = 0
        while self.cells and size < BYTES:
            address = next(iter(self.cells))
            cell = self.cells.pop(address)
            made = snapshot(cell)
            cell.kept = cell.memory.seq  # also of one that cannot be stored: it is tried again after as many rows
            if made is not None:
                taken.append(made)
                size += len(made.state)
        return taken

    def leaving(self, cell: Cell) -> Snapshot | None:
        """One of a cell that leaves memory, where that is worth it."""
        self.cells.pop(cell.address, None)
        worth = cell.memory.life not in ("finished", "stopped") and cell.memory.seq - cell.kept >= min(
            LEAVING, self.every
        )
        return snapshot(cell) if worth else None
