"""A turn of a memory-only actor. To its handlers it is a ``Turn``; there is no row, so what it does is kept as it is.

What a turn sends and leaves open is let out when its handler has returned; if it raises, none of it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from msgspec import Raw, structs, to_builtins

from ..protocols.approvals import Question
from ..protocols.codec import NULL, digest, encode, roundtrip
from ..protocols.effects import Effect, Verb
from ..protocols.envelope import Context, Envelope, ReplyTo
from ..protocols.errors import DefinitionError, TooLarge
from ..protocols.failures import Failure, said
from ..protocols.handover import as_it_is, hand_on
from ..protocols.ids import Address, address
from ..protocols.journal import MAX_MESSAGE, Missed
from ..protocols.lifecycle import Started
from ..protocols.messages import Event, Message, Request, State, asked
from ..protocols.provenance import Provenance, joined, mark, values
from .caller import Asking
from .derived import Derived
from .ephemeral import Back, Ephemeral, Inside, Owed, Post, Sent
from .ephemeral_labels import carry, mark_all
from .ephemeral_mail import waits
from .mailbox import Item
from .outcome import Later, Pending, Tag, tag_json
from .spawn import covered
from .turn import Turn
from .where import Where

S = TypeVar("S", bound=State)
R = TypeVar("R")
T = TypeVar("T")


class EphemeralTurn(Turn[Any]):
    """One turn of one memory-only actor. Attributes as those of ``Turn``, made when they are asked for."""

    out: list[Sent] | None = None
    """Mail for other memory-only actors."""
    acts: list[Callable[[], None]] | None = None
    """Everything else that happens when the handler has returned."""
    _post: Post
    _opened: dict[str, Back] | None = None
    _random: Derived | None = None
    came: tuple[Provenance | None] | None = None
    """Where its message comes from, where that was looked at; its context has the labels of all that the actor has read."""

    def __init__(self, cell: Ephemeral, post: Post) -> None:  # the base's has lists for a row, which nobody needs here
        self.state = cell.state
        self._cell = cell
        self._post = post

    if not TYPE_CHECKING:  # the base declares them; most turns ask for none

        def __getattr__(self, name: str) -> Any:
            cell, post = self._cell, self._post
            fleet = cell.kind.fleet
            match name:
                case "me":
                    value = cell.address
                case "sender":
                    value = post[1]
                case "context":
                    value = post[2] or Context(cell.address)
                case "now":
                    value = fleet.now()
                case _:
                    raise AttributeError(name)
            setattr(self, name, value)
            return value

    @property
    def random(self) -> Derived:
        """Random numbers, others in each turn; the same again under the same seed of a simulation."""
        if self._random is None:
            self._random = Derived(self.uid())
        return self._random

    def undo(self) -> None:
        """Forget what this turn did so far."""
        self.state, self.out, self.acts, self._opened = self._cell.state, None, None, None

    # -- where it comes from ------------------------------------------------------------------------------------

    @property
    def provenance(self) -> Provenance | None:
        if self.came is not None:
            return self.came[0]
        context = self._post[2]
        return context.provenance if context is not None else None

    def trusted(self, value: T) -> T:
        known = self.context.provenance
        if known is not None:
            marks = tuple(mark(one) for one in values(to_builtins(value)))
            self.under(joined(known, Provenance(trusted=marks)))
        return value

    def distrust(self, provenance: Provenance) -> None:
        self.under(joined(self.context.provenance, provenance))

    def under(self, provenance: Provenance | None) -> None:
        self.context = structs.replace(self.context, provenance=provenance)
        post: Any = self._post
        self._post = cast("Post", (*post[:2], self.context, *post[3:]))
        if provenance is not None:
            self._act(self._labels)

    def _labels(self) -> None:
        """The actor has read what this turn was told to be under, and so have those to whom it wrote."""
        carry(self._cell, self._post)
        mark_all(self.out or ())

    # -- what happened ------------------------------------------------------------------------------------------

    def emit(self, event: Event) -> Any:
        kind = self._cell.kind
        found = kind.appliers.get(event.__class__)
        if found is None:
            raise LookupError(f"{type(kind.mount.actor).__name__} has no @us.applies({type(event).__name__})")
        apply, check = found
        state = apply(self.state, event if check(event) else hand_on(event))
        if state.__class__ is not kind.form and not isinstance(state, kind.form):
            raise TypeError(f"{apply.__name__} must return a {kind.form.__qualname__}, not {state!r}")
        self.state = state
        return state

    # -- messages -----------------------------------------------------------------------------------------------

    def tell(self, to: str, message: Message, *, priority: int = 0, within: float | None = None) -> None:
        if priority or within is not None:
            self._none("turn.tell(priority=, within=)", "priorities and deadlines")
        cell = self._cell
        fleet = cell.kind.fleet
        target = fleet.cells.get(to)
        if target is None:
            path, _, key = to.rpartition("/")
            kind = fleet.paths.get(path)
            if (
                kind is not None and key.isalnum() and len(key) <= 200
            ):  # a new one beside others: no need to look for its mount
                target = Ephemeral(to, kind, kind.shared or kind.state(), kind.odd)  # type: ignore[arg-type]  # an address that fits
                fleet.cells[to] = target
            else:
                target = fleet.find(address(to))
                if target is None:
                    self._send_on(address(to), message, None)
                    return
        check = target.kind.checks.get(message.__class__)
        if check is None or not check(message):
            if not isinstance(message, Message):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers have no type checker
                raise TypeError(f"tell: {message!r:.100} is no us.Message")
            message = hand_on(message)
        sent = (message, cell.address, self._post[2] or self.context, None, target)
        if self.out is None:
            self.out = [sent]
        else:
            self.out.append(sent)

    def ask(
        self, to: str, request: Request[R], *, tag: Tag = None, priority: int = 0, within: float | None = None
    ) -> Pending[R]:
        if priority or within is not None:
            self._none("turn.ask(priority=, within=)", "priorities and deadlines")
        cell = self._cell
        fleet = cell.kind.fleet
        there = address(to)
        target = fleet.find(there)
        token = fleet.fresh_id()
        settler, back = asked(type(request)), self._asked_by(tag)
        due = back.deadline if back is not None else None
        if target is None:
            self._send_on(there, request, ReplyTo(cell.address, token, settler, tag_json(tag), deadline=due))
        else:
            self._put((hand_on(request), cell.address, self.context, Inside(cell, token, due), target))
        self._act(lambda: cell.rare().asks.__setitem__(token, (settler, tag)))
        return Pending(token)

    def forward(self, to: str, request: Request[Any]) -> Later[Any]:
        cell, back = self._cell, self._post[3]
        if not waits(back):
            raise DefinitionError("forward: nobody waits for an answer to this message")
        there = address(to)
        target = cell.kind.fleet.find(there)
        if target is not None:
            self._put((hand_on(request), cell.address, self.context, back, target))
        elif isinstance(back, Owed):
            self._send_on(there, request, back.to, back.mail)
        elif isinstance(back, Asking):
            self._send_on(there, request, back.token(back, asked(type(request))))
        elif isinstance(back, Inside):
            more = back.cell.rare()
            settler, tag = more.asks.get(back.token, ("", None))
            self._send_on(
                there, request, ReplyTo(back.cell.address, back.token, settler, tag_json(tag), deadline=back.deadline)
            )
        return Later("")

    def later(self, request: Request[R]) -> Later[R]:
        cell, back = self._cell, self._post[3]
        if not waits(back):
            return Later("")  # it was told, not asked: replies to it go nowhere
        id = cell.kind.fleet.fresh_id()
        self._opened = {**(self._opened or {}), id: back}
        self._act(lambda: cell.rare().askers.__setitem__(id, back))
        return Later(id)

    def reply(self, to: Later[R] | Tag, value: R) -> None:
        back = self._asker(to)
        if back is not None:
            given = value if type(back) is not Owed and as_it_is(type(value))(value) else sized(Raw(encode(value)))
            self._pay(to.id, given, None)

    def refuse(self, to: Later[R] | Tag, failure: Failure) -> None:
        if self._asker(to) is not None:
            self._pay(to.id, NULL, said(failure))

    def stash(self) -> Later[Any]:
        self._none("turn.stash", "stash")

    def unstash(self) -> None:
        self._none("turn.unstash", "stash")

    def watch(self, other: str) -> None:
        self._none("turn.watch", "watches")

    def unwatch(self, other: str) -> None:
        self._none("turn.unwatch", "watches")

    def spawn(self, where: Where, key: str | tuple[str, ...] = "", message: Message | None = None) -> Address:
        fleet = self._cell.kind.fleet
        target = fleet.known(where, key) if isinstance(key, str) else None
        to = target.address if target is not None else covered(self._cell.kind.mount.among, where, key)
        if target is None and (target := fleet.find(to)) is not None:
            fleet.learn(where, to)
        if target is not None:
            self._put((Started(), self._cell.address, self.context, None, target))
        else:
            self._send_on(to, Started(), None)
        if message is not None:
            self.tell(to, message)
        return to

    # -- effects, time, life ------------------------------------------------------------------------------------

    def pending(self) -> tuple[Effect, ...]:
        return ()

    def remind(
        self, message: Message, *, after: float | None = None, at: float | None = None, cron: str | None = None,
        tz: str = "UTC", missed: Missed = "once",
    ) -> str:  # fmt: skip
        self._none("turn.remind", "timers")

    def forget(self, reminder: str) -> None:
        self._none("turn.forget", "timers")

    def stop(self, failure: Failure | None = None) -> None:
        """End this actor after this turn: nothing of it stays, and whoever writes to its address begins a new one. With a failure its
        supervisor decides."""
        if failure is not None:
            self.rare.ended_by = said(failure)
        else:
            self.rare.finished = True
        self._act(lambda: None)

    def uid(self) -> str:
        fleet = self._cell.kind.fleet
        return digest(fleet.seed, self._cell.address, fleet.fresh_id())

    # -- inside -------------------------------------------------------------------------------------------------

    def order(self, to: Address, message: Message) -> None:
        self._none("turn.order", "children")

    def _intend(
        self, verb: Verb, name: str, args: Raw, settler: str, tag: Tag, question: Question | None = None,
        version: str = "",
    ) -> str:  # fmt: skip
        self._none({"call": "turn.call", "think": "turn.think"}.get(verb, "turn.escalate"), "effects")

    def _none(self, what: str, kind: str) -> NoReturn:
        raise DefinitionError(
            f"{what}: {self._cell.address} is memory-only (durable = False) and has no {kind}",
            hint="let a durable actor do it",
        )

    def _put(self, sent: Sent) -> None:
        if self.out is None:
            self.out = []
        self.out.append(sent)

    def _act(self, act: Callable[[], None]) -> None:
        if self.acts is None:
            self.acts = []
        self.acts.append(act)

    def _send_on(self, to: Address, message: Message, back: ReplyTo | None, closes: str = "") -> None:
        """A message to a durable actor: it comes there like one from outside. ``closes``: mail that is open until it is durable there."""
        cell, cls = self._cell, type(message)
        fleet = cell.kind.fleet
        data = sized(roundtrip(message, cls)[0])
        mail = Envelope(
            fleet.fresh_id(), to, cls.__wire__, data, sender=cell.address, context=self.context, reply_to=back,
            version=cls.__version__, at=fleet.pump.now,
        )  # fmt: skip
        item = Item(mail, durable=False)
        item.closes = closes
        self._act(lambda: fleet.pump.put(fleet.pump.addressee(to), item, "accepted"))

    def _asked_by(self, tag: Tag) -> Back:
        """On whose behalf a turn asks: the request that its tag stands for, otherwise the one that it handles."""
        if not isinstance(tag, Later):
            return self._post[3]
        more = self._cell.more
        return (self._opened or {}).get(tag.id) or (more.askers.get(tag.id) if more is not None else None)

    def _asker(self, to: Tag) -> Back:
        if not isinstance(to, Later):
            raise DefinitionError(
                f"reply: {to!r} is not a us.Later", hint="keep what turn.later(msg) gave, for instance as the tag"
            )
        return self._asked_by(to)

    def _pay(self, id: str, value: object, failure: Failure | None) -> None:
        cell, context = self._cell, self.context
        self._act(lambda: cell.kind.fleet.answer(cell, cell.rare().askers.pop(id, None), value, failure, context))


def sized(data: Raw) -> Raw:
    """What goes to a durable actor or out of the node. Raises TooLarge."""
    if len(bytes(data)) > MAX_MESSAGE:
        size = f"{len(bytes(data)):,} bytes, more than {MAX_MESSAGE:,}"
        raise TooLarge(f"the value is {size}", hint="keep large values elsewhere and send their names")
    return data
