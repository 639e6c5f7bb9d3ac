"""What an agent can do inside its team: read and write the board, take and give back a lease, hand a task over."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from ..protocols.board import BoardDrop, BoardEntry, BoardKeys, BoardRead, BoardWrite, BoardWritten, board_of
from ..protocols.ids import Address, address
from ..protocols.leases import MAX_RESOURCE, MAX_SECONDS, Lease, LeaseAcquire, LeaseRelease, lease_of
from ..protocols.messages import Request
from ..protocols.tasks import Result, Task
from .inside import inside, only_there

Key = Annotated[str, Meta(description="Name of the entry, such as findings/may.")]
Expected = Annotated[int, Meta(description="The version that you read; 0 where there was no entry.", ge=0)]
Resource = Annotated[
    str, Meta(description=f"Its name, as all who work on it call it; {MAX_RESOURCE} characters at most.")
]
Seconds = Annotated[float, Meta(description="For how long, in seconds. If missing: 300.", gt=0, le=MAX_SECONDS)]
Wait = Annotated[float, Meta(description="Seconds to wait for it where somebody has it. If missing: none.", ge=0)]


def _read(team: str, key: str) -> tuple[Address, Request[Any]]:
    return board_of(team), BoardRead(key)


def _keys(team: str) -> tuple[Address, Request[Any]]:
    return board_of(team), BoardKeys()


def _write(team: str, key: str, value: object, expected: int) -> tuple[Address, Request[Any]]:
    return board_of(team), BoardWrite.of(key, value, expected)


def _drop(team: str, key: str, expected: int) -> tuple[Address, Request[Any]]:
    return board_of(team), BoardDrop(key, expected)


@inside("read", _read, "read")
def board_read(key: Key) -> BoardEntry:
    """Read an entry of the team's board: its value and its version. Version 0: there is none."""
    only_there("board_read", key)


@inside("read", _keys, "read")
def board_keys() -> dict[str, int]:
    """The keys of all entries of the team's board, with their versions."""
    only_there("board_keys")


@inside("once", _write, "write", ["value"])
def board_write(key: Key, value: Annotated[Any, "The new value, any JSON."], expected: Expected) -> BoardWritten:
    """Write an entry of the team's board. `expected` is the version that you read (0: there was none).

    If somebody else wrote it since, `won` says whether your value stands, and `entry` what does: read it before you write again.
    """
    only_there("board_write", key, value, expected)


@inside("once", _drop, "write")
def board_drop(key: Key, expected: Expected) -> BoardWritten:
    """Take an entry off the team's board. `expected` is the version that you read."""
    only_there("board_drop", key, expected)


def _acquire(team: str, resource: str, seconds: float, wait: float) -> tuple[Address, Request[Any]]:
    return _of(team, resource), LeaseAcquire(resource, seconds, wait)


def _release(team: str, resource: str) -> tuple[Address, Request[Any]]:
    return _of(team, resource), LeaseRelease(resource)


def _of(team: str, resource: str) -> Address:
    if not resource or len(resource) > MAX_RESOURCE:
        raise ValueError(f"the resource's name has {len(resource)} characters, not 1 to {MAX_RESOURCE}")
    return lease_of(team, resource)


@inside("once", _acquire, "write", trusted=["token", "until", "since"])
def lease_acquire(resource: Resource, seconds: Seconds = 300.0, wait: Wait = 0.0) -> Lease:
    """Take a resource for yourself for some seconds, so that nobody else works on it; `wait` seconds for it if it is taken."""
    only_there("lease_acquire", resource, seconds, wait)


@inside("once", _release, "write", trusted=True)
def lease_release(resource: Resource) -> bool:
    """Give a resource back that you took."""
    only_there("lease_release", resource)


def _give(team: str, to: str, objective: str, needs: tuple[str, ...]) -> tuple[Address, Request[Any]]:  # noqa: ARG001 - an ``Ask``
    if not to or "/" in to:
        raise ValueError(f"{to!r} is not the name of a colleague")
    return address(to), Task(objective, needs=needs)


@inside("once", _give, "write", ["objective"])
def hand_over(
    to: Annotated[str, "Name of the colleague."],
    objective: Annotated[str, "What is to be done, in full: nothing else is handed over."],
    needs: Annotated[
        tuple[str, ...], "What it takes to do it, in words that colleagues say they can. If missing: nothing."
    ] = (),
) -> Result:
    """Give a colleague of your team a task, by name, and get what came of it. A task that was handed on to you is not handed back.

    `needs` names what it takes to do it: a colleague that cannot all of that refuses.
    """
    only_there("hand_over", to, objective, needs)
