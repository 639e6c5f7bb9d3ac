"""The lives of memory-only actors: how they begin, fail, are begun anew or stopped, and are forgotten."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Raw

from ..protocols.codec import NULL, decode, encode
from ..protocols.envelope import Context, Envelope
from ..protocols.errors import Ignore, Rejected
from ..protocols.failures import Failure, of_exception, said
from ..protocols.lifecycle import (
    Cease,
    ChildExited,
    ChildFailed,
    ChildStarted,
    ChildStopped,
    Restart,
    Restarted,
    Resume,
    Shutdown,
    Start,
    Started,
    Stop,
    Stopping,
)
from ..protocols.mail import Terminated, Watch
from ..protocols.messages import Message
from ..protocols.watch import Blocked
from .ephemeral import Ephemeral, More, Post
from .ephemeral_labels import mark_all
from .ephemeral_mail import EphemeralMail, box_of
from .ephemeral_turn import EphemeralTurn
from .mailbox import Item


class EphemeralLife(EphemeralMail):
    """Memory-only actors between their turns."""

    def _let_out(self, turn: EphemeralTurn) -> None:
        """What a turn that returned has sent and left open."""
        if turn.out is not None:
            mark_all(turn.out)
            for sent in turn.out:
                self.put(sent[4], sent)
        if turn.acts is not None:
            self._act(turn)

    def _act(self, turn: EphemeralTurn) -> None:
        for act in turn.acts or ():
            act()
        if turn.ended_by is not None:
            self._failed(turn._cell, turn.ended_by, "", Context(turn._cell.address))
        elif turn.finished:
            more = turn._cell.more
            if more is not None and more.led:
                self._tell_supervisor(
                    turn._cell, ChildExited(turn._cell.address, more.incarnation), Context(turn._cell.address)
                )
            self.forget(turn._cell)

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
                self.refuse(
                    cell, post, Failure("abandon", "stopped", f"{cell.address} was stopped", where=cell.address)
                )
        elif box:
            if cell.odd > 0 and self.begin(cell, box[0]) is not None:
                self._hold(cell, list(box)[1:])
            elif cell.odd > 0:  # it stopped itself at once, and so would the next one
                for post in box:
                    self.refuse(
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
        except (Exception, Blocked) as error:  # noqa: BLE001 - the actor's own code: its failure is told
            return self._raised(cell, first, error, vital=True)
        cell.odd = 0
        cell.state = turn.state
        self._let_out(turn)
        return None

    def _order(self, cell: Ephemeral, more: More, post: Post) -> None:
        """What its supervisor, or a person, decided."""
        envelope: Envelope = post[0]
        if envelope.wire == Stop.__wire__ or (envelope.wire == Cease.__wire__ and more.life == "restarting"):
            more.life = "stopped"
            self._end(cell, more, decode(envelope.body, Stop).failure)
            cell.mail = [*more.held, *(cell.mail or ())]
            more.held.clear()
        elif envelope.wire == Start.__wire__ and more.life == "running":
            self._start(cell, more, post, decode(envelope.body, Start).attempt)
        elif envelope.wire in (Restart.__wire__, Start.__wire__) and (
            more.life != "stopped" or envelope.wire == Start.__wire__
        ):
            self._restart(cell, more, post)
        elif envelope.wire == Resume.__wire__ and more.life == "restarting":
            more.life, cell.odd = "running", 0 if more.begun else cell.kind.odd
            cell.mail = [*more.held, *(cell.mail or ())]
            more.held.clear()
        elif envelope.wire == Shutdown.__wire__:
            self._shut_down(cell, more, post, decode(envelope.body, Shutdown))
        elif envelope.wire == Watch.__wire__:
            self._not_watched(cell, envelope)
        if post[3] is not None:
            self.answer(cell, post[3], NULL, None, post[2])

    def _start(self, cell: Ephemeral, more: More, post: Post, attempt: int) -> bool:
        """Begin, as ordered, and say so. Gives whether it did not fail at it."""
        if cell.odd and cell.kind.begin is not None:
            turn = EphemeralTurn(cell, (None, post[1], post[2], None))
            try:
                cell.kind.begin.method(turn, Started())
            except Ignore:
                more.life = "stopped"
                self._tell_supervisor(
                    cell, ChildStarted(cell.address, more.incarnation, attempt, ignored=True), post[2]
                )
                return True
            except (Exception, Blocked) as error:  # noqa: BLE001 - the actor's own code: its failure is told
                self._raised(cell, post, error, vital=True, attempt=attempt)
                return False
            cell.state, cell.odd = turn.state, 0
            self._let_out(turn)
        self._up(cell, more, attempt, post[2])
        return True

    def _restart(self, cell: Ephemeral, more: More, post: Post) -> None:
        envelope: Envelope = post[0]
        order = decode(envelope.body, Restart if envelope.wire == Restart.__wire__ else Start)
        self._end(
            cell, more, Failure("retry_later", "restarted", f"{cell.address} began anew and forgot whom to answer")
        )
        more.life = "running"
        more.incarnation += 1
        again = cell.kind.again
        if again is not None:
            turn = EphemeralTurn(cell, (None, envelope.sender, post[2], None))
            try:
                again.method(turn, Restarted(more.incarnation, order.cause, order.attempt))
            except (Exception, Blocked) as error:  # noqa: BLE001 - the actor's own code: its failure is told
                self._raised(cell, post, error, vital=True, attempt=order.attempt)
                return
            cell.state = turn.state
            self._let_out(turn)
        cell.odd = cell.kind.odd
        # Whoever ordered it waits for its start; without an order it begins with its mail.
        if not order.attempt or self._start(cell, more, post, order.attempt):
            cell.mail = [*more.held, *(cell.mail or ())]
            more.held.clear()

    def _shut_down(self, cell: Ephemeral, more: More, post: Post, order: Shutdown) -> None:
        """It has nothing under way that could be waited for: the end is this order's turn."""
        if more.life == "running" and cell.kind.last is not None:
            turn = EphemeralTurn(cell, (None, post[1], post[2], None))
            try:
                cell.kind.last.method(turn, Stopping(order.final, order.cause))
            except (Exception, Blocked) as error:  # noqa: BLE001 - the actor's own code: its failure is told
                self._raised(cell, post, error, vital=True, attempt=order.attempt)
                return
            self._let_out(turn)
        if order.final:
            more.life = "stopped"
            self._end(cell, more, order.cause or Failure("abandon", "stopped", f"{cell.address} was stopped"))
            cell.mail = [*more.held, *(cell.mail or ())]
            more.held.clear()
        elif more.life == "running":
            more.life, cell.odd = "restarting", 1
        self._tell_supervisor(cell, ChildStopped(cell.address, order.attempt, "shutdown"), post[2])

    def _up(self, cell: Ephemeral, more: More, attempt: int, context: Context | None) -> None:
        if attempt:
            more.led = True
            self._tell_supervisor(cell, ChildStarted(cell.address, more.incarnation, attempt), context)

    def _tell_supervisor(self, cell: Ephemeral, word: Message, context: Context | None) -> None:
        supervisor = cell.kind.mount.supervisor
        mail = Envelope(
            self.fresh_id(), supervisor, type(word).__wire__, Raw(encode(word)), sender=cell.address,
            context=context or Context(cell.address), at=self.pump.now,
            lane="control" if isinstance(word, ChildStopped) else "work",
        )  # fmt: skip
        self.pump.put(self.pump.addressee(supervisor), Item(mail, durable=False), "accepted")

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

    def _raised(
        self, cell: Ephemeral, post: Post, error: BaseException, *, vital: bool = False, attempt: int = 0
    ) -> Failure | None:
        """A turn raised: a refusal is an answer; anything else is a failure, and its supervisor decides. ``vital``: nobody asked for it.
        ``attempt``: the order on which it did."""
        message, _, context, back = post[:4]
        if not vital and isinstance(error, Rejected):
            self.answer(cell, back, NULL, rejected(cell, error), context)
            return None
        failure = error.failure if isinstance(error, Blocked) else of_exception(error, where=cell.address)
        item = message.id if type(message) is Envelope else ""
        self._failed(cell, failure, item, context or Context(cell.address), attempt)
        self.answer(cell, back, NULL, failure, context)
        return failure

    def _failed(self, cell: Ephemeral, failure: Failure, item: str, on_behalf: Context, attempt: int = 0) -> None:
        self.dead[failure.code] += 1
        more = cell.rare()
        more.life, more.begun = "restarting", not cell.odd
        cell.odd = 1
        word = ChildFailed(cell.address, more.incarnation, failure, item, on_behalf.run, attempt=attempt)
        self._tell_supervisor(cell, word, on_behalf)

    def _hold(self, cell: Ephemeral, posts: Iterable[Post]) -> None:
        cell.rare().held.extend(posts)

    def _refill(self, cell: Ephemeral, posts: Iterable[Post]) -> None:
        """Mail that was taken out goes in front again, and the actor is the next to run."""
        if cell.mail is None:
            self.ready.appendleft(cell)
        cell.mail = box_of([*posts, *(cell.mail or ())])

    def _put_back(self, cell: Ephemeral, rest: list[Post], *, long: bool) -> None:
        """The rest of a batch that was broken off."""
        rest = [*rest, *(cell.mail or ())]
        if long or cell.mail is None:  # it does not stand in the queue
            cell.mail = None
            if rest:
                self.ready.append(cell)
        if rest:
            cell.mail = box_of(rest)


class Refusal(LookupError):
    """This message is not for this actor: whoever asked is told, and who told, if it wants to know."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


def rejected(cell: Ephemeral, refused: Rejected) -> Failure:
    """``Rejected``, as whoever asked is told."""
    return said(Failure("change_arguments", "rejected", refused.args[0], hint=refused.hint, where=cell.address))
