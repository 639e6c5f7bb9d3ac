"""One face over the simulated node and the real one, so that each rule is a test once and is run on both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio
import msgspec

import understudy as us
from tests.conformance.part import World
from understudy.actors.cell import Cell, read_record
from understudy.protocols.decisions import Decision
from understudy.protocols.failures import Failure
from understudy.protocols.ids import Address
from understudy.protocols.journal import Record, Row
from understudy.supervisor.inbox import InboxItem
from understudy.supervisor.journal.memory import MemoryJournal
from understudy.supervisor.supervision.live import ChildInfo, StartChild, StopChild, WhichChildren
from understudy.supervisor.supervision.roster import SupervisorState
from understudy.testing import FaultPlan, Sent, Simulated, system

R = TypeVar("R")

PATIENCE = 30.0
"""Seconds, on the real node: only a test that is about to fail waits so long."""


class Bench(ABC):
    """A node with what a test needs to know of it.

    Attributes:
        virtual: its time is virtual.
    """

    virtual: bool

    @abstractmethod
    async def ask(self, to: str, request: us.Request[R]) -> R:
        """Raises AskFailed as ``System.ask``."""

    @abstractmethod
    async def tell(self, to: str, message: us.Message) -> None:
        """Returns when it is durable."""

    @abstractmethod
    async def rest(self) -> None:
        """Until nothing moves by itself."""

    @abstractmethod
    async def until(self, holds: Callable[[], Any]) -> None:
        """Until something holds of the committed rows."""

    @abstractmethod
    async def pass_time(self, seconds: float) -> None:
        """So much time, and all that comes due in it."""

    @abstractmethod
    def rows(self) -> Sequence[Row]:
        """All that is committed."""

    @abstractmethod
    def inbox(self) -> tuple[InboxItem, ...]:
        """What people are asked."""

    def settled(self, address: str) -> list[str]:
        """What came of an actor's calls, as it was told."""
        events = [event for _, record in self.records(address) for event in record.events]
        return [msgspec.json.decode(event.data)["came"] for event in events if event.wire == "part.settled"]

    @abstractmethod
    async def answer(self, item: str, decision: Decision, reason: str = "") -> None:
        """A person answers."""

    @property
    @abstractmethod
    def node(self) -> us.System | Simulated:
        """What is behind it."""

    @property
    @abstractmethod
    def now(self) -> float:
        """Journal time."""

    # -- what is made of that -----------------------------------------------------------------------------------

    def records(self, address: str = "") -> list[tuple[Row, Record]]:
        """Rows with their records, of all actors or one."""
        return [(row, read_record(row)) for row in self.rows() if not address or row.stream == address]

    def lives(self) -> list[str]:
        """Who began and who was asked to end, in the order in which that happened: ``up a``, ``end a`` …"""
        told = list[str]()
        for row, record in self.records():
            for event in record.events:
                if event.wire == "part.began":
                    told.append(f"up {row.stream}")
                elif event.wire == "part.ending":
                    told.append(f"end {row.stream}")
        return told

    def events(self, supervisor: str, *names: str) -> list[dict[str, Any]]:
        """What a supervisor has recorded, by the last part of the event's name; each with ``event``."""
        found = list[dict[str, Any]]()
        for _, record in self.records(supervisor):
            for event in record.events:
                name = event.wire.rpartition(".")[2]
                if not names or name in names:
                    found.append({"event": name, **msgspec.json.decode(event.data)})
        return found

    def steps(self, supervisor: str) -> list[str]:
        """Orders and what came of them: ``starting a``, ``up a``, ``stopping a``, ``down a`` …"""
        names = ("starting", "up", "stopping", "down", "ended", "forgotten", "restarting", "exhausted", "gave_up")
        return [f"{event['event']} {event.get('child', '')}".strip() for event in self.events(supervisor, *names)]

    def cell(self, address: str) -> Cell:
        """An actor as its committed rows say."""
        cell = Cell(Address(address), self.node.tree.directory.find(Address(address)))
        for row, record in self.records(address):
            cell.fold(row, record)
        return cell

    def supervisor(self, address: str) -> SupervisorState:
        """What a supervisor remembers."""
        state = self.cell(address).state
        assert isinstance(state, SupervisorState)
        return state

    def status(self, supervisor: str) -> dict[str, str]:
        """How its children stand."""
        return {str(child): kid.status for child, kid in self.supervisor(supervisor).kids.items()}

    def failures(self) -> list[tuple[str, Failure]]:
        """Turns that failed, and why."""
        return [
            (row.stream, record.failure) for row, record in self.records() if row.kind == "failed" and record.failure
        ]

    def incarnation(self, address: str) -> int:
        return self.cell(address).memory.incarnation

    async def start(self, supervisor: str, child: str, **spec: Any) -> ChildInfo:
        return await self.ask(supervisor, StartChild(Address(child), **spec))

    async def stop(self, supervisor: str, child: str) -> None:
        await self.ask(supervisor, StopChild(Address(child)))

    async def which(self, supervisor: str) -> dict[str, ChildInfo]:
        return {str(info.id): info for info in await self.ask(supervisor, WhichChildren())}

    async def refused(self, to: str, request: us.Request[Any]) -> Failure:
        """The failure with which a request is refused; one that is answered is an error."""
        try:
            answer = await self.ask(to, request)
        except us.AskFailed as error:
            return error.failure
        raise AssertionError(f"{request} was answered with {answer}")


class Steady(Simulated):
    """Time does not leap while there is something to do: windows are what a test makes of them."""

    now: float

    def _tick(self) -> None:
        self.now += self.random.choice((0.0001, 0.001))


