"""What an actor is: a class with a state and three kinds of methods.

Who calls whom: the kernel calls one ``@handles`` method for each message, one ``@settles`` method for each outcome of an
effect or ask, and ``emit`` calls the ``@applies`` method of the event.

* ``@handles(M)``: ``(self, turn, msg) -> R | Later[R]`` for a ``Request[R]``, ``-> None`` for a plain message. May raise
  ``Rejected``; anything else that it raises fails the turn.
* ``@applies(E)``: ``(self, state, event) -> state``. Pure. What raises here is never stored.
* ``@settles(tool | Request | THINK | PERSON | ANY_TOOL)``: ``(self, turn, outcome) -> None``.

An actor object has no state of its own: one object serves every address that its definition is mounted at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, NoReturn, Protocol, TypeVar, cast, overload

from msgspec import Raw, Struct

from ..protocols.approvals import Answer, Question
from ..protocols.budget import Budget
from ..protocols.codec import decoder
from ..protocols.effects import Effect
from ..protocols.errors import DefinitionError, Unreadable
from ..protocols.failures import Failure
from ..protocols.journal import StoredEvent
from ..protocols.mail import MailboxPolicy
from ..protocols.messages import Event, Message, Request, answer_type, asked
from ..protocols.messages import State as BaseState
from ..protocols.model import ModelReply, ModelRequest
from ..protocols.provenance import Vouched
from ..protocols.tasks import Cancel
from ..protocols.tool import P, ToolRef
from ..protocols.upcasting import lift
from .outcome import Later, Outcome
from .turn import Turn

A = TypeVar("A")
R = TypeVar("R")
E = TypeVar("E", bound=Event)
M = TypeVar("M", bound=Message)
S = TypeVar("S", bound=BaseState)
Q = TypeVar("Q", bound=Request[Any])  # any request type


class Thinking:
    """``@settles(THINK)``: the answers of models."""


class AnyTool:
    """``@settles(ANY_TOOL)``: outcomes of tools that no other method settles; values are plain JSON."""


class Person:
    """``@settles(PERSON)``: what people answered to an escalation."""


THINK: Final = Thinking()
ANY_TOOL: Final = AnyTool()
PERSON: Final = Person()

_MARK = "__understudy__"


class Handler:
    """A ``@handles`` method: the message it takes, how that is read, and the type of its answer (None for a plain message)."""

    __slots__ = ("answer", "decode", "message", "method", "request", "version")

    def __init__(self, message: type[Message], method: Callable[..., Any]) -> None:
        self.message = message
        self.version = message.__version__
        own = message.__module__.startswith("understudy.")
        self.decode = self._decode if own else decoder(message)  # one that cannot be made is found at the definition
        self.method = method
        self.request = issubclass(message, Request)
        self.answer = answer_type(message)

    def _decode(self, data: bytes | Raw) -> Any:  # a message of this class
        """Our own can be made. There are hundreds, and most programs never need most of them."""
        self.decode = decoder(self.message)
        return self.decode(data)


class Settler:
    """A ``@settles`` method and the type form of the values it takes."""

    __slots__ = ("form", "method")

    def __init__(self, form: Any, method: Callable[..., Any]) -> None:  # form is a type form
        self.form = form
        self.method = method


class Reads(Struct, frozen=True):
    """How events of one wire name and version are read and applied; recovery asks for every event."""

    version: int
    decode: Callable[[Raw], Event]
    apply: Callable[..., BaseState]


class Behaviour:
    """The tables of one actor class, built when the class is."""

    def __init__(self, cls: type) -> None:
        self.state: type[BaseState] = getattr(cls, "State", BaseState)
        self.handlers: dict[str, Handler] = {}
        self.appliers: dict[str, tuple[type[Event], Callable[..., BaseState]]] = {}
        self.settlers: dict[str, Settler] = {}
        self.reads: dict[str, Reads] = {}
        """The events that were read already, in the version that needs no lifting."""
        if not issubclass(self.state, BaseState):
            raise DefinitionError(f"{cls.__name__}.State must be a us.State")
        for base in reversed(cls.__mro__):
            for name, method in base.__dict__.items():
                for kind, subject, form in getattr(method, _MARK, ()):
                    self._add(cls, name, method, kind, subject, form)

    def _add(self, cls: type, name: str, method: Callable[..., Any], kind: str, subject: Any, form: Any) -> None:
        if kind == "handles":
            for wire in (subject.__wire__, *subject.__was__):
                known = self.handlers.get(wire)
                if known and known.message is not subject:
                    raise DefinitionError(f"{cls.__name__}.{name}: two messages have the wire name {wire!r}")
                self.handlers[wire] = Handler(subject, method)
        elif kind == "applies":
            for wire in (subject.__wire__, *subject.__was__):
                taken = self.appliers.get(wire)
                if taken and taken[0] is not subject:
                    raise DefinitionError(f"{cls.__name__}.{name}: two events have the wire name {wire!r}")
                self.appliers[wire] = (subject, method)
        else:
            self.settlers[subject] = Settler(form, method)

    def read(self, stored: StoredEvent) -> Event:
        """An event from its stored form. Raises Unreadable or msgspec.ValidationError where this code cannot read it."""
        found = self.appliers.get(stored.wire)
        if found is None:
            raise Unreadable(
                f"no @applies method takes the event {stored.wire!r} version {stored.version}",
                hint=f'use the code that wrote it; if the class has another name now, add was=("{stored.wire}",) to it',
            )
        event: Event = lift(stored.data, found[0], stored.version)
        if stored.version == found[0].__version__:
            self.reads[stored.wire] = Reads(stored.version, decoder(found[0]), found[1])
        return event

    def settler(self, name: str) -> Settler | None:
        """The method for an outcome; tools fall back to ``ANY_TOOL``."""
        found = self.settlers.get(name)
        return found or (self.settlers.get("tool:*") if name.startswith("tool:") else None)


class Actor:
    """Base of all actors. Subclass it, give it a ``State`` and decorated methods."""

    State: ClassVar[type[BaseState]] = BaseState
    behaviour: ClassVar[Behaviour]
    supervises: ClassVar[bool] = False
    """Whether it decides about failed children: its mail is never put aside as what may kill the process."""
    vital: ClassVar[bool] = False
    """Whether its mail is never put aside as what may kill the process, though it is no supervisor: others wait for all of it, and no
    user's code takes it."""
    attends: bool = False
    """Whether it is told (``Attend``) when a life of the process begins."""
    inner: ClassVar[bool] = False
    """Whether it is part of how a team works, rather than anything that somebody defined: it is not named to who mistypes an address."""
    sticky: ClassVar[bool] = True
    """Whether labels of what it has read stay with it, because its state may hold the words. False: each turn has only the labels of
    its message, and what else it says gets its labels from the actor's own code (``turn.under``)."""
    durable: ClassVar[bool] = True
    """False: it lives in memory only. No rows, no effects, no timers; its mail is at most once and its state is gone after a crash."""
    mailbox: ClassVar[MailboxPolicy] = MailboxPolicy()
    """How much mail it lets wait, and what senders outside meet when that is full."""
    poison_after: ClassVar[int] = 1
    """Failed turns after which a message is parked. A turn is pure and fails again in the same state: more makes sense only where
    the state, the hour or ``turn.random`` may make a difference. Until then it is tried again, first of all, after each restart."""

    budget: Budget | None = None
    """What each task that it takes may cost."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not isinstance(cls.mailbox, MailboxPolicy):
            raise DefinitionError(f"{cls.__name__}.mailbox must be a us.MailboxPolicy, not {cls.mailbox!r}")
        if isinstance(cls.poison_after, bool) or not isinstance(cls.poison_after, int) or cls.poison_after < 1:
            raise DefinitionError(f"{cls.__name__}.poison_after must be 1 or more, not {cls.poison_after!r}")
        cls.behaviour = Behaviour(cls)
        if not isinstance(cls.durable, bool):
            raise DefinitionError(f"{cls.__name__}.durable is {cls.durable!r}", hint="True (the default) or False")
        if not cls.durable and (cls.mailbox != MailboxPolicy() or cls.poison_after != 1):
            raise DefinitionError(
                f"{cls.__name__} is memory-only (durable = False): it has no mailbox policy and parks nothing",
                hint="leave mailbox and poison_after away",
            )
        if Cancel.__wire__ in cls.behaviour.handlers and not cls.durable:
            raise DefinitionError(
                f"{cls.__name__} is memory-only (durable = False) and is not told of cancelled requests, but it handles us.Cancel",
                hint="let a durable actor hold the request, or use a message of your own",
            )
        effects = [name for name in cls.behaviour.settlers if not name.startswith("ask:")]
        if effects and not cls.durable:
            raise DefinitionError(
                f"{cls.__name__} is memory-only (durable = False) and has no effects, but it settles {effects[0]!r}",
                hint="let a durable actor make the call and tell this one",
            )

    def consider(self, state: Any, question: Question, answer: Answer) -> None:
        """Look at a person's answer before it is taken: raise ``ValueError`` (or anything else), and it is refused with the
        reason, and the question stays open. Pure, and not part of a turn. Only asked where the answer has a value."""

    def considers(self, state: Any, effect: Effect, answer: Answer) -> None:
        """The same for an actor that has several questions open and tells them apart by what it gave with each (``effect.tag``)."""
        assert effect.question is not None
        self.consider(state, effect.question, answer)

    def vouches(self, state: Any, before: Vouched | None) -> Vouched:  # the subclass's own State
        """Which values in its state came from trusted sources. Asked only where it has read something that has a label. ``before``: what
        this gave last, perhaps of another state, for whoever can carry it on."""
        return Vouched()

    def spent(self, state: Any) -> float:  # the subclass's own State
        """US dollars that it has spent so far, for its supervisor's ``cost`` limit. Agents and teams know it; others say 0."""
        return 0.0

    def is_stopped(self, turn: Turn[Any], why: Failure) -> None:
        """It was given up and is stopped for good now, in this turn. Teams have what was done for their plan undone; others do nothing."""

    def render(self, state: Any, mark: int) -> ModelRequest:  # the subclass's own State
        """What a model is asked for a ``turn.think(model, mark)``. Must give the same answer for the same state and mark:
        the journal holds its digest, not the transcript."""
        raise DefinitionError(f"{type(self).__name__} thinks, so it must define render(state, mark)")


