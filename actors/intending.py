"""What a turn intends to be done in the world: calls of tools, questions to models and to people. The gate decides about each at once."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, TypeVarTuple, cast, overload

from msgspec import Raw

from ..protocols.approvals import Question
from ..protocols.codec import NULL, encode
from ..protocols.effects import AskingArgs, Effect, Intent, ThinkArgs, Verb
from ..protocols.envelope import Envelope, ReplyTo
from ..protocols.hooks import Inside
from ..protocols.messages import State
from ..protocols.model import ModelReply
from ..protocols.provenance import labels_of
from ..protocols.tasks import Task
from ..protocols.tool import P, ToolRef
from .hands import handed_on
from .outcome import Pending, Tag, effect_outcome, tag_json
from .patience import addressed, begin, checked, due
from .sizes import SMALL, bounded
from .speaking import Speaking

S = TypeVar("S", bound=State)
R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class Intending(Speaking[S]):
    """The effects of a turn."""

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

    def _intend(
        self, verb: Verb, name: str, args: Raw, settler: str, tag: Tag, question: Question | None = None,
        version: str = "",
    ) -> str:  # fmt: skip
        around, hops, granted = self.context.provenance, len(self.context.via), self.context.granted
        if around is None or verb != "call":
            intent = Intent(
                verb, name, args, self._frame.agent, self.me, question, version=version, hops=hops, granted=granted
            )
        else:
            labels = labels_of(name, args, around, self._known())
            intent = Intent(
                verb, name, args, self._frame.agent, self.me, question, labels, around, version, hops, granted
            )
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
