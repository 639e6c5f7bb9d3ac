"""Snapshots in the file: written outside of every append, read back only where they belong to a row that stands there."""

from __future__ import annotations

from ...protocols.ids import Address
from ...protocols.journal import Snapshot
from .connect import transaction
from .driver import Connection

# A snapshot of a row that is not (or no longer) committed finds no row, and is not kept.
_WRITE = """INSERT INTO snapshots (stream, gid, seq, hash, schema, state)
    SELECT r.stream, r.gid, r.seq, r.hash, ?, ? FROM rows r JOIN streams s ON s.id = r.stream
     WHERE r.gid = ? AND r.seq = ? AND s.address = ?
    ON CONFLICT (stream) DO UPDATE SET gid = excluded.gid, seq = excluded.seq, hash = excluded.hash,
        schema = excluded.schema, state = excluded.state WHERE excluded.gid >= snapshots.gid"""

_READ = """SELECT n.gid, n.seq, n.schema, n.state FROM snapshots n
    JOIN streams s ON s.id = n.stream
    JOIN rows r ON r.gid = n.gid AND r.stream = n.stream AND r.seq = n.seq AND r.hash = n.hash AND r.digest IS NULL
    WHERE s.address = ?"""


def write(connection: Connection, snapshots: tuple[Snapshot, ...]) -> None:
    """Keep them, each in the place of an older one, all in one transaction."""
    if not snapshots:
        return
    with transaction(connection):
        for kept in snapshots:
            connection.execute(_WRITE, (kept.schema, kept.state, kept.gid, kept.seq, kept.address))


def read(connection: Connection, address: Address) -> Snapshot | None:
    """The snapshot of an actor, if its row is the one it was taken at."""
    found = connection.execute(_READ, (address,)).fetchone()
    return Snapshot(address, *found) if found is not None else None
