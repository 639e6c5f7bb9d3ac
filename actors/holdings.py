"""What the kernel holds, and what its rooms do for one another.

``Kernel`` is built of rooms, each a class and a file of its own: ``Intake`` (what comes from outside), ``Arrivals`` (actors come into
memory), ``Rows`` (what was done becomes rows), ``Alarms`` (what time brings), ``Mailroom`` (full, put by, expired, cancelled) and
``Outlook`` (what the shell asks between steps). They share one life of one node, which is declared here and made in ``Kernel``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter, deque

from ..protocols.approvals import Answer
from ..protocols.books import Entry
from ..protocols.effects import Effect
from ..protocols.envelope import Envelope
from ..protocols.failures import Failure
from ..protocols.hooks import Calendar
from ..protocols.ids import Address
from ..protocols.journal import Record, RowKind, Want
from ..protocols.watch import Watch
from .cell import Cell
from .door import Door
from .draft import Draft
from .ephemeral import Ephemeral
from .ephemerals import Ephemerals
from .flights import Flights
from .mailbox import Item
from .registry import Directory
from .releases import Release, Resolve, Settlement
from .residents import Residents
from .snapshots import Aging
from .suspects import Suspects
from .taken import Taken
from .undelivered import Word
from .working_sets import WorkingSets


class Holdings:
    """See above.

    Attributes:
        now: journal time.
        gid: of the newest row.
        acked: gid of the last row that is known to be durable.
        sets: what is open.
        loads: actors that the shell is to read.
        residents: who is in memory.
        memory: memory-only actors.
        flights: effects that are open.
        late: answers that came too late in this life, by who should have heard them or gave them.
        watch: where it is noted what runs.
        died: the life before this one ended without a stop in order.
    """

    now: float
    gid: int
    acked: int
    sets: WorkingSets
    loads: list[Want]
    residents: Residents
    memory: Ephemerals
    flights: Flights
    late: Counter[Address]
    watch: Watch
    died: bool

    _directory: Directory
    _calendar: Calendar
    _cells: dict[Address, Cell]
    _ready: deque[Cell | Ephemeral]
    _aging: Aging
    _door: Door
    _taken: Taken
    _word: Word
    _suspects: Suspects
    _suspended: dict[Address, Cell]
    """Cells whose mail is held until their supervisor, or a person, has decided."""
    _unsaved: dict[str, tuple[Cell, Item, RowKind]]
    """Mail from outside that no row holds yet, by id."""
    _held: dict[Address, list[Settlement | tuple[Answer, str, Resolve | None] | Effect]]
    """What came for actors that are not in memory yet."""
    _outbox: deque[tuple[int, Release | tuple[str, ...]]]
    """What may be let out, or ids of marked mail that may be delivered, each with the row that has to be durable first."""
    _retiring: deque[tuple[int, Cell]]
    """Ended actors, each with the row after which it may leave memory."""
    _alarms: list[tuple[float, str]]
    _mail_of: dict[Address, int]
    """How much mail each run has; changed by ``_more`` and ``_less``."""
    _unheard: list[tuple[Cell, str]]
    """Requests to actors on which their supervisor gave up; they are answered at the next step."""
    _missed: set[str]
    """Reminders that came too late to be delivered, until their row says so."""
    _rung: set[str]
    """Reminders that may have rung in a life before this one, whose process died."""
    _wary: float
    """Until this journal time mail from outside is durable before it is delivered."""
    _resolved: set[int]
    """Rows whose messages people decided about in this life; what was decided before is in the journal."""
    _system_seq: int

    @abstractmethod
    def put(self, cell: Cell | Ephemeral, item: Item, kind: RowKind) -> None:
        """Deliver mail."""

    @abstractmethod
    def after(self, release: Release) -> None:
        """Release something once every row made so far is durable."""

    @abstractmethod
    def addressee(self, address: Address) -> Cell | Ephemeral:
        """Who takes the mail of an address."""

    @abstractmethod
    def effect(self, id: str) -> Effect | None:
        """An open effect."""

    # -- what rooms do for one another, each in the room that is named ---------------------------------------------

    @property
    @abstractmethod
    def books(self) -> dict[str, Entry]:
        """The gate's books."""

    @abstractmethod
    def alarm(self, due: float, id: str) -> None: ...  # Alarms
    @abstractmethod
    def _cell(self, address: Address) -> Cell: ...  # Arrivals
    @abstractmethod
    def _refuse(self, inputs: tuple[str, ...], why: Failure) -> None: ...  # Intake
    @abstractmethod
    def _set_free(self, names: frozenset[str], *, at_once: bool) -> None: ...
    @abstractmethod
    def _arrive(self, cell: Cell, item: Item) -> None: ...  # Kernel
    @abstractmethod
    def _wake(self, cell: Cell) -> None: ...

    @abstractmethod
    def _row(self, cell: Cell, draft: Draft, cause: str) -> None: ...  # Rows
    @abstractmethod
    def _write_system(self, kind: RowKind, record: Record) -> None: ...
    @abstractmethod
    def _is_in(self, item: Item) -> None: ...
    @abstractmethod
    def _more(self, cell: Cell, item: Item) -> None: ...
    @abstractmethod
    def _less(self, cell: Cell, item: Item) -> None: ...
    @abstractmethod
    def _suspend(self, cell: Cell) -> None: ...

    @abstractmethod
    def _at_door(self, cell: Cell, item: Item) -> None: ...  # Mailroom
    @abstractmethod
    def _come_again(self, cell: Cell) -> None: ...
    @abstractmethod
    def _come_back(self, cell: Cell) -> None: ...
    @abstractmethod
    def _crosses(self, cell: Cell) -> bool: ...
    @abstractmethod
    def _drop(self, cell: Cell, id: str, failure: Failure, *, answer: bool = True) -> None: ...
    @abstractmethod
    def _expire(self, id: str) -> None: ...
    @abstractmethod
    def _no_turn(self, cell: Cell | Ephemeral, envelope: Envelope) -> Failure | None: ...
    @abstractmethod
    def _overloaded(self, sender: Cell, cell: Cell) -> None: ...
    @abstractmethod
    def _put_by(self, cell: Cell) -> None: ...
    @abstractmethod
    def _turn_all_away(self, cell: Cell) -> None: ...
