"""What a turn says to other actors, and answers to who asked."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from ..protocols import given
from ..protocols.codec import NULL, roundtrip
from ..protocols.envelope import Envelope, Reply, ReplyTo, without
from ..protocols.errors import DefinitionError, NotStorable
from ..protocols.failures import Failure, said
from ..protocols.handover import stored
from ..protocols.ids import OUTSIDE, Address, address
from ..protocols.journal import MAX_ROW, Timer
from ..protocols.mail import CancelAsk, Terminated, Unwatch, Watch
from ..protocols.messages import Message, Request, State, asked
from ..protocols.tasks import Task
from .hands import handed_on
from .makings import Makings
from .outcome import Later, Pending, Tag, outcome_envelope, tag_json

S = TypeVar("S", bound=State)
R = TypeVar("R")


class Speaking(Makings[S]):
    """The messages of a turn."""

    def tell(self, to: str, message: Message, *, priority: int = 0, within: float | None = None) -> None:
        """Send a message inside the node. It is never refused for fullness.

        Args:
            priority: higher ones are taken first; mail of one sender and priority stays in order.
            within: seconds in which its turn must begin; after that it is a dead letter, and this actor is told
                (``us.Undelivered``) if it handles that. None for no end.

        Raises:
            ValueError, TypeError: ``within`` is no time, or ``priority`` no whole number.
        """
        self._send(to, message, None, priority, None if within is None else self._until(within))

    def ask(
        self, to: str, request: Request[R], *, tag: Tag = None, priority: int = 0, within: float | None = None
    ) -> Pending[R]:
        """Send a request; the answer comes to ``@us.settles(type(request))``, also when the other fails or is gone.

        Made on behalf of a request that is still open (the one in ``tag``, else the one of this turn), it ends when nobody waits
        for that one any more: an ask has the deadline of whoever asked, and is cancelled with it.

        Args:
            tag: comes back with the outcome.
            priority: as in ``tell``.
            within: seconds to wait for the answer. Then the outcome is a failure (``timeout``), the other is told that nobody waits
                (``us.Cancel``, if it handles that), and a later answer is dropped and counted.

        Raises:
            ValueError, TypeError: as ``tell``.
        """
        due = self._until(within)
        settler = asked(type(request))
        id = self._send(to, request, (settler, tag), priority, due)
        if due is not None:
            self._time_out(id, self.sends[-1], within or 0.0)
        return Pending(id)

    def stash(self) -> Later[Any]:  # whoever asked goes on waiting
        """Put the message of this turn by: it stays in the journal as it is and comes back, in order and before newer mail of its
        priority, after ``unstash`` or a restart. Return what this gives where the message is a request.

        Raises:
            DefinitionError: this turn has no message that could come back.
        """
        if not self._frame.stashable:
            raise DefinitionError("stash: there is no message in this turn that could come back")
        self.note("stashed", True)
        return Later(self._request[0] if self._request is not None else "")

    def unstash(self) -> None:
        """Let everything that was stashed before this turn come back."""
        if self._frame.stashes:
            self.note("unstashed", True)

    def watch(self, other: str) -> None:
        """Be told (``us.Terminated``) when another actor finishes, is stopped or parked; at once, if it is already. Survives a crash
        and ends with a restart of this actor. Twice is once.

        Raises:
            DefinitionError: this actor does not handle ``us.Terminated``.
            ValueError: no address, or its own.
        """
        whom = address(other)
        if not self._frame.handles(Terminated.__wire__):
            raise DefinitionError(f"watch: {self.me} would not hear of it", hint="add @us.handles(us.Terminated)")
        if whom == self.me:
            raise ValueError("watch: an actor cannot watch itself")
        if whom in self._noted("unwatches"):
            self._unnote("unwatches", whom)
            self.order(whom, Watch())
        elif whom not in self._noted("watches") and not self._frame.watches(whom):
            self.note("watches", (*self._noted("watches"), whom))
            self.order(whom, Watch())

    def unwatch(self, other: str) -> None:
        """Be told no more, even if it has ended and the word is on its way."""
        whom = address(other)
        if whom in self._noted("watches"):
            self._unnote("watches", whom)
            self.order(whom, Unwatch())
        elif whom not in self._noted("unwatches") and self._frame.watches(whom):
            self.note("unwatches", (*self._noted("unwatches"), whom))
            self.order(whom, Unwatch())

    def forward(self, to: str, request: Request[Any]) -> Later[Any]:  # the answer goes past this actor
        """Hand the request of this turn on: the other answers it in this actor's place. Return what this gives."""
        if self._request is None:
            raise DefinitionError("forward: nobody waits for an answer to this message")
        data, _ = stored(request)
        envelope = self._envelope(self._next(), address(to), request, data, self._request[1])
        if type(request) is Task:
            envelope = msgspec.structs.replace(
                envelope, context=handed_on(envelope.context, self.me, data, waits=True, to=to)
            )
        self.sends.append(envelope)
        return Later(self._request[0])

    def later(self, request: Request[R]) -> Later[R]:
        """Leave the request of this turn open; answer it in a later turn with ``reply``. Return what this gives."""
        if self._request is None:
            return Later("")  # it was told, not asked: replies to it go nowhere
        self.rare.askers[self._request[0]] = self._frame.remembered(self._request[1])
        return Later(self._request[0])

    def reply(self, to: Later[R] | Tag, value: R) -> None:
        """Answer a request that was left open. For one that is answered, or that nobody waits for any more, it does nothing: the
        answer is dropped and counted as late.

        Raises:
            NotStorable: the value does not come back from its JSON as it is, in the type of the answer; the request stays open.
        """
        asker = self._take_asker(to)
        if asker is not None:
            try:
                data, _ = roundtrip(value, self._frame.answer(asker, value), MAX_ROW)
            except NotStorable:
                self._owe(to.id, asker)
                raise
            self.respond(asker, data, None)
        elif isinstance(to, Later) and to.id:
            self.note("late", (self.notes or {}).get("late", 0) + 1)

    def refuse(self, to: Later[R] | Tag, failure: Failure) -> None:
        """Answer a request that was left open with a failure."""
        asker = self._take_asker(to)
        if asker is not None:
            self.respond(asker, NULL, said(failure))

    def respond(self, asker: ReplyTo, value: Raw, failure: Failure | None) -> None:
        """Send an answer to whoever asked; inside the node it is a message."""
        if asker.address == OUTSIDE:
            self.replies.append(Reply(asker, value, failure))
            return
        context = self.context if self.context.provenance is None else self._carried(value)
        if context.budgets:
            context = without(context, self.me)
        self.sends.append(outcome_envelope(self._next(), asker, value, failure, self.me, context, self.now))

    def order(self, to: Address, message: Message) -> None:
        """Send in the control lane: what supervisors say to their children."""
        self.sends.append(self.control(self._next(), to, message))

    def call_off(self, why: Failure) -> None:
        """This actor is cut off: whom it has asked is told that nobody waits, and what has not begun does not begin."""
        for id, to in self._frame.asks().items():
            self.order(to, CancelAsk(id, why, answer=False))

    def control(self, id: str, to: Address, message: Message) -> Envelope:
        """A message for the control lane."""
        data, _ = stored(message)
        return msgspec.structs.replace(self._envelope(id, to, message, data, None), lane="control")

    def _send(
        self, to: str, message: Message, asks: tuple[str, Tag] | None, priority: int = 0, due: float | None = None
    ) -> str:
        cls = type(message)
        data, _ = stored(message)
        id = f"{self._frame.gid}.{self._ordinal}"
        self._ordinal += 1
        back = self._back(id, asks, due) if asks else None
        context = self.context
        if context.provenance is not None:
            context = self._carried(data)
        if cls is Task:
            context = handed_on(context, self.me, data, waits=asks is not None, to=to)
        envelope = Envelope(
            id, address(to), cls.__wire__, data, self.me, context, back, version=cls.__version__, at=self.now
        )
        if priority or (due is not None and back is None):
            expires = due if back is None else None
            envelope = msgspec.structs.replace(envelope, priority=given.priority(priority), expires=expires)
        self.sends.append(envelope)
        return id

    def _back(self, id: str, asks: tuple[str, Tag], due: float | None) -> ReplyTo:
        """Where the answer to an ask of this turn goes, and until when anybody waits for it."""
        settler, tag = asks
        later = isinstance(tag, Later)
        request = tag.id if later else self._request[0] if self._request is not None else self.behalf
        if not request:
            return ReplyTo(self.me, id, settler, tag_json(tag), due)
        asker = self.rare.askers.get(request) or self._frame.asker(request)
        if asker is None and self._request is not None and self._request[0] == request:
            asker = self._request[1]
        if asker is not None and asker.deadline is not None:
            due = asker.deadline if due is None else min(due, asker.deadline)
        return ReplyTo(self.me, id, settler, tag_json(tag), due, "" if later else request)

    def _time_out(self, id: str, ask: Envelope, within: float) -> None:
        """Set the alarm after which an ask of this turn is over."""
        back = ask.reply_to
        assert back is not None
        late = Failure("retry_later", "timeout", f"no answer from {ask.to} within {within:g} s", where=ask.to)
        word = outcome_envelope(time_out_id(id), back, NULL, late, self.me, self.context, self.now)
        self.rare.timers.append(Timer(word.id, self.now + within, word))

    def _envelope(self, id: str, to: Address, message: Message, data: Raw, back: ReplyTo | None) -> Envelope:
        cls = type(message)
        return Envelope(
            id,
            to,
            cls.__wire__,
            data,
            sender=self.me,
            context=self.context if self.context.provenance is None else self._carried(data),
            reply_to=back,
            version=cls.__version__,
            at=self.now,
        )

    def _take_asker(self, to: Tag) -> ReplyTo | None:
        if not isinstance(to, Later):
            raise DefinitionError(
                f"reply: {to!r} is not a us.Later", hint="keep what turn.later(msg) gave, for instance as the tag"
            )
        if to.id in self.rare.answered:
            return None
        asker = self.rare.askers.pop(to.id, None)
        if asker is None:
            asker = self._frame.asker(to.id)
            if asker is not None:
                self.rare.answered.append(to.id)
        return asker

    def _owe(self, id: str, asker: ReplyTo) -> None:
        """The answer was none: the request is open still."""
        if id in self.rare.answered:
            self.rare.answered.remove(id)
        else:
            self.rare.askers[id] = asker


def time_out_id(ask: str) -> str:
    """The id of the alarm after which an ask is over."""
    return f"{ask}@"
