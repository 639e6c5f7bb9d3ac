"""A memory-only actor (``durable = False``) and its mail. What runs it is in ``ephemerals``, its turns in ``ephemeral_turn``."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from copy import copy
from types import MethodType
from typing import Any, Protocol

from msgspec import Struct

from ..protocols.envelope import Context, ReplyTo
from ..protocols.failures import Failure
from ..protocols.handover import as_it_is
from ..protocols.ids import Address
from ..protocols.journal import RowKind
from ..protocols.lifecycle import Restarted, Started, Stopping
from ..protocols.messages import Event, State
from ..protocols.provenance import Provenance
from ..protocols.tasks import Task
from ..protocols.watch import Watch
from .actor import Handler
from .caller import Asking
from .cell import Cell
from .mailbox import Item
from .outcome import Tag
from .registry import Mount
from .releases import Release
from .where import Where


class Owed:
    """An answer owed to mail that came in an envelope, and the id under which that mail is open in the journal (``""``: it is not)."""

    __slots__ = ("mail", "to")

    def __init__(self, to: ReplyTo | None, mail: str) -> None:
        self.to = to
        self.mail = mail

    @property
    def deadline(self) -> float | None:
        """Journal time after which nobody waits for it any more."""
        return self.to.deadline if self.to is not None else None


class Inside:
    """An answer owed to another memory-only actor: under which token it waits, and until when."""

    __slots__ = ("cell", "deadline", "token")

    def __init__(self, cell: Ephemeral, token: str, deadline: float | None) -> None:
        self.cell = cell
        self.deadline = deadline
        self.token = token


class Arrived:
    """The answer to an ask of a memory-only actor. ``value``: as it is, or as JSON (``Raw``)."""

    __slots__ = ("failure", "token", "value")

    def __init__(self, token: str, value: object, failure: Failure | None) -> None:
        self.token = token
        self.value = value
        self.failure = failure


Back = Asking | Owed | Inside | None
Sent = tuple[Any, Address, Context | None, Back, "Ephemeral"]
"""Mail of a turn that has not returned yet, with its addressee."""

Post = tuple[Any, Address, Context | None, Back] | Sent
"""Mail: the message (``Envelope``: not read yet; or ``Arrived``), its sender, on whose behalf (None: a chain begins here), who waits."""


class Handles:
    """A handler, bound to its actor, with the check of its answers."""

    __slots__ = ("as_it_is", "form", "method")

    def __init__(self, actor: object, handler: Handler) -> None:
        self.method: Callable[..., Any] = MethodType(handler.method, actor)
        self.form = handler.answer
        self.as_it_is = as_it_is(handler.answer)


class Pump(Protocol):
    """What memory-only actors need of the kernel."""

    now: float
    gid: int
    acked: int
    watch: Watch

    def after(self, release: Release) -> None:
        """Release something once every row made so far is durable."""
        ...

    def put(self, cell: Cell | Ephemeral, item: Item, kind: RowKind) -> None:
        """Deliver mail."""
        ...

    def addressee(self, address: Address) -> Cell | Ephemeral:
        """Who takes the mail of an address."""
        ...


class Fleet(Protocol):
    """All memory-only actors of one kernel, as one of them knows it (``ephemeral_mail``)."""

    cells: dict[str, Ephemeral]
    paths: dict[str, Kind]
    pump: Pump
    seed: str

    def find(self, address: Address) -> Ephemeral | None:
        """The memory-only actor of an address, made where it is new; None where none is mounted there."""
        ...

    def known(self, where: Where, key: str) -> Ephemeral | None:
        """The actor that a known place and a key come to; None where there is more to look at."""
        ...

    def learn(self, where: Where, to: Address) -> None:
        """Remember a place for the short way."""
        ...

    def put(self, cell: Ephemeral, post: Post) -> None:
        """Behind everything else."""
        ...

    def now(self) -> float:
        """Journal time."""
        ...

    def fresh_id(self) -> str:
        """An id that no other life of the node gives out."""
        ...

    def answer(
        self, cell: Ephemeral, back: Back, value: object, failure: Failure | None, context: Context | None
    ) -> None:
        """Tell whoever waits."""
        ...


class Kind:
    """What all memory-only actors of one mount share."""

    def __init__(self, fleet: Fleet, mount: Mount) -> None:
        behaviour = mount.actor.behaviour
        self.fleet, self.mount, self.behaviour = fleet, mount, behaviour
        self.handlers = {handler.message: Handles(mount.actor, handler) for handler in behaviour.handlers.values()}
        self.appliers: dict[type[Event], tuple[Callable[[Any, Event], Any], Callable[[Any], bool]]] = {
            event: (MethodType(method, mount.actor), as_it_is(event)) for event, method in behaviour.appliers.values()
        }
        self.form = behaviour.state
        self.checks = {message: as_it_is(message) for message in self.handlers}
        """Of each message that it takes: whether it may be handed on as it is."""
        self.begin = self.handlers.pop(Started, None)
        self.again = self.handlers.pop(Restarted, None)
        self.all = dict(self.handlers)
        """The handlers, also for what is looked at message by message: tasks, which may say that strangers wrote in them, and
        whatever comes to those that have read labels."""
        self.handlers.pop(Task, None)
        self._labelled: Kind | None = None
        self.last = self.handlers.pop(Stopping, None)
        self.odd = int(self.begin is not None)
        self.shared = behaviour.state() if as_it_is(behaviour.state)(behaviour.state()) else None
        """A first state, one object for all, where nobody can change it."""

    def labelled(self) -> Kind:
        """The same for those that have read labels: the quick way finds no handler, so nobody else pays for them."""
        if self._labelled is None:
            self._labelled = copy(self)
            self._labelled.handlers = {}
            self._labelled._labelled = self._labelled
        return self._labelled

    def state(self) -> State:
        """A first state."""
        return self.shared if self.shared is not None else self.behaviour.state()


class More:
    """What most memory-only actors never need.

    Attributes:
        life: ``running``, ``restarting`` (mail is held until the supervisor has decided) or ``stopped``.
        incarnation: restarts so far in this process.
        control: orders, before all other mail.
        held: mail that waits for a restart.
        asks: what it asked and was not answered yet: settler and tag, by token.
        askers: requests that it left open, by the id of their ``Later``.
        led: its supervisor started it, and is told when it ends itself.
        begun: when it failed, its ``Started`` handler had run.
        read: labels of all that it has read; a restart does not take them away.
    """

    __slots__ = ("askers", "asks", "begun", "control", "held", "incarnation", "led", "life", "read")

    def __init__(self) -> None:
        self.life = "running"
        self.led = False
        self.begun = False
        self.read: Provenance | None = None
        self.incarnation = 0
        self.control: deque[Post] = deque()
        self.held: deque[Post] = deque()
        self.asks: dict[str, tuple[str, Tag]] = {}
        self.askers: dict[str, Back] = {}


class Ephemeral(Struct, eq=False):  # a struct is made in C
    """One memory-only actor. Make it with ``ephemeral``.

    Attributes:
        mail: None while it has none.
        odd: 1 where something has to be looked at before its next turn.
        more: what most never need.
    """

    address: Address
    kind: Kind
    state: State
    odd: int
    mail: list[Post] | deque[Post] | None = None
    more: More | None = None

    def rare(self) -> More:
        """Its ``More``."""
        if self.more is None:
            self.more = More()
        return self.more


def ephemeral(address: str, kind: Kind) -> Ephemeral:
    """A new one."""
    return Ephemeral(address, kind, kind.shared or kind.state(), kind.odd)  # type: ignore[arg-type]  # an address that fits
