"""Actors that leave memory because somebody is about to change what the journal holds of them: retention erases the texts of runs that
are over. Only those of whom nothing is under way; everybody else stays as he is, and so do their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..protocols.ids import Address
from .releases import Keep

if TYPE_CHECKING:
    from .kernel import Kernel

ENDED = frozenset({"finished", "stopped", "absent"})


def let_go(kernel: Kernel, run: Address, addresses: Sequence[Address]) -> bool:
    """Whether nothing of this run is under way, and none of its actors is in memory any more. Whoever asks keeps them from being loaded
    until it is done.

    Args:
        kernel: the one in charge.
        run: the run.
        addresses: its actors.
    """
    sets = kernel.sets
    if kernel._mail_of.get(run) or sets.moving[run] or sets.asking[run]:
        return False
    if any(not _idle(kernel, address) for address in addresses):
        return False
    for address in addresses:
        cell = kernel.residents.cells.get(address)
        if cell is not None:
            kernel.residents.gone(cell)
            kernel._suspended.pop(address, None)
            kernel._aging.cells.pop(address, None)
    return True


def kept_by(kernel: Kernel) -> set[Address]:
    """Actors whose snapshots wait for a commit."""
    return {release.snapshot.address for _, release in kernel._outbox if isinstance(release, Keep)}


def _idle(kernel: Kernel, address: Address) -> bool:
    if kernel.sets.of.get(address) or address in kernel._held or address in kernel._door.waiting:
        return False
    cell = kernel.residents.cells.get(address)
    if cell is None:
        return True
    return (
        cell.loaded
        and not cell.queued
        and cell.gid <= kernel.acked
        and not cell.mailbox
        and not cell.mailbox.stashed()
        and cell.memory.life in ENDED
    )
