"""Tools that are done inside the node: reading and writing the team's board, taking and giving back a lease.

What such a call comes to is decided by another actor of the same journal, so nothing has to be performed: the intent passes the gate
like any other, and the row that holds it also sends the request. It is done once, whatever crashes, because mail is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, NoReturn

from msgspec import Meta, Raw

from ..protocols.board import BoardDrop, BoardEntry, BoardKeys, BoardRead, BoardWrite, BoardWritten, board_of
from ..protocols.codec import encode
from ..protocols.effects import EffectClass, Retry
from ..protocols.errors import DefinitionError
from ..protocols.hooks import Inside
from ..protocols.ids import Address, address
from ..protocols.leases import MAX_RESOURCE, MAX_SECONDS, Lease, LeaseAcquire, LeaseRelease, lease_of
from ..protocols.messages import Request
from ..protocols.tasks import Result, Task
from ..protocols.tool import Kind, P
from .declaring import SyncTool
from .tool import R

Key = Annotated[str, Meta(description="Name of the entry, such as findings/may.")]
Expected = Annotated[int, Meta(description="The version that you read; 0 where there was no entry.", ge=0)]
Resource = Annotated[
    str, Meta(description=f"Its name, as all who work on it call it; {MAX_RESOURCE} characters at most.")
]
Seconds = Annotated[float, Meta(description="For how long, in seconds. If missing: 300.", gt=0, le=MAX_SECONDS)]
Wait = Annotated[float, Meta(description="Seconds to wait for it where somebody has it. If missing: none.", ge=0)]

Ask = Callable[..., tuple[Address, Request[Any]]]
"""From the team's address and the arguments: who is asked, and what."""


class InsideTool(SyncTool[P, R]):
    """A tool whose call is a request to an actor of the caller's own team."""

    inside = True

    def __init__(
        self, function: Callable[..., Any], effect: EffectClass, ask: Ask, *, name: str = "", depth: int = 2
    ) -> None:
        super().__init__(
            function,
            name=name or function.__name__,
            effect=effect,
            timeout=30.0,
            retry=Retry(),
            key_ttl=86_400.0,
            depth=depth,
        )
        self.said = frozenset(("effect",))
        self._ask = ask

    def request(
        self, place: str, run: Address, key: str, arguments: dict[str, Any]
    ) -> Inside:  # arguments of the function
        """Who is to be asked, and what.

        Args:
            place: the address of the caller's team.
            run: the caller.
            key: the call's own key; names a run that the call begins.
            arguments: as they were read.

        Raises:
            ValueError: no request can be made of them.
        """
        to, request = self._ask(place, **arguments)
        if isinstance(request, Task):
            to = _run_of(place, run, to, key[:16])
        kind = type(request)
        return Inside(to, kind.__wire__, kind.__version__, Raw(encode(request)))

    def approve_if(self, rule: Callable[P, bool]) -> Callable[P, bool]:
        raise DefinitionError(f"tool {self.spec.name!r} is built in and takes no approval rule")


def _inside(
    effect: EffectClass, ask: Ask, kind: Kind, payload: Sequence[str] = (), trusted: Sequence[str] | bool = False
) -> Callable[[Callable[P, R]], InsideTool[P, R]]:
    """What is done inside goes nowhere else: it has no sinks, and what is written or handed over keeps its labels."""

    def make(function: Callable[P, R]) -> InsideTool[P, R]:
        made: InsideTool[P, R] = InsideTool(function, effect, ask)
        made.declare(kind=kind, sinks=(), payload=payload, trusted=trusted, private=False)
        return made

    return make


def only_there(name: str, *given: object) -> NoReturn:
    raise DefinitionError(
        f"{name}{given} is done inside a running system", hint="give it to an agent, or use turn.call"
    )


def _run_of(place: str, run: Address, worker: str, name: str) -> Address:
    """A run of its own for a worker that is given a task: below the run of its team; without a team, beside others of its name."""
    below = run.removeprefix(f"{place}/").split("/") if run.startswith(f"{place}/") else []
    return address(f"{place}/{below[0]}/{worker}/{name}" if len(below) >= 2 else f"{worker}/{name}")


def _read(team: str, key: str) -> tuple[Address, Request[Any]]:
    return board_of(team), BoardRead(key)


def _keys(team: str) -> tuple[Address, Request[Any]]:
    return board_of(team), BoardKeys()


def _write(team: str, key: str, value: object, expected: int) -> tuple[Address, Request[Any]]:
    return board_of(team), BoardWrite.of(key, value, expected)


def _drop(team: str, key: str, expected: int) -> tuple[Address, Request[Any]]:
    return board_of(team), BoardDrop(key, expected)


@_inside("read", _read, "read")
def board_read(key: Key) -> BoardEntry:
    """Read an entry of the team's board: its value and its version. Version 0: there is none."""
    only_there("board_read", key)


@_inside("read", _keys, "read")
def board_keys() -> dict[str, int]:
    """The keys of all entries of the team's board, with their versions."""
    only_there("board_keys")


@_inside("once", _write, "write", ["value"])
def board_write(key: Key, value: Annotated[Any, "The new value, any JSON."], expected: Expected) -> BoardWritten:
    """Write an entry of the team's board. `expected` is the version that you read (0: there was none).

    If somebody else wrote it since, `won` says whether your value stands, and `entry` what does: read it before you write again.
    """
    only_there("board_write", key, value, expected)


@_inside("once", _drop, "write")
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


@_inside("once", _acquire, "write", trusted=["token", "until", "since"])
def lease_acquire(resource: Resource, seconds: Seconds = 300.0, wait: Wait = 0.0) -> Lease:
    """Take a resource for yourself for some seconds, so that nobody else works on it; `wait` seconds for it if it is taken."""
    only_there("lease_acquire", resource, seconds, wait)


@_inside("once", _release, "write", trusted=True)
def lease_release(resource: Resource) -> bool:
    """Give a resource back that you took."""
    only_there("lease_release", resource)


def _give(team: str, to: str, objective: str, needs: tuple[str, ...]) -> tuple[Address, Request[Any]]:  # noqa: ARG001 - an ``Ask``
    if not to or "/" in to:
        raise ValueError(f"{to!r} is not the name of a colleague")
    return address(to), Task(objective, needs=needs)


@_inside("once", _give, "write", ["objective"])
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
