"""A turn: what a handler may do while it takes one message. Nothing here waits and nothing touches the world.

Everything a turn makes is encoded at once and decoded back, so what cannot be stored fails the turn where it was made.
If the handler returns, all of it becomes one row; if it raises, none of it does.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar, TypeVarTuple, cast, get_args, overload

import msgspec
from msgspec import Raw

from ..protocols import given
from ..protocols.approvals import Question
from ..protocols.codec import NULL, digest, encode, roundtrip
from ..protocols.effects import AskingArgs, Effect, Intent, ThinkArgs, Verb
from ..protocols.envelope import Context, Envelope, Reply, ReplyTo, without
from ..protocols.errors import DefinitionError, NotStorable
from ..protocols.failures import Failure, said
from ..protocols.handover import stored
from ..protocols.hooks import Inside
from ..protocols.ids import OUTSIDE, Address, address, item_id
from ..protocols.journal import MAX_ROW, Missed, Schedule, StoredEvent, Timer
from ..protocols.lifecycle import Life, Started
from ..protocols.mail import CancelAsk, Post, Terminated, Unwatch, Watch
from ..protocols.messages import Event, Message, Request, State, asked
from ..protocols.model import ModelReply
from ..protocols.provenance import Known, Provenance, labels_of, values, vouched
from ..protocols.tasks import Task
from ..protocols.tool import P, ToolRef
from .derived import Derived
from .frame import Frame
from .hands import handed_on
from .outcome import Later, Pending, Tag, effect_outcome, outcome_envelope, tag_json
from .patience import addressed, begin, checked, due
from .rare import Rare, Seldom
from .sizes import SMALL, bounded
from .where import Where

S = TypeVar("S", bound=State)
R = TypeVar("R")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Turn(Generic[S]):
    """One turn of one actor.

    Attributes:
        state: the state so far, with the events emitted in this turn.
        now: journal time, seconds since the epoch; recorded.
        me: the actor's address.
        sender: who sent the message; ``""`` for outside.
        context: on whose behalf; inherited by everything this turn sends, labels of what was read included.
    """

    # What few turns have is not made for each.
    _uids = 0
    _random: Derived | None = None
    made: Rare | None = None
    """What few turns make, as far as this one has asked for it."""
    changes = Seldom[tuple[Effect, ...]](())
    finished = Seldom(False)
    started = Seldom(False)
    notes = Seldom[dict[str, Any] | None](None)
    life = Seldom[Life | None](None)
    ended_by = Seldom[Failure | None](None)
    budgeted = Seldom(False)
    behalf: str = ""
    """The open request of this actor on whose behalf the turn is made, where it is not the one of its message."""
    attempt: int = 0
    """The order that this end is the answer to."""
    _said: frozenset[str] = frozenset()
    """Values that the actor's code trusts."""

    def __init__(self, frame: Frame, state: S, request: tuple[str, ReplyTo] | None) -> None:
        self._frame = frame
        self._request = request
        self.state: S = state
        self.now = frame.now
        self.me = frame.me
        self.sender = frame.sender
        self.context = frame.context
        self.events: list[StoredEvent] = []
        self.sends: list[Envelope] = []
        self.replies: list[Reply] = []
        self._ordinal = 0

    @property
    def rare(self) -> Rare:
        """What few turns make."""
        if self.made is None:
            self.made = Rare()
        return self.made

    @property
    def random(self) -> Derived:
        """Random numbers derived from the journal's seed, this address and the turn's number: the same in replay."""
        if self._random is None:  # few turns draw, and the digest costs 1.7 us
            self._random = Derived(digest(self._frame.seed, self.me, str(self._frame.turns)))
        return self._random

    # -- where it comes from ------------------------------------------------------------------------------------

    @property
    def provenance(self) -> Provenance | None:
        """Where the message of this turn comes from; None where nothing is to be feared of it."""
        return self._frame.provenance

    def trusted(self, value: T) -> T:
        """Say that a value is as good as one from a trusted source, because this code has looked at it: compared it with a list, found
        it in a record of its own. In calls and messages of this turn it has no label. Gives it back.

        Only code can say so; what a model says of a text changes nothing.
        """
        plain = msgspec.to_builtins(value)
        self._said = self._said | frozenset(values(plain))
        return value

    def distrust(self, provenance: Provenance) -> None:
        """The message of this turn says of itself where some of it comes from."""
        self._frame.take_on(provenance)
        self.context = self._frame.context

    def under(self, provenance: Provenance | None) -> None:
        """What this turn sends from here on is from there, instead of from its message and what the actor has read."""
        self.context = msgspec.structs.replace(self.context, provenance=provenance)

    def _known(self) -> Known:
        return self._frame.known(self.state, self._said, self.context.provenance)

    def _carried(self, data: Raw) -> Context:
        """The context of a message of this turn, with the values in it that come from trusted sources although the turn has labels."""
        provenance = self.context.provenance
        if provenance is None:
            return self.context
        marks = vouched(data, self._known()) if "untrusted" in provenance.labels else ()
        return msgspec.structs.replace(
            self.context, provenance=Provenance(provenance.labels, provenance.sources, marks)
        )

    # -- what happened ------------------------------------------------------------------------------------------

    def emit(self, event: Event) -> S:
        """Record that something happened; it is applied at once. Gives the new state.

        Raises:
            NotStorable: the event does not come back from its JSON as it is.
        """
        cls = type(event)
        data, event = stored(event)
        self.state = self._frame.apply(self.state, event)
        self.events.append(StoredEvent(cls.__wire__, data, cls.__version__))
        return self.state

    # -- messages -----------------------------------------------------------------------------------------------

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

    # -- effects ------------------------------------------------------------------------------------------------

    @overload
    def call(self, tool: ToolRef[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Pending[R]: ...
    @overload
    def call(self, tool: Callable[[*Ts], Coroutine[Any, Any, R]], /, *args: *Ts, tag: Tag) -> Pending[R]: ...
    @overload
    def call(self, tool: Callable[[*Ts], R], /, *args: *Ts, tag: Tag) -> Pending[R]: ...
    def call(  # type: ignore[misc]  # mypy takes no implementation for overloads with *Ts
        self, tool: Any, /, *args: Any, tag: Tag = None, **kwargs: Any
    ) -> Pending[Any]:
        """Intend a call of a tool; the outcome comes to ``@us.settles(tool)``. With ``tag=``, arguments are positional."""
        ref = cast("ToolRef[Any, Any]", tool)
        spec = ref.spec
        return self.call_named(spec.name, Raw(encode(ref.arguments(args, kwargs))), tag=tag, version=spec.version)

    def call_named(self, name: str, args: Raw, *, tag: Tag = None, version: str = "") -> Pending[object]:
        """Intend a call of a tool by its name, with arguments as JSON that may not fit it: the gate checks them. ``version``: of the
        tool, where there are several; by default the one without a version, or the newest."""
        return Pending(self._intend("call", name, args, f"tool:{name}", tag, version=version))

    def think(
        self, model: str, mark: int, *, request: str = "", asks: bool = False, tag: Tag = None
    ) -> Pending[ModelReply]:
        """Intend a request to a model; the outcome comes to ``@us.settles(us.THINK)``.

        Args:
            model: which, by name.
            mark: what the actor's ``render(state, mark)`` is given when the request leaves.
            request: digest of what that gives now; kept, so that replay can tell whether it would ask the same.
            asks: where a budget has no room for it a person is asked for as much again, rather than that it fails.
        """
        args = AskingArgs(mark, request, True) if asks else ThinkArgs(mark, request)
        return Pending(self._intend("think", model, Raw(encode(args)), "think", tag))

    def escalate(self, question: Question, *, topic: str = "escalation", tag: Tag = None) -> Pending[object]:
        """Ask a person; nobody's process is held meanwhile. The answer comes to ``@us.settles(us.PERSON)``.

        Raises:
            DefinitionError: the question contradicts itself, such as people whose default it does not take.
        """
        checked(question)
        return Pending(self._intend("person", topic, Raw(b"{}"), "person", tag, question))

    def pending(self) -> tuple[Effect, ...]:
        """Effects of this actor that are under way or wait for a person."""
        return tuple(self._frame.open_effects().values())

    # -- others -------------------------------------------------------------------------------------------------

    def spawn(self, where: Where, key: str | tuple[str, ...] = "", message: Message | None = None) -> Address:
        """Begin an actor, so that its ``Started`` handler runs before anybody writes to it. One that has begun stays as it is.

        Args:
            where: a template, an address, or an actor class that is mounted once.
            key: what goes into the template's hole; a tuple for several.
            message: the first one that it is told.

        Returns its address. If it fails at that, its supervisor is told.

        Raises:
            DefinitionError: nothing is mounted there, or the class at several templates.
        """
        to = self._frame.place(where, key)
        self.tell(to, Started())
        if message is not None:
            self.tell(to, message)
        return to

    # -- time, life ---------------------------------------------------------------------------------------------

    def remind(
        self, message: Message, *, after: float | None = None, at: float | None = None, cron: str | None = None,
        tz: str = "UTC", missed: Missed = "once",
    ) -> str:  # fmt: skip
        """Send this actor a message later. Durable. Gives an id for ``forget``.

        Args:
            message: what.
            after: seconds from now.
            at: a journal time, seconds since the epoch; one that is over comes at once.
            cron: again and again, such as ``"*/5 * * * *"``: minute, hour, day of the month, month, day of the week (six fields:
                seconds first). Needs the extra ``cron``.
            tz: time zone of ``cron``, such as ``"Europe/Oslo"``. Where clocks are put forward, a time that does not exist comes at
                the next one that does; where they are put back, a time that comes twice counts once.
            missed: what becomes of ticks for which nobody was there, because the process was down or the clock jumped: ``once``,
                one comes late for all of them; ``all``, each comes late (the newest 100 at most); ``skip``, none does (up to 5
                seconds late still counts as in time).

        Raises:
            ValueError: not exactly one of ``after``, ``at`` and ``cron`` is given; no time, expression or time zone; or one that
                never comes.
            MissingExtra: ``cron`` without its library.
        """
        if (after is not None) + (at is not None) + (cron is not None) != 1:
            raise ValueError("remind takes one of after= (seconds from now), at= (seconds since the epoch) and cron=")
        if cron is None:
            given.seconds("remind: after", after) if after is not None else given.seconds("remind: at", at)
        if missed not in get_args(Missed):
            raise ValueError(f"remind: missed={missed!r} is none of {', '.join(get_args(Missed))}")
        if cron is None and tz != "UTC":
            raise ValueError("remind: tz= goes with cron=; at= and after= are seconds, which have no time zone")
        if cron is not None:
            due = self._frame.calendar.next(cron, tz, self.now)
        else:
            due = self.now + max(0.0, after) if after is not None else cast(float, at)
        data, _ = stored(message)
        id = self._next()
        plain = cron is None and missed != "skip"
        schedule = None if plain else Schedule(cron or "", tz, missed, id, due)
        self.rare.timers.append(Timer(id, due, self._envelope(id, self.me, message, data, None), schedule))
        return id

    def forget(self, reminder: str) -> None:
        """Drop a reminder of this actor; one with ``cron`` comes no more. What has fired already is not called back."""
        kept = [timer for timer in self.rare.timers if not _is_called(reminder, timer.id, timer.schedule)]
        if len(kept) < len(self.rare.timers):
            self.rare.timers[:] = kept
            return
        for id, schedule in self._frame.reminders().items():
            if _is_called(reminder, id, schedule) and id not in self.rare.dropped:
                self.rare.dropped.append(id)

    def stop(self, failure: Failure | None = None) -> None:
        """End this actor after this turn.

        Args:
            failure: it does not end in order: its supervisor decides, as if the turn had failed, but what the turn did counts.

        The answer that this turn gives, and those to requests that were left open before (``later``), are kept: whoever makes the same
        request again gets the same answer (the newest 16). Anything else is answered ``finished``.
        """
        if failure is not None:
            self.life, self.ended_by = "restarting", said(failure)
        else:
            self.finished = True

    def uid(self) -> str:
        """A fresh id, the same in replay: derived from the journal's seed, this address and the turn's number."""
        self._uids += 1
        return digest(self._frame.seed, self.me, str(self._frame.turns), str(self._uids))

    # -- inside -------------------------------------------------------------------------------------------------

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

    def next_id(self) -> str:
        """The id of the next thing that this turn makes."""
        return self._next()

    def _next(self) -> str:
        ordinal = self._ordinal
        self._ordinal = ordinal + 1
        return item_id(self._frame.gid, ordinal)

    def note(self, field: str, value: Any) -> None:  # a field of ``Post``
        """Have the row say something about mail."""
        if self.notes is None:
            self.notes = {}
        self.notes[field] = value

    def post(self) -> Post | None:
        """What the row says about mail."""
        if self.notes is None:
            return None
        if self.notes.get("stashed"):
            self.notes.pop("heard", None)  # it is heard when it comes back
        return Post(**self.notes)

    def _noted(self, field: str) -> tuple[Address, ...]:
        found: tuple[Address, ...] = (self.notes or {}).get(field, ())
        return found

    def _unnote(self, field: str, whom: Address) -> None:
        self.note(field, tuple(one for one in self._noted(field) if one != whom))

    def _until(self, within: float | None) -> float | None:
        if within is None:
            return None
        return self.now + given.seconds("within", within, least=0.0)

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

    def _intend(
        self, verb: Verb, name: str, args: Raw, settler: str, tag: Tag, question: Question | None = None,
        version: str = "",
    ) -> str:  # fmt: skip
        around, hops = self.context.provenance, len(self.context.via)
        if around is None or verb != "call":
            intent = Intent(verb, name, args, self._frame.agent, self.me, question, version=version, hops=hops)
        else:
            labels = labels_of(name, args, around, self._known())
            intent = Intent(verb, name, args, self._frame.agent, self.me, question, labels, around, version, hops)
        admission = self._frame.admit(intent)
        if len(args) > SMALL or admission.question is not None:
            bounded(name, args, admission.question)
        question = admission.question and addressed(
            admission.question, self._frame.people(admission.question.about), self.now
        )
        to = begin(question, self.now)
        id = self._next()
        asking = admission.decision == "ask"
        effect = Effect(
            id=id,
            stream=self.me,
            verb=verb,
            name=name,
            args=args,
            settler=settler,
            agent=self._frame.agent,
            tag=tag_json(tag),
            effect=admission.effect,
            key=admission.key,
            occurrence=admission.occurrence,
            digest=admission.digest,
            timeout=admission.timeout,
            retry=admission.retry,
            key_ttl=admission.key_ttl,
            context=self.context,
            at=self.now,
            state="asking"
            if asking
            else "settled"
            if admission.decision == "deny"
            else "intended"
            if admission.inside is None
            else "inside"
            if admission.inside.settles
            else "sent",
            verdicts=admission.verdicts,
            question=question,
            due=due(question, to),
            failure=admission.failure,
            resource=admission.resource,
            addressed=to,
            labels=intent.labels,
            version=admission.version,
        )
        self._frame.intended(effect)
        self.rare.effects.append(effect)
        if admission.decision == "deny":
            self.sends.append(effect_outcome(self._next(), effect, NULL, admission.failure, self.now))
        elif admission.inside is not None:
            self._inside(id, admission.inside, self._back(id, (settler, tag), None))
        return id

    def _inside(self, id: str, inside: Inside, back: ReplyTo) -> None:
        """Ask the actor that does this call; the ask has the effect's id, and its answer is the outcome."""
        task = inside.wire == Task.__wire__
        context = self.context if self.context.provenance is None else self._carried(inside.body)
        context = handed_on(context, self.me, inside.body) if task else context
        self.sends.append(
            Envelope(
                id, inside.addressee(id), inside.wire, inside.body, sender=self.me, context=context, reply_to=back,
                version=inside.version, at=self.now,
            )
        )  # fmt: skip

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


def _is_called(reminder: str, id: str, schedule: Schedule | None) -> bool:
    """Whether a timer is, or is a tick of, what ``remind`` gave this id for."""
    return reminder in (id, schedule.series if schedule is not None else id)
