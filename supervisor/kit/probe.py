"""A probe: an actor that takes what it is told to take, remembers it, and answers as it is told to.

It is an actor like any other, so what it got is what its committed rows say: nothing is polled and nobody sleeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import anyio
from msgspec import Raw, Struct

from ...actors.actor import Actor, applies, handles
from ...actors.turn import Turn
from ...protocols.codec import decode, encode
from ...protocols.errors import DefinitionError
from ...protocols.ids import Address
from ...protocols.journal import Row
from ...protocols.messages import Event, Message, Request, State
from ..journal.batch import record_of
from ..simulation.simulated import Simulated
from ..supervision.children import Child
from ..system import System

M = TypeVar("M", bound=Message)


class Got(Struct, frozen=True):
    """One message that a probe took: what it was, who sent it (``""`` for outside), and when (journal time)."""

    message: Message
    sender: str
    at: float


class Heard(Event, wire="us.probe.heard"):
    """What a probe took."""

    wire: str
    body: Raw
    sender: str


@applies(Heard)
def _heard(_: Actor, state: State, __: Heard) -> State:
    return state


class Probe:
    """An actor for tests.

    Args:
        address: where it is mounted.
        messages: the classes that it takes; anything else is refused, as by any actor.
        answers: for a class of requests, the answer; or a function of the request that gives or raises it (``us.Rejected``, say).
            Without one a request is left open for ever.

    Raises:
        DefinitionError: an answer for what it does not take.
    """

    def __init__(
        self, address: str, *messages: type[Message], answers: Mapping[type[Request[Any]], Any] | None = None
    ) -> None:
        self.address = Address(address)
        self._answers = cast("dict[type[Message], Any]", dict(answers or {}))
        self._classes: dict[str, type[Message]] = {cls.__wire__: cls for cls in (*messages, *self._answers)}
        for cls in self._answers:
            if not issubclass(cls, Request):
                raise DefinitionError(f"a probe answers requests, and {cls!r} is none")
        self._taken = 0
        self.child = Child(address, self._actor())
        """What is mounted: ``us.testing.system(desk, probe.child)``."""

    def received(self, node: Simulated) -> tuple[Got, ...]:
        """Everything that it took so far, in order."""
        return self._read(node.journal.stream(self.address))

    def expect(self, node: Simulated, message: type[M]) -> M:
        """The next message that it takes; the node runs until it has it.

        Raises:
            AssertionError: another one comes first, or nothing moves any more and none has come.
        """
        while len(got := self.received(node)) <= self._taken:
            if not node.step():
                raise AssertionError(f"{self.address} waits for {message.__name__}, and nothing moves any more")
        return self._next(got, message)

    async def get(self, system: System, message: type[M], *, timeout: float = 5.0) -> M:
        """``expect`` for a real system: waits for the row.

        Raises:
            AssertionError: another one comes first, or none within so many seconds.
        """
        async with system.watch() as news:
            with anyio.move_on_after(timeout):
                while len(got := self._read(await system.rows(self.address))) <= self._taken:
                    await news.receive()
                return self._next(got, message)
        raise AssertionError(f"{self.address} waited {timeout:g} s for {message.__name__}")

    def nothing_more(self, node: Simulated) -> None:
        """Run the node until nothing moves. Raises AssertionError if the probe took anything that nobody expected."""
        node.rest()
        more = self.received(node)[self._taken :]
        assert not more, f"{self.address} got {more} besides"

    def _next(self, got: tuple[Got, ...], message: type[M]) -> M:
        found = got[self._taken].message
        if not isinstance(found, message):
            raise AssertionError(f"{self.address} waits for {message.__name__} and got {found!r}")  # noqa: TRY004
        self._taken += 1
        return found

    def _read(self, rows: tuple[Row, ...]) -> tuple[Got, ...]:
        got: list[Got] = []
        for row in rows:
            for stored in record_of(row).events:
                heard: Heard = decode(stored.data, Heard)
                message: Message = decode(heard.body, self._classes[heard.wire])
                got.append(Got(message, heard.sender, row.at))
        return tuple(got)

    def _actor(self) -> type[Actor]:
        body: dict[str, Any] = {"State": State, "_heard": _heard}
        for wire, cls in self._classes.items():
            body[f"take_{wire}"] = handles(cls)(self._handler(cls))
        return type("ProbeActor", (Actor,), body)

    def _handler(self, cls: type[Message]) -> Callable[[Any, Turn[Any], Any], Any]:
        def take(_: Any, turn: Turn[Any], message: Any) -> Any:
            turn.emit(Heard(cls.__wire__, Raw(encode(message)), turn.sender))
            if not issubclass(cls, Request):
                return None
            if cls not in self._answers:
                return turn.later(message)
            answer = self._answers[cls]
            return answer(message) if callable(answer) else answer

        return take