Actor.behaviour = Behaviour(Actor)


def _marked(method: Callable[..., Any], kind: str, subject: object, form: object = None) -> Any:  # the method itself
    marks = (*getattr(method, _MARK, ()), (kind, subject, form))
    setattr(method, _MARK, marks)
    return method


@overload
def handles(  # type: ignore[overload-overlap]  # a Request is a Message; the first that fits is meant
    message: type[Request[R]],
) -> Callable[[Callable[[A, Turn[S], Q], R | Later[R]]], Callable[[A, Turn[S], Q], R | Later[R]]]: ...
@overload
def handles(  # pyright: ignore[reportOverlappingOverload]
    message: type[M],
) -> Callable[[Callable[[A, Turn[S], M], None]], Callable[[A, Turn[S], M], None]]: ...
def handles(message: type[Message]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """This method takes messages of this class.

    Raises:
        DefinitionError: it is not a message class.
    """
    if not (isinstance(message, type) and issubclass(message, Message)):
        _refuse("handles", message, "a us.Message or us.Request class")
    return lambda method: _marked(method, "handles", message)


def applies(event: type[E]) -> Callable[[Callable[[A, S, E], S]], Callable[[A, S, E], S]]:
    """This method changes the state by events of this class.

    Raises:
        DefinitionError: it is not an event class.
    """
    if not (isinstance(event, type) and issubclass(event, Event)):
        _refuse("applies", event, "a us.Event class")
    return lambda method: _marked(method, "applies", event)


class Settles(Protocol[R]):
    """What ``settles(…)`` gives: takes a method whose outcome has the subject's type."""

    def __call__(
        self, method: Callable[[A, Turn[S], Outcome[R]], None], /
    ) -> Callable[[A, Turn[S], Outcome[R]], None]: ...


@overload
def settles(subject: ToolRef[P, R]) -> Settles[R]: ...
@overload
def settles(subject: type[Request[R]]) -> Settles[R]: ...
@overload
def settles(subject: Thinking) -> Settles[ModelReply]: ...
@overload
def settles(subject: AnyTool) -> Settles[object]: ...
@overload
def settles(subject: Person) -> Settles[Answer]: ...
def settles(subject: object) -> Any:  # a decorator, as the overloads say
    """This method takes the outcomes of calls of this tool, of asks with this request, of models or of people.

    Raises:
        DefinitionError: it is none of these.
    """
    if isinstance(subject, ToolRef):
        tool = cast("ToolRef[..., Any]", subject)
        name, form = f"tool:{tool.spec.name}", tool.returns
    elif isinstance(subject, type) and issubclass(subject, Request):
        name, form = asked(cast("Any", subject)), answer_type(cast("Any", subject))
    elif isinstance(subject, Thinking):
        name, form = "think", ModelReply
    elif isinstance(subject, AnyTool):
        name, form = "tool:*", object
    elif isinstance(subject, Person):
        name, form = "person", Answer
    else:
        _refuse("settles", cast("Any", subject), "a tool, a us.Request class, us.THINK, us.ANY_TOOL or us.PERSON")

    def mark(method: Callable[..., Any]) -> Callable[..., Any]:
        marked: Callable[..., Any] = _marked(method, "settles", name, form)
        for old in getattr(cast("Any", subject), "__was__", ()):
            _marked(marked, "settles", f"ask:{old}", form)
        return marked

    return mark


def _refuse(decorator: str, got: object, wanted: str) -> NoReturn:
    raise DefinitionError(f"@us.{decorator} takes {wanted}, not {got!r}")
