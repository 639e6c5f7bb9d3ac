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

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from ..protocols.codec import NULL, decode, encode, roundtrip
from ..protocols.envelope import OUTCOME, Envelope, OutcomeBody
from ..protocols.errors import Failed, Rejected
from ..protocols.failures import Failure, said
from ..protocols.handover import as_it_is
from ..protocols.ids import OUTSIDE, Address
from ..protocols.lifecycle import Started
from ..protocols.messages import Message
from ..protocols.tasks import Task
from ..protocols.watch import Blocked
from .ephemeral import Arrived, Back, Ephemeral, Handles, Owed, Post
from .ephemeral_labels import carry
from .ephemeral_life import EphemeralLife, Refusal, rejected
from .ephemeral_mail import LONG
from .ephemeral_turn import EphemeralTurn, sized
from .outcome import Later, Outcome, Tag
from .provenance import distrusted
from .undelivered import too_late

T = TypeVar("T")


class Torn(Exception):
    """Memory-only actors are half way through something: the kernel they belong to is of no use any more."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Ephemerals(EphemeralLife):
    """All memory-only actors of one kernel, and what runs their turns."""

    def hurry(self, most: int, enough: Callable[[], bool] | None = None) -> None:
        """Run turns now, unless this is called from within one."""
        if not self.running:
            self.run(most, enough)

    def run(self, most: int, enough: Callable[[], bool] | None = None) -> int:
        """Run turns while the next that is ready is memory-only, about ``most`` of them. Gives how many.

        ``enough`` is asked after the first turn, the third, the seventh …: whether it was long enough. So slow turns end soon, and quick
        ones hardly pay for the question.

        Raises:
            Torn: the watchdog hit between two turns, where it cannot be said what was done.
        """
        return self._watched(lambda: self._until(most, enough))

    def begin_now(self, cell: Ephemeral) -> Failure | None:
        """``begin``, for whoever spawns it from outside. Raises Torn."""
        return self._watched(lambda: self.begin(cell, (None, OUTSIDE, None, None)))

    def _watched(self, turns: Callable[[], T]) -> T:
        watch, before = self.watch, self.watch.on
        self.running, watch.on = True, object()
        try:
            result = turns()
            watch.on = before
            if watch.shot is not None:
                watch.end()  # it hit a turn, and its failure was told there
            return result
        except Blocked as blocked:
            watch.on = before
            watch.over()
            raise Torn(blocked.failure) from None
        finally:
            self.running, watch.on = False, before

    def _until(self, most: int, enough: Callable[[], bool] | None) -> int:
        if enough is None:
            return self._run(most)
        ran, few = 0, 1
        while ran < most and (now := self._run(min(few, most - ran))):
            ran += now
            few *= 2
            if enough():
                break
        return ran

    def _run(self, most: int) -> int:  # noqa: C901 - the hot path: a call more is a tenth of a turn
        ready, ran, new = self.ready, 0, object.__new__
        while ran < most and ready:
            cell = ready.popleft()
            if type(cell) is not Ephemeral:
                ready.appendleft(cell)
                break
            if cell.odd > 0:
                ran += self._look(cell)
                continue
            box, long = cell.mail, False
            if isinstance(box, list) and len(box) <= most - ran:
                cell.mail = None
            else:
                assert box is not None
                if isinstance(box, list):
                    box = cell.mail = deque(box)
                box, long = [box.popleft() for _ in range(min(LONG, most - ran, len(box)))], True
            ran += len(box)
            handlers = cell.kind.handlers
            for post in box:
                message, back = post[0], post[3]
                found = handlers.get(message.__class__)
                if found is None:
                    self._unusual(cell, post)
                else:
                    turn = new(EphemeralTurn)  # without the call of its ``__init__``, which costs as much again
                    turn.state, turn._cell, turn._post = cell.state, cell, post
                    try:
                        answer = found.method(turn, message)
                        if back is not None:
                            answer = _value(back, found, answer)
                    except (Exception, Blocked) as error:  # noqa: BLE001 - the actor's own code: its failure is told
                        self._raised(cell, post, error)
                    else:
                        cell.state = turn.state
                        if turn.out is not None:
                            for sent in turn.out:
                                target = sent[4]
                                if target.mail is None:
                                    target.mail = [sent]
                                    ready.append(target)
                                else:
                                    self.put(target, sent)
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
        late = too_late(post[0], self.now()) if type(post[0]) is Envelope else None
        if late is not None:
            self.refuse(cell, post, late)
            return
        came = post[2].provenance if post[2] is not None else None
        if came is not None or (cell.more is not None and cell.more.read is not None):
            post = carry(cell, post)
        turn = EphemeralTurn(cell, post)
        turn.came = (came,)
        try:
            answer = self._special(cell, turn, post)
        except Refusal as refused:  # no turn of it failed: a dead letter
            self.refuse(cell, post, said(refused.failure))
            return
        except (Exception, Blocked) as error:  # noqa: BLE001 - the actor's own code: its failure is told
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
                    raise Refusal(unhandled(where, message.wire, message.version, known))
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
        handles = cell.kind.all.get(cls)
        if handles is None:
            raise Refusal(unhandled(where, cls.__wire__, cls.__version__, None))
        if cls is Task and message.untrusted:
            turn.distrust(distrusted(message))
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


def _is_later(tag: Tag) -> bool:
    return isinstance(tag, Later)


def _value(back: Back, handles: Handles, answer: Any) -> Any:  # of the request's answer type
    """An answer as it may be handed on. Raises NotStorable as ``roundtrip``."""
    if answer.__class__ is Later or (type(back) is Owed and back.to is None):
        return answer
    if type(back) is not Owed and handles.as_it_is(answer):
        return answer
    return sized(roundtrip(answer, handles.form)[0])


def unhandled(where: Address, wire: str, version: int, known: type[Message] | None) -> Failure:
    """Why an actor does not take a message. ``known``: the class that it takes under this wire name."""
    text = f"{where} takes no {wire!r} messages"
    if known is not None:
        text = f"{where} takes version {known.__version__} of {wire!r}, this is version {version}"
    return Failure("change_arguments", "unhandled", text, where=where)
