"""Memory-only actors (``durable = False``): turns without a row, beside the durable ones in the same kernel.

    mail -> run: Started, once -> handler -> state, sends, answer        no row; nothing is encoded that need not be
         -> raised: the asker and the supervisor are told; held until the supervisor's Restart, which begins with no state

What they hear and say keeps the node's laws. A turn that raises leaves nothing. What one of them sends to a durable actor comes
like a message from outside: whole in the row of the turn that takes it. What a durable actor sends to one of them is open in the
journal until it is taken here (a request: until its answer is in a row), and is lost at the end of this kernel, which the next one
says: at most once. And since its state may follow from rows that are not committed yet, an answer leaves the node only when
everything that the kernel had made by then is durable.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec
from msgspec import Raw

from ..protocols.codec import NULL, decode, encode, roundtrip
from ..protocols.envelope import OUTCOME, Context, Envelope, OutcomeBody, Reply
from ..protocols.errors import AskFailed, Failed, Rejected
from ..protocols.failures import Failure, of_exception
from ..protocols.handover import as_it_is
from ..protocols.ids import OUTSIDE, Address
from ..protocols.journal import RowKind
from ..protocols.lifecycle import ChildFailed, Restart, Restarted, Started, Stop
from ..protocols.mail import Terminated, Watch
from ..protocols.messages import Message
from .cell import Cell
from .ephemeral import Arrived, Asking, Back, Ephemeral, Handles, Inside, Kind, More, Owed, Post, ephemeral
from .ephemeral_turn import EphemeralTurn, sized
from .mailbox import Item
from .registry import Directory, Mount
from .releases import Answered, Done, Handed, Refused, Release
from .turn import Later, Outcome, Tag, outcome_envelope

LONG = 64
"""Turns a memory-only actor may take before the next has its turn. Mail beyond it waits in a deque."""


class Pump(Protocol):
    """What memory-only actors need of the kernel."""

    now: float
    gid: int
    acked: int

    def after(self, release: Release) -> None:
        """Release something once every row made so far is durable."""
        ...

    def put(self, cell: Cell | Ephemeral, item: Item, kind: RowKind) -> None:
        """Deliver mail."""
        ...

    def addressee(self, address: Address) -> Cell | Ephemeral:
        """Who takes the mail of an address."""
        ...


class Ephemerals:
    """All memory-only actors of one kernel.

    Attributes:
        cells: by address; an actor is here from its first mail on.
        ready: the kernel's ready queue, shared with the durable ones.
        taken: ids of open mail that was taken here since the last cut: the next batch closes it.
        dead: mail that nobody took, by why.
    """

    def __init__(self, pump: Pump, directory: Directory, ready: deque[Any], seed: str, epoch: int) -> None:
        self.cells: dict[str, Ephemeral] = {}
        self.ready = ready
        self.taken: list[str] = []
        self.dead: Counter[str] = Counter()
        self.pump, self.seed, self.epoch = pump, seed, epoch
        self.running = False
        self.clock: Callable[[], float] | None = None
        """Journal time as the shell counts it, for turns that are run between its steps."""
        self._directory = directory
        self._kinds: dict[str, Kind] = {}
        self._paths: dict[str, Kind] = {}
        """Kinds that are mounted at ``path/{key}``, by path."""
        self._count = 0

    # -- mail in ------------------------------------------------------------------------------------------------

    def find(self, address: Address) -> Ephemeral | None:
        """The memory-only actor of an address, made where it is new; None where none is mounted there."""
        return self.cells.get(address) or self.near(address) or self._far(address)

    def near(self, address: str) -> Ephemeral | None:
        """``find``, for an address that is new and, as most are, one of those under a path that is known; else None."""
        path, _, key = address.rpartition("/")
        kind = self._paths.get(path)
        if kind is None or not key.isalnum() or len(key) > 200:
            return None
        cell = Ephemeral(address, kind, kind.shared or kind.state(), kind.odd)  # type: ignore[arg-type]  # an address that fits
        self.cells[address] = cell
        return cell

    def _far(self, address: Address) -> Ephemeral | None:
        mount = self.mounted(address)
        if mount is None:
            return None
        kind = self.kind(mount)
        path, _, key = mount.template.rpartition("/")
        if "{" not in path and key.startswith("{"):
            self._paths[path] = kind
        cell = self.cells[address] = ephemeral(address, kind)
        return cell

    def mounted(self, address: Address) -> Mount | None:
        """The mount of a memory-only actor; None where none is."""
        mount = self._directory.find(address)
        return mount if mount is not None and not mount.actor.durable else None

    def kind(self, mount: Mount) -> Kind:
        """What the memory-only actors of a mount share."""
        kind = self._kinds.get(mount.template)
        if kind is None:
            kind = self._kinds[mount.template] = Kind(self, mount)
        return kind

    def put(self, cell: Ephemeral, post: Post) -> None:
        """Behind everything else."""
        box = cell.mail
        if box is None:
            cell.mail = [post]
            self.ready.append(cell)
            return
        box.append(post)
        if len(box) == LONG + 1 and type(box) is list:
            cell.mail = deque(box)

    def take(self, cell: Ephemeral, item: Item) -> None:
        """Mail in an envelope: from a durable actor, or from outside through the kernel's door."""
        envelope = item.envelope
        back = Owed(envelope.reply_to, envelope.id if item.durable else "")
        post: Post = (envelope, envelope.sender, envelope.context if envelope.context.run else None, back)
        if envelope.key:  # only durable actors remember keys
            why = Failure(
                "change_arguments", "no_keys", f"{cell.address} keeps nothing, so it knows no keys", hint="send it without a key",
                where=cell.address,
            )  # fmt: skip
            for brought in item.inputs:
                self.pump.after(Refused(brought, AskFailed(why)))
            return
        for brought in item.inputs:
            self.pump.after(Done(brought))
        if envelope.lane == "control":
            cell.rare().control.append(post)
            cell.odd = 1
            if cell.mail is None:
                cell.mail = []
                self.ready.append(cell)
        else:
            self.put(cell, post)

    def undelivered(self, envelope: Envelope, failure: Failure) -> None:
        """Mail of a memory-only actor that its addressee cannot be given now: whoever asked is told."""
        sender = self.cells.get(envelope.sender)
        if sender is None:
            return
        self.dead[failure.code] += 1
        back = envelope.reply_to
        asker = self.cells.get(back.address) if back is not None else None
        if back is not None and asker is not None:
            self.put(asker, (Arrived(back.token, NULL, failure), envelope.to, envelope.context, None))

    @property
    def any(self) -> bool:
        """Whether any memory-only actor is mounted."""
        return self._directory.memory_only

    def now(self) -> float:
        """Journal time."""
        now = self.pump.now
        return now if self.clock is None else max(now, self.clock())

    def fresh_id(self) -> str:
        """An id that no other life of the node gives out."""
        self._count += 1
        return f"{self.epoch}~{self._count}"

    # -- running ------------------------------------------------------------------------------------------------

    def hurry(self, most: int) -> None:
        """Run turns now, unless this is called from within one."""
        if not self.running:
            self.run(most)

    def run(self, most: int) -> int:
        """Run turns while the next that is ready is memory-only, about ``most`` of them. Gives how many."""
        self.running = True
        try:
            return self._run(most)
        finally:
            self.running = False

    def _run(self, most: int) -> int:  # noqa: C901 - the hot path: a call more is a tenth of a turn
        ready, ran = self.ready, 0
        while ran < most and ready:
            cell = ready[0]
            if type(cell) is not Ephemeral:
                break
            ready.popleft()
            if cell.odd > 0:
                ran += self._look(cell)
                continue
            box, long = cell.mail, False
            if isinstance(box, list):
                cell.mail = None
            else:
                assert box is not None
                box, long = [box.popleft() for _ in range(min(LONG, len(box)))], True
            ran += len(box)
            handlers = cell.kind.handlers
            for post in box:
                message, _, _, back = post
                found = handlers.get(message.__class__)
                if found is None:
                    self._unusual(cell, post)
                else:
                    turn = EphemeralTurn(cell, post)
                    try:
                        answer = found.method(turn, message)
                        if back is not None:
                            answer = _value(back, found, answer)
                    except Exception as error:  # noqa: BLE001 - the actor's own code: its failure is told
                        self._raised(cell, post, error)
                    else:
                        cell.state = turn.state
                        if turn.out is not None:
                            for target, mail in turn.out:
                                if target.mail is None:
                                    target.mail = [mail]
                                    ready.append(target)
                                else:
                                    self.put(target, mail)
                        if turn.acts is not None:
                            self._act(turn)
                        if back is not None and type(answer) is not Later:
                            self.answer(cell, back, answer, None, post[2])
                if cell.odd > 0:  # held, stopped or over: the rest is looked at with that in mind
                    done = next(place for place, one in enumerate(box, 1) if one is post)
                    self._put_back(cell, box[done:], long=long)
                    break
            else:
                if long:
                    if cell.mail:
                        ready.append(cell)
                    else:
                        cell.mail = None
        return ran

    def _unusual(self, cell: Ephemeral, post: Post) -> None:
        """A turn of what comes in an envelope, of an answer, or of a message that has no handler."""
        turn = EphemeralTurn(cell, post)
        try:
            answer = self._special(cell, turn, post)
        except Exception as error:  # noqa: BLE001 - the actor's own code: its failure is told
            self._raised(cell, post, error)
            return
        cell.state = turn.state
        self._let_out(turn)
        if post[3] is not None and type(answer) is not Later:
            self.answer(cell, post[3], answer, None, post[2])

    def _special(self, cell: Ephemeral, turn: EphemeralTurn, post: Post) -> object:
        message: Any = post[0]  # of any class
        back, where = post[3], cell.address
        if type(message) is Envelope:
            if message.wire == OUTCOME:
                body: OutcomeBody = decode(message.body, OutcomeBody)
                message = Arrived(body.of, body.value, body.failure)
            else:
                found = cell.kind.behaviour.handlers.get(message.wire)
                known = Started if message.wire == Started.__wire__ else found.message if found is not None else None
                if known is None or known.__version__ != message.version:
                    raise Refusal(_unhandled(where, message.wire, message.version, known))
                try:
                    message = decode(message.body, known)
                except msgspec.ValidationError as error:
                    why = Failure("change_arguments", "bad_message", f"{known.__wire__}: {error}", where=where)
                    raise Refusal(why) from error
        if type(message) is Arrived:
            self._settle(cell, turn, message)
            return NULL
        if type(message) is Started:
            return NULL  # it has begun: whoever wants to know it is told
        cls: type[Message] = message.__class__
        handles = cell.kind.handlers.get(cls)
        if handles is None:
            raise Refusal(_unhandled(where, cls.__wire__, cls.__version__, None))
        answer = handles.method(turn, message)
        return answer if back is None else _value(back, handles, answer)

    def _settle(self, cell: Ephemeral, turn: EphemeralTurn, arrived: Arrived) -> None:
        asked = cell.more.asks.pop(arrived.token, None) if cell.more is not None else None
        if asked is None:
            self.dead["late"] += 1  # asked by an incarnation or a life before this one
            return
        name, tag = asked
        settler = cell.kind.behaviour.settler(name)
        actor = cell.kind.mount.actor
        if settler is None:
            raise LookupError(f"nobody settles {name!r}: add a method with @us.settles to {type(actor).__name__}")
        value, failure = arrived.value, arrived.failure
        if failure is None and not as_it_is(settler.form)(value):
            try:
                value = decode(value if type(value) is Raw else encode(value), settler.form)
            except msgspec.ValidationError as error:
                value = None
                failure = Failure("abandon", "schema_drift", f"{name}: the result does not fit its type: {error}")
        outcome: Outcome[Any] = Outcome(arrived.token, tag, value, failure)
        try:
            settler.method(actor, turn, outcome)
        except Rejected as refused:
            if not _is_later(tag):
                raise TypeError(f"{refused.args[0]}: nobody is there to be refused") from refused
            turn.undo()
            turn.refuse(tag, rejected(cell, refused))
        except Failed as error:
            if not _is_later(tag) or failure is None or error.failure is not failure:
                raise
            turn.refuse(tag, failure)

    def _let_out(self, turn: EphemeralTurn) -> None:
        """What a turn that returned has sent and left open."""
        for target, post in turn.out or ():
            self.put(target, post)
        if turn.acts is not None:
            self._act(turn)

    def _act(self, turn: EphemeralTurn) -> None:
        for act in turn.acts or ():
            act()
        if turn.finished:
            self.forget(turn._cell)

    def answer(
        self, cell: Ephemeral, back: Back, value: object, failure: Failure | None, context: Context | None
    ) -> None:
        """Tell whoever waits. Where they are outside, not before everything made so far is durable."""
        pump = self.pump
        if type(back) is Asking:
            if pump.gid <= pump.acked:
                back.told(value, failure)
            else:
                pump.after(Handed(back, value, failure))
        elif type(back) is Inside:
            self.put(back.cell, (Arrived(back.token, value, failure), cell.address, context, None))
        elif type(back) is Owed:
            self._pay(cell, back, value if type(value) is Raw else NULL, failure, context)

    def _pay(self, cell: Ephemeral, owed: Owed, value: Raw, failure: Failure | None, context: Context | None) -> None:
        to, pump = owed.to, self.pump
        told: Cell | Ephemeral | None = None
        if to is not None and to.address == OUTSIDE:
            pump.after(Answered(Reply(to, value, failure)))
        elif to is not None:
            on_behalf = context or Context(cell.address)
            mail = outcome_envelope(self.fresh_id(), to, value, failure, cell.address, on_behalf, pump.now)
            told = pump.addressee(to.address)
            item = Item(mail, durable=False)
            if isinstance(told, Cell):
                item.closes = owed.mail
            pump.put(told, item, "accepted")
        if owed.mail and not isinstance(told, Cell):
            self.taken.append(owed.mail)

    # -- life ---------------------------------------------------------------------------------------------------

    def _look(self, cell: Ephemeral) -> int:
        """What is due before the next turn of an odd one: orders, its beginning, or a refusal. Gives how many turns that was."""
        more, turns = cell.more, 1
        while more is not None and more.control:
            self._order(cell, more, more.control.popleft())
            turns += 1
        box, cell.mail = cell.mail or (), None
        life = more.life if more is not None else "running"
        if life == "over":  # forgotten: what comes now is for the one after it
            fresh = self.find(cell.address)
            assert fresh is not None
            for post in box:
                self.put(fresh, post)
        elif life == "restarting":
            assert more is not None
            more.held.extend(box)
        elif life == "stopped":
            for post in box:
                self._refuse(
                    cell, post, Failure("abandon", "stopped", f"{cell.address} was stopped", where=cell.address)
                )
        elif box:
            if self.begin(cell, box[0]) is not None:
                self._hold(cell, list(box)[1:])
            elif cell.odd > 0:  # it stopped itself at once, and so would the next one
                for post in box:
                    self._refuse(
                        cell, post, Failure("abandon", "stopped", f"{cell.address} stopped", where=cell.address)
                    )
            else:
                self._refill(cell, box)
        return turns

    def begin(self, cell: Ephemeral, first: Post) -> Failure | None:
        """Run the ``Started`` handler. Where it raises, the mail that woke the actor has failed."""
        begin = cell.kind.begin
        if begin is None:
            cell.odd = 0
            return None
        turn = EphemeralTurn(cell, (None, first[1], first[2], None))
        try:
            begin.method(turn, Started())
        except Exception as error:  # noqa: BLE001 - the actor's own code: its failure is told
            return self._raised(cell, first, error, vital=True)
        cell.odd = 0
        cell.state = turn.state
        self._let_out(turn)
        return None

    def _order(self, cell: Ephemeral, more: More, post: Post) -> None:
        """What its supervisor, or a person, decided."""
        envelope: Envelope = post[0]
        if envelope.wire == Stop.__wire__:
            more.life = "stopped"
            self._end(cell, more, decode(envelope.body, Stop).failure)
            cell.mail = [*more.held, *(cell.mail or ())]
            more.held.clear()
        elif envelope.wire == Restart.__wire__ and more.life != "stopped":
            self._end(
                cell, more, Failure("retry_later", "restarted", f"{cell.address} began anew and forgot whom to answer")
            )
            more.life = "running"
            more.incarnation += 1
            again = cell.kind.again
            if again is not None:
                turn = EphemeralTurn(cell, (None, envelope.sender, post[2], None))
                try:
                    again.method(turn, Restarted(more.incarnation, decode(envelope.body, Restart).cause))
                except Exception as error:  # noqa: BLE001 - the actor's own code: its failure is told
                    self._raised(cell, post, error, vital=True)
                    return
                cell.state = turn.state
                self._let_out(turn)
            cell.odd = cell.kind.odd
            cell.mail = [*more.held, *(cell.mail or ())]
            more.held.clear()
        elif envelope.wire == Watch.__wire__:
            self._not_watched(cell, envelope)
        if post[3] is not None:
            self.answer(cell, post[3], NULL, None, post[2])

    def _not_watched(self, cell: Ephemeral, watch: Envelope) -> None:
        """It comes and goes without a trace, so nobody can wait for its end: whoever wants to is told so at once."""
        data = Raw(encode(Terminated(cell.address, "memory_only")))
        mail = Envelope(
            self.fresh_id(), watch.sender, Terminated.__wire__, data, sender=cell.address, context=watch.context,
            at=self.pump.now,
        )  # fmt: skip
        self.pump.put(self.pump.addressee(watch.sender), Item(mail, durable=False), "accepted")

    def _end(self, cell: Ephemeral, more: More, why: Failure) -> None:
        """The end of an incarnation: state and asks are forgotten, whoever still waits for it is told."""
        cell.state = cell.kind.state()
        more.asks.clear()
        askers, more.askers = more.askers, {}
        for back in askers.values():
            self.answer(cell, back, NULL, why, None)

    def forget(self, cell: Ephemeral) -> None:
        """It stopped itself: nothing of it stays, and mail that still waits begins a new one."""
        more = cell.rare()
        why = Failure("abandon", "stopped", f"{cell.address} ended without answering", where=cell.address)
        self._end(cell, more, why)
        self.cells.pop(cell.address, None)
        more.life = "over"
        cell.odd = 1

    def _raised(self, cell: Ephemeral, post: Post, error: Exception, *, vital: bool = False) -> Failure | None:
        """A turn raised: a refusal is an answer; anything else is a failure, and its supervisor decides. ``vital``: nobody asked for it."""
        message, _, context, back = post
        waits = back is not None and not (type(back) is Owed and back.to is None)
        if not vital and (isinstance(error, Rejected) or (isinstance(error, Refusal) and waits)):
            self.answer(
                cell, back, NULL, error.failure if isinstance(error, Refusal) else rejected(cell, error), context
            )
            return None
        failure = of_exception(error, where=cell.address)
        self.dead[failure.code] += 1
        more = cell.rare()
        more.life = "restarting"
        cell.odd = 1
        on_behalf = context or Context(cell.address)
        item = message.id if type(message) is Envelope else ""
        word = ChildFailed(cell.address, more.incarnation, failure, item, on_behalf.run)
        supervisor = cell.kind.mount.supervisor
        mail = Envelope(
            self.fresh_id(), supervisor, ChildFailed.__wire__, Raw(encode(word)), sender=cell.address, context=on_behalf,
            at=self.pump.now,
        )  # fmt: skip
        self.pump.put(self.pump.addressee(supervisor), Item(mail, durable=False), "accepted")
        self.answer(cell, back, NULL, failure, context)
        return failure

    def _refuse(self, cell: Ephemeral, post: Post, why: Failure) -> None:
        """A dead letter."""
        self.dead[why.code] += 1
        self.answer(cell, post[3], NULL, why, post[2])

    def _hold(self, cell: Ephemeral, posts: Iterable[Post]) -> None:
        cell.rare().held.extend(posts)

    def _refill(self, cell: Ephemeral, posts: Iterable[Post]) -> None:
        """Mail that was taken out goes in front again, and the actor is the next to run."""
        if cell.mail is None:
            self.ready.appendleft(cell)
        cell.mail = _box([*posts, *(cell.mail or ())])

    def _put_back(self, cell: Ephemeral, rest: list[Post], *, long: bool) -> None:
        """The rest of a batch that was broken off."""
        rest = [*rest, *(cell.mail or ())]
        if long or cell.mail is None:  # it does not stand in the queue
            cell.mail = None
            if rest:
                self.ready.append(cell)
        if rest:
            cell.mail = _box(rest)


class Refusal(LookupError):
    """This message is not for this actor: an answer where somebody waits, else a failed turn."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


def rejected(cell: Ephemeral, refused: Rejected) -> Failure:
    """``Rejected``, as whoever asked is told."""
    return Failure("change_arguments", "rejected", str(refused.args[0]), hint=refused.hint, where=cell.address)


def _is_later(tag: Tag) -> bool:
    return isinstance(tag, Later)


def _box(posts: list[Post]) -> list[Post] | deque[Post]:
    return posts if len(posts) <= LONG else deque(posts)


def _value(back: Back, handles: Handles, answer: Any) -> Any:  # of the request's answer type
    """An answer as it may be handed on. Raises NotStorable as ``roundtrip``."""
    if answer.__class__ is Later or (type(back) is Owed and back.to is None):
        return answer
    if type(back) is not Owed and handles.as_it_is(answer):
        return answer
    return sized(roundtrip(answer, handles.form)[0])


def _unhandled(where: Address, wire: str, version: int, known: type[Message] | None) -> Failure:
    text = f"{where} takes no {wire!r} messages"
    if known is not None:
        text = f"{where} takes version {known.__version__} of {wire!r}, this is version {version}"
    return Failure("change_arguments", "unhandled", text, where=where)
