"""Messages from outside: asked, told, or to begin an actor. The part of ``us.System`` that actors are reached by."""

from __future__ import annotations

import uuid
from itertools import count
from typing import Any, TypeVar

import anyio
from msgspec import Raw

from ..actors.asking import cancellation
from ..actors.spawn import covered
from ..actors.where import Where
from ..protocols import given, ids
from ..protocols.codec import roundtrip
from ..protocols.envelope import Context, Envelope, ReplyTo
from ..protocols.errors import DefinitionError, UnderstudyError
from ..protocols.failures import Failure
from ..protocols.ids import OUTSIDE, Address
from ..protocols.journal import MAX_MESSAGE
from ..protocols.lifecycle import Started
from ..protocols.messages import Message, Request, answer_type, asked
from ..protocols.secrets import refuse_secrets
from .access import Access
from .results import in_its_type
from .shell import unanswered
from .supervision.handle import SupervisorHandle
from .supervision.silence import silence
from .waiter import Waiter

R = TypeVar("R")


class Calling(Access):
    """Asks, tells, spawns."""

    _calls: count[int]
    _life: str

    async def ask(
        self, to: str, request: Request[R], *, key: str = "", timeout: float | None = 60.0, priority: int = 0
    ) -> R:
        """Ask an actor; typed by the request.

        When the time is over, or the waiting is cancelled, what has not begun on behalf of it is not begun any more, down the chain of
        asks that it caused; a turn is never interrupted. An ask with a key is work that its caller comes back for: giving up
        on the answer cancels nothing.

        Args:
            to: its address.
            request: the message.
            key: idempotency key. The same key and message again gives the recorded answer.
            timeout: seconds to wait for the answer; None for ever.
            priority: higher ones are taken first.

        Raises:
            AskFailed: ``failure.code`` says why: rejected, unhandled, no_such_actor, crashed, stopped, overloaded, timeout …
            BadArgument: ``timeout`` is no time (0 or more), or ``priority`` no whole number.
        """
        if timeout is not None and timeout != 60.0:
            timeout = given.patience(timeout)
        door = self._shell.memory_door
        fleeting = door.memory.cells.get(to) or door.find(to)
        if fleeting is not None:
            _none_in_memory(to, priority)
            return await door.ask(fleeting, request, timeout, key)
        deadline = None if timeout is None or key else self._shell.clock.now() + timeout
        envelope, waiter = self._request(
            self._owned(to), request, key=key, context=Context(), deadline=deadline, priority=priority
        )
        await self._wait(envelope, waiter, timeout, gives_up=not key)
        answer: R = self._value(waiter, answer_type(type(request)))
        return answer

    async def tell(self, to: str, message: Message, *, key: str = "", priority: int = 0) -> None:
        """Tell an actor something. Returns when the message is durable, which takes until there is room where its mailbox is full; for a
        memory-only actor, when it is in its mailbox.

        Args:
            to: its address.
            message: what to say.
            key: idempotency key. The same key and message again is taken once.
            priority: higher ones are taken first.

        Raises:
            AskFailed: nothing is mounted there (``no_such_actor``), or its mailbox is full and refuses (``overloaded``).
        """
        door = self._shell.memory_door
        if key == "" and not priority and door.put(to, message):
            return
        fleeting = door.find(to)
        if fleeting is not None:
            _none_in_memory(to, priority)
            await door.tell(fleeting, message, key)
            return
        owned = self._owned(to)
        data = _admissible(message)
        token = self._token(to, key)
        cls = type(message)
        envelope = Envelope(
            f"outside:{token}",
            owned,
            cls.__wire__,
            data,
            key=key,
            version=cls.__version__,
            priority=given.priority(priority),
        )
        await self._shell.deliver(envelope, None).wait()

    async def spawn(
        self,
        where: Where,
        key: str | tuple[str, ...] = "",
        message: Message | None = None,
        *,
        timeout: float | None = 60.0,
    ) -> Address:
        """Begin an actor before anybody writes to it. Returns its address when its ``Started`` turn is durable (of a memory-only actor:
        has run). One that has begun before stays as it is.

        Args:
            where: a template, an address, or an actor class that is mounted once.
            key: what goes into the template's hole; a tuple for several.
            message: the first one that it is told.
            timeout: seconds to wait; None for ever.

        Raises:
            DefinitionError: nothing is mounted there, or the class at several templates.
            AskFailed: its ``Started`` turn failed, it has ended, or the time is over.
        """
        timeout = given.patience(timeout)
        door = self._shell.memory_door
        fleeting = door.spawn(where, key) if type(key) is str else None
        if fleeting is not None and not fleeting.odd and message is None:
            return fleeting.address
        to = fleeting.address if fleeting is not None else covered(self.tree.directory, where, key)
        if fleeting is None and (fleeting := door.find(to)) is not None:
            door.memory.learn(where, to)
        if fleeting is not None:
            await door.begin(fleeting, timeout)
        else:
            envelope, waiter = self._request(to, Started(), key="", context=Context())
            await self._wait(envelope, waiter, timeout, gives_up=False)
            if waiter.reply is None or waiter.reply.failure is not None:
                raise unanswered(waiter.reply.failure if waiter.reply is not None else None)
        if message is not None:
            await self.tell(to, message)
        return to

    def supervisor(self, name: str, *, timeout: float | None = 60.0) -> SupervisorHandle:
        """The children of a supervisor, to be started, stopped, restarted, deleted and looked at by name.

        Args:
            name: its address; ``root`` for what is mounted directly.
            timeout: seconds that each of these may take; None for ever.

        Raises:
            BadArgument: the name is no address, or ``timeout`` no time.
        """
        return SupervisorHandle(self, name, timeout, self._silence)

    async def _silence(self, name: Address, late: Failure) -> Failure:
        """Why a supervisor did not answer in time, as far as its journal can be read."""
        shell = self._shell
        try:
            return await silence(
                name, self.tree.directory, lambda who: shell.journal.stream(who, 0), shell.clock.now(), late
            )
        except UnderstudyError:
            return late

    def _token(self, to: str, key: str) -> str:
        """Names an ask or tell for ever: by its key, otherwise by this life of the system and a number (a UUID costs 3 us)."""
        return f"{to}#{ids.key(key)}" if key != "" else f"{to}?{self._life}.{next(self._calls)}"

    def _request(
        self, to: Address, request: Message, *, key: str, context: Context, watch: Address = OUTSIDE,
        deadline: float | None = None, priority: int = 0,
    ) -> tuple[Envelope, Waiter]:  # fmt: skip
        data = _admissible(request)
        token, cls = self._token(to, key), type(request)
        back = ReplyTo(OUTSIDE, token, asked(cls), deadline=deadline, keyed=to if key else OUTSIDE)
        envelope = Envelope(
            f"outside:{token}", to, cls.__wire__, data,
            context=context, reply_to=back, key=key,
            version=cls.__version__, priority=given.priority(priority),
        )  # fmt: skip
        return envelope, Waiter(watch, answer=True)

    async def _wait(self, envelope: Envelope, waiter: Waiter, timeout: float | None, *, gives_up: bool) -> None:
        assert envelope.reply_to is not None
        token, why = envelope.reply_to.token, ""
        try:
            if timeout is not None:
                self._shell.deadlines.add(timeout, waiter)
            await self._shell.deliver(envelope, waiter).wait()
        except TimeoutError:
            why = f"no answer from {envelope.to} within {timeout:g} s"
            raise unanswered(Failure("retry_later", "timeout", why)) from None
        except anyio.get_cancelled_exc_class():
            why = "the caller waits no more"
            raise
        finally:
            if timeout is not None:
                self._shell.deadlines.drop(timeout, waiter)
            self._shell.forget(token, waiter)
            if why and gives_up:
                self._shell.give_up(envelope, cancellation(envelope, why, uuid.uuid4().hex))

    def _value(self, waiter: Waiter, form: Any) -> Any:  # a type form and its value
        reply = waiter.reply
        if reply is None or reply.failure is not None:
            raise unanswered(reply.failure if reply is not None else None)
        return in_its_type(reply.value, form)


def _none_in_memory(to: str, priority: int) -> None:
    if priority:
        raise DefinitionError(f"{to} is memory-only (durable = False) and has no priorities")


def _admissible(message: Message) -> Raw:
    """A message from outside as JSON. Raises NotStorable, TooLarge, TooComplex."""
    data = roundtrip(message, type(message), MAX_MESSAGE)[0]
    refuse_secrets(bytes(data), type(message).__name__)
    return data
