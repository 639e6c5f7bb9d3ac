"""Tools as data, and what a running tool is handed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, ParamSpec, TypeVar, get_args

import msgspec
from msgspec import Raw, Struct

from .effects import EffectClass, Retry
from .ids import Address

if TYPE_CHECKING:
    from .tool_log import ToolLog

P = ParamSpec("P")
R = TypeVar("R")

Kind = Literal["read", "write", "send", "money", "destroy", "account", "egress", "execute"]
"""What a call does to the world.

* ``read``: looks at something, and nobody hears of it
* ``write``: makes or changes something that is ours and can be put right
* ``send``: says something to somebody: mail, chat, a post
* ``money``: moves money, or orders what costs some
* ``destroy``: what is gone cannot be brought back
* ``account``: changes who may do what: passwords, members, shares, permissions
* ``egress``: what it is given leaves for elsewhere, be it in a read: an address that is fetched, a query to a foreign service
* ``execute``: runs code or commands
"""

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

MAX_RESULT = 256_000
"""Bytes of one tool's result as JSON, as it is stored and as a model sees it."""

_READ: Final[frozenset[Kind]] = frozenset(("read",))


class _Parameters(Struct):
    """What of a schema says which parameters there are."""

    properties: dict[str, Raw] = {}


class ToolSpec(Struct, frozen=True, omit_defaults=True, dict=True):
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
        kind: what a call does to the world. None: not said, see ``kinds``.
        sinks: parameters that say where the effect goes (a recipient, an account, a path). None: not said, see ``goes_to``.
        payload: parameters whose content goes there. None: not said, see ``carries``.
        trusted: the result is the word of a trusted source (True), or these fields of it are (dotted names; items of lists are meant
            by the list's name). What a stranger can write is not, names and subjects included.
        private: the result is private data. None: not said, see ``is_private``.
        version: tells versions of one tool apart.
        cost: US dollars that one call costs.
        amount: the parameter that says how much money a call moves; empty where none does, or it is not said.
        tags: what else rules may go by, such as ``legal`` or ``medical``.
        max_bytes: bytes that its result may have as JSON.
        fallback: tools that are tried in its place, in order, when it has failed for good and nothing happened.
        after: tools that must have succeeded in the same run before.
        excludes: tools of which none may have been called in the same run: either they or this one.
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
    kind: tuple[Kind, ...] | None = None
    sinks: tuple[str, ...] | None = None
    payload: tuple[str, ...] | None = None
    trusted: bool | tuple[str, ...] = False
    private: bool | None = None
    version: str = ""
    cost: float = 0.0
    amount: str = ""
    tags: tuple[str, ...] = ()
    max_bytes: int = MAX_RESULT
    fallback: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()

    # What is not said is taken for the worst. It is said here and nowhere else, so that every check sees the same.

    @cached_property
    def kinds(self) -> frozenset[Kind]:
        """What a call may do to the world. Not said: ``read`` for a tool whose effect class is declared as ``read``, else everything."""
        if self.kind is not None:
            return frozenset(self.kind)
        return frozenset(("read",) if self.effect == "read" else KINDS)

    @cached_property
    def pure_read(self) -> bool:
        """It only looks, and nobody hears of it."""
        return self.kinds == _READ

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Its parameters, in order."""
        return tuple(msgspec.json.decode(self.parameters, type=_Parameters).properties)

    @cached_property
    def goes_to(self) -> frozenset[str]:
        """Parameters that say where the effect goes. Not said: none for a pure read, else every one."""
        return self._meant(self.sinks)

    @cached_property
    def carries(self) -> frozenset[str]:
        """Parameters whose content goes there. Not said: none for a pure read, else every one."""
        return self._meant(self.payload)

    @cached_property
    def is_private(self) -> bool:
        """The result is private data. Not said: it is, where the kind is not said either and the effect class is not ``read``."""
        return self.private if self.private is not None else self.kind is None and self.effect != "read"

    def _meant(self, said: tuple[str, ...] | None) -> frozenset[str]:
        if said is not None:
            return frozenset(said)
        return frozenset(() if self.pure_read else self.names)


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
        agent: the definition of whoever intends it (its template's fixed part), for whom tools and limits are granted.
        tool: the tool's name.
    """

    id: str
    key: str
    attempt: int
    run: Address
    deadline: float
    fence: int = 0
    beat: Callable[[str], None] = _unheard
    at: float = 0.0
    agent: str = ""
    tool: str = ""

    @property
    def log(self) -> ToolLog:
        """A logger of the standard library, ``understudy.tool``, whose records say of which call they are and show no secret. In a process
        of its own what is logged reaches the program, too. Nothing of it stands in the journal."""
        from .tool_log import ToolLog  # most tools log nothing

        return ToolLog(tool=self.tool, call=self.id, run=self.run, agent=self.agent, attempt=self.attempt)

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