class Virtual(Bench):
    """On the simulated node."""

    virtual = True

    def __init__(
        self, *definitions: Any, world: World, seed: int = 0, plan: FaultPlan | None = None,
        journal: MemoryJournal | None = None,
    ) -> None:  # fmt: skip
        self.world = world
        now = None
        if journal is not None:  # another life on the same journal
            now = max(row.at for row in journal.rows(limit=1_000_000))
            journal.close()
        self.board = Steady(*definitions, seed=seed, plan=plan, journal=journal)
        self.board.now = max(self.board.now, now or 0.0)

    @property
    def node(self) -> Simulated:
        return self.board

    @property
    def now(self) -> float:
        return self.board.now

    async def __aenter__(self) -> Self:
        self.board.pass_time(0.0)
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        """Nothing is held."""

    async def ask(self, to: str, request: us.Request[R]) -> R:
        sent = self.board.ask(to, request)
        self._until(lambda: sent.reply is not None or sent.error is not None)
        return answered(sent, request)

    async def tell(self, to: str, message: us.Message) -> None:
        sent = self.board.tell(to, message)
        self._until(lambda: sent.accepted or sent.error is not None)
        if sent.error is not None:
            raise sent.error

    async def rest(self) -> None:
        self.board.rest()

    async def until(self, holds: Callable[[], Any]) -> None:
        self._until(holds)

    async def pass_time(self, seconds: float) -> None:
        self.board.pass_time(seconds)

    def rows(self) -> Sequence[Row]:
        return self.board.journal.rows(limit=1_000_000)

    def inbox(self) -> tuple[InboxItem, ...]:
        return self.board.inbox()

    async def answer(self, item: str, decision: Decision, reason: str = "") -> None:
        self.board.answer(item, decision, reason=reason)
        self.board.pass_time(0.0)

    def _until(self, holds: Callable[[], Any]) -> None:
        for _ in range(100_000):
            if holds():
                return
            if not self.board.step():
                break
        assert holds(), f"nothing moves any more: {self.board.kernel.sets.mail}"


class Real(Bench):
    """On a running system, in memory or with a file."""

    virtual = False

    def __init__(
        self, *definitions: Any, world: World, journal: Path | None = None, plan: FaultPlan | None = None
    ) -> None:
        self.world = world
        self.system = system(*definitions, faults=plan, journal=journal, drain=0.0, control=False)
        self._rows = list[Row]()
        self._grew = anyio.Event()

    @property
    def node(self) -> us.System:
        return self.system

    @property
    def now(self) -> float:
        return self.system._shell.clock.now()

    async def __aenter__(self) -> Self:
        watchers = self.system._watchers
        offer = watchers.rows

        def rows(rows: tuple[Row, ...]) -> None:
            offer(rows)
            self._more(rows)

        self.system._shell._on_rows = self.system._shell.commits._on_rows = rows
        await self.system.__aenter__()
        known = {row.gid for row in self._rows}
        before = await self.system._shell.journal.rows(limit=1_000_000)
        self._rows = sorted([*(row for row in before if row.gid not in known), *self._rows], key=lambda row: row.gid)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.system.__aexit__(kind, error, trace)

    def _more(self, rows: tuple[Row, ...]) -> None:
        self._rows += rows
        self._grew.set()
        self._grew = anyio.Event()

    async def ask(self, to: str, request: us.Request[R]) -> R:
        return await self.system.ask(to, request, timeout=PATIENCE)

    async def tell(self, to: str, message: us.Message) -> None:
        await self.system.tell(to, message)

    async def rest(self) -> None:
        with anyio.fail_after(PATIENCE):
            await self.system.rest()

    async def until(self, holds: Callable[[], Any]) -> None:
        with anyio.move_on_after(PATIENCE):
            while not holds():
                await self._grew.wait()
        assert holds(), "it did not come to that"

    async def pass_time(self, seconds: float) -> None:
        await self.ask("clock", Wait(seconds))

    def rows(self) -> Sequence[Row]:
        return self._rows

    def inbox(self) -> tuple[InboxItem, ...]:
        return self.system.inbox()

    async def answer(self, item: str, decision: Decision, reason: str = "") -> None:
        await self.system.answer(item, decision, reason=reason)


class Wait(us.Request[float]):
    seconds: float


class Ring(us.Message):
    pass


class Waits(us.Event):
    later: str


class Clock(us.Actor):
    """Answers when the time is over, so that nobody has to sleep."""

    class State(us.State):
        later: str = ""

    @us.handles(Wait)
    def wait(self, turn: us.Turn[State], msg: Wait) -> us.Later[float]:
        later = turn.later(msg)
        turn.emit(Waits(later.id))
        turn.remind(Ring(), after=msg.seconds)
        return later

    @us.handles(Ring)
    def ring(self, turn: us.Turn[State], msg: Ring) -> None:
        turn.reply(us.Later[float](turn.state.later), turn.now)

    @us.applies(Waits)
    def waits(self, state: State, event: Waits) -> State:
        return state.evolve(later=event.later)


def answered(sent: Sent, request: us.Request[R]) -> R:
    """What a simulated caller is told. Raises as the real ones do."""
    if sent.error is not None:
        raise sent.error
    assert sent.reply is not None
    if sent.reply.failure is not None:
        raise us.AskFailed(sent.reply.failure)
    from understudy.protocols.messages import answer_type

    value: R = msgspec.json.decode(sent.reply.value, type=answer_type(type(request)))
    return value


Opens = Callable[..., AbstractAsyncContextManager[Bench]]
