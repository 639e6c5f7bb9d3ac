"""Tools as data, and what a running tool is handed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, ParamSpec, TypeVar

from msgspec import Raw, Struct

from .effects import EffectClass, Retry
from .ids import Address

P = ParamSpec("P")
R = TypeVar("R")


class ToolSpec(Struct, frozen=True, omit_defaults=True):
    """What a tool is, without its code.

    Attributes:
        name: what models and the journal call it.
        description: for models and people.
        parameters: JSON schema of its arguments, an object.
        effect: what is safe after a crash in the middle.
        timeout: seconds one attempt may take.
        retry: how failures are tried again.
        key_ttl: seconds for which the other side remembers an idempotency key; an interrupted ``idempotent`` call that
            is older is in doubt.
        policy: name and version of its approval rule; empty for none.
        heartbeat: the longest silence, in seconds, between two heartbeats of one attempt; None where it beats no heart.
    """

    name: str
    description: str
    parameters: Raw
    effect: EffectClass
    timeout: float = 30.0
    retry: Retry = Retry()
    key_ttl: float = 86_400.0
    policy: str = ""
    heartbeat: float | None = None


def _unheard(progress: str) -> None:
    """Nobody listens to a tool that is called directly, or simulated."""


class Call(Struct, frozen=True):
    """Handed to a tool that has a parameter of this type: how the world should know this call.

    Attributes:
        id: id of the effect in the journal.
        key: idempotency key. The same for every attempt at the same action, also after a crash.
        attempt: 1 for the first.
        run: address of the actor that intends it.
        deadline: seconds left for this attempt when it began.
        fence: fencing token of the lease under which it is made (``Tool.under_lease``); 0 for none. What it works on should refuse
            one that is lower than the highest it has seen.
        beat: where heartbeats go; use ``heartbeat``.
        at: journal time at which it was intended, in seconds since 1970 (UTC); the same for every attempt.
    """

    id: str
    key: str
    attempt: int
    run: Address
    deadline: float
    fence: int = 0
    beat: Callable[[str], None] = _unheard
    at: float = 0.0

    def heartbeat(self, progress: str = "") -> None:
        """Say that the work goes on. From any thread, as often as you like.

        A tool with ``heartbeat=`` seconds that is silent for longer has failed (``silent``), however much of its timeout is left.

        Args:
            progress: how far it is, for whoever watches; provisional and not kept.

        Raises:
            asyncio.CancelledError: nobody waits for this call any more (its time is over, it was withdrawn, the system was closed): it
                should end. A thread cannot be told in any other way.
        """
        self.beat(progress)


class ToolRef(Generic[P, R]):
    """What a turn needs to know of a tool in order to intend a call of it: ``P`` its parameters, ``R`` its result.

    Attributes:
        spec: the tool as data.
        returns: type form of the result, what an outcome's value is decoded to.
        order: names of its parameters, for positional arguments.
    """

    spec: ToolSpec
    returns: Any  # a type form
    order: tuple[str, ...]

    def arguments(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, object]:
        """Positional and named arguments as one object.

        Raises:
            TypeError: too many positional ones, or one given twice.
        """
        if len(args) > len(self.order):
            raise TypeError(f"{self.spec.name} takes {len(self.order)} arguments, {len(args)} were given")
        named = dict(zip(self.order, args, strict=False))
        if twice := named.keys() & kwargs.keys():
            raise TypeError(f"{self.spec.name} got {', '.join(sorted(twice))} twice")
        return named | dict(kwargs)
