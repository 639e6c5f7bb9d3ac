"""Three releases of one actor, whose event changed its fields, its version and its name, and rows as each wrote them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec import Raw, json

import understudy as us
from understudy.actors.cell import Cell, read_record
from understudy.actors.registry import Mount
from understudy.protocols.codec import encode
from understudy.protocols.ids import Address
from understudy.protocols.journal import Row, StoredEvent
from understudy.supervisor.journal import schema
from understudy.supervisor.journal.driver import choose


def in_cents(data: dict[str, Any]) -> dict[str, Any]:
    return {"cents": data["euros"] * 100}


def by_somebody(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "by": "somebody"}


class Paid1(us.Event, wire="paid"):
    euros: int


class Paid2(us.Event, wire="paid", version=2, upcasters={1: in_cents}):
    cents: int


class Received(us.Event, version=3, upcasters={1: in_cents, 2: by_somebody}, was=("paid",)):
    cents: int
    by: str


class Total(us.State):
    cents: int = 0


class First(us.Actor):
    State = Total

    @us.applies(Paid1)
    def paid(self, state: Total, event: Paid1) -> Total:
        return state.evolve(cents=state.cents + event.euros * 100)


class Second(us.Actor):
    State = Total

    @us.applies(Paid2)
    def paid(self, state: Total, event: Paid2) -> Total:
        return state.evolve(cents=state.cents + event.cents)


class Third(us.Actor):
    State = Total

    @us.applies(Received)
    def received(self, state: Total, event: Received) -> Total:
        return state.evolve(cents=state.cents + event.cents)


RELEASES: tuple[us.Actor, ...] = (First(), Second(), Third())


def stored(release: int, euros: int) -> StoredEvent:
    """The event as this release stores it."""
    event = (Paid1(euros), Paid2(euros * 100), Received(euros * 100, "ada"))[release]
    return StoredEvent(event.__wire__, Raw(encode(event)), event.__version__)


def worth(event: StoredEvent) -> int:
    """What it says, in cents, as somebody would read it who knows all three forms."""
    data: dict[str, int] = json.decode(event.data)
    return data["cents"] if "cents" in data else data["euros"] * 100


def replayed(address: Address, rows: Iterable[Row], release: int) -> int:
    """The state of this release's actor after all its rows."""
    cell = Cell(address, Mount(address, RELEASES[release], Address(""), ""))
    for row in rows:
        cell.fold(row, read_record(row))
    assert isinstance(cell.state, Total)
    return cell.state.cents


def made_old(path: Path) -> None:
    """The closed journal as version 1 of the format would have written it."""
    connection = choose().connect(f"file:{path}")
    try:
        for table in ("keys", "snapshots", "books"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("PRAGMA user_version = 1")
        assert not list(schema.differences(connection, 1))
    finally:
        connection.close()
