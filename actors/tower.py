"""What those who see effects off and in share: the kernel as they know it, the gate, and what is in the air."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from msgspec import Raw

from ..protocols.books import Entry
from ..protocols.effects import Effect
from ..protocols.failures import Failure
from ..protocols.hooks import Clearance, Gate, Next, Rng
from ..protocols.journal import Record, RowKind, Timer
from ..protocols.verdicts import Verdict
from ..protocols.watch import Watch
from .cell import Cell
from .mailbox import Item
from .releases import Release, Resolve

ENDED = ("finished", "stopped")


class Pump(Protocol):
    """What flights need of the kernel."""

    now: float
    watch: Watch
    died: bool
    """Whether the life before this one did not stop in order."""

    @property
    def books(self) -> dict[str, Entry]:
        """The gate's books."""
        ...

    def write(self, cell: Cell, kind: RowKind, record: Record, cause: str) -> None:
        """Make a row without a turn. Raises NotStorable, and then nothing has changed."""
        ...

    def after(self, release: Release) -> None:
        """Release something once every row made so far is durable."""
        ...

    def put(self, cell: Cell, item: Item, kind: RowKind) -> None:
        """Deliver mail that is not durable yet; ``kind`` of the row that makes it so if no turn takes it before the cut."""
        ...

    def alarm(self, due: float, id: str) -> None:
        """Call ``ring`` for this effect at a journal time."""
        ...

    def effect(self, id: str) -> Effect | None:
        """An open effect."""
        ...

    def alive(self, id: str) -> Effect | None:
        """An open effect that goes on by itself, or when people say so."""
        ...

    def timers(self, cell: Cell) -> list[Timer]:
        """An actor's open timers."""
        ...

    def put_right(self, thing: Resolve) -> None:
        """Write what a person decided about a message that was put aside. Raises NotStorable."""
        ...


class Tower:
    """See ``Flights``. Below: what its rooms do for one another."""

    def __init__(self, pump: Pump, gate: Gate, rng: Rng, flying: dict[str, int]) -> None:
        self._pump = pump
        self._gate = gate
        self._rng = rng
        self.flying = flying
        """Attempt number of each effect that the shell performs now, also of those it began for a kernel before this one."""
        self.hold = False
        """While the node drains nothing new leaves; it stays intended, and leaves in the next life."""
        self._landing: set[str] = set()
        self._checked: dict[str, tuple[Verdict, ...]] = {}
        """What the gate said at the start of effects that left without a row of their own: for the row that settles them."""

    @abstractmethod
    def launch(self, cell: Cell, effect: Effect) -> None: ...  # Departing
    @abstractmethod
    def _has_time(self, cell: Cell, effect: Effect, due: float) -> bool: ...

    @abstractmethod
    def land(
        self, cell: Cell, effect: Effect, value: Raw, failure: Failure | None, input: str = "", kind: RowKind = "settled",
        checked: tuple[Verdict, ...] = (),
    ) -> None: ...  # fmt: skip  # Landing
    @abstractmethod
    def _enter(self, cell: Cell, effect: Effect, books: tuple[Entry, ...]) -> None: ...
    @abstractmethod
    def _follow(
        self, cell: Cell, effect: Effect, failure: Failure, step: Next, input: str, books: tuple[Entry, ...] = ()
    ) -> None: ...
    @abstractmethod
    def _instead(
        self, cell: Cell, effect: Effect, failure: Failure, clear: Clearance | None = None, input: str = "",
        books: tuple[Entry, ...] = (),
    ) -> bool: ...  # fmt: skip

    @abstractmethod
    def asked(self, cell: Cell, effect: Effect) -> None: ...  # Questions


def ended_already(cell: Cell) -> Failure:
    return Failure("abandon", "stopped", f"{cell.address} has ended", where=cell.address)
