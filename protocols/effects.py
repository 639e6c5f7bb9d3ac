"""Effects: what a turn intends, and the ledger's record of what became of it.

The life of an effect, each step a row of the journal (``*`` may repeat):

    intended -> denied                                         (a check said no; settled at once)
    intended -> asking -> intended | settled                   (a person says yes | no, or says nothing in time)
    asking   -> asking *, in_doubt -> in_doubt *               (a person is reminded, or the next one is asked, or one of several says yes)
    intended -> started -> settled                             (the normal way; or simulated, in shadow mode)
    intended -> waiting -> started                             (a limit that many share has no room yet)
    started  -> waiting -> started *                           (failed, tried again after a while)
    started  -> in_doubt -> settled | intended                 (nobody knows whether it happened; a person or a late outcome says)
    intended -> sent                                           (done inside the node: the rest is mail)
    intended | asking -> inside -> settled                     (a composite tool: an actor makes its steps, and its answer is the outcome)
    any open -> withdrawn                                      (its actor stopped before it began)

``read`` and ``idempotent`` effects leave with the row of their intent; ``reconcilable`` and ``once`` effects only after
a ``started`` row is durable, because after a crash that row is all that tells "never began" from "may have happened". So do effects of
any class for which the gate reserves something (``books``).
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw, Struct

from .approvals import Answer, Question
from .codec import NULL
from .envelope import Context
from .failures import Failure
from .ids import Address
from .people import Addressed
from .provenance import Label, Provenance
from .shapes import shape_of
from .verdicts import Verdict

EffectClass = Literal["read", "idempotent", "reconcilable", "once"]
Verb = Literal["call", "think", "person"]
"""A tool, a model, or a person (an escalation: the answer is the outcome)."""

EffectState = Literal["intended", "asking", "waiting", "started", "in_doubt", "settled", "withdrawn", "sent", "inside"]

UNDER_WAY = frozenset({"intended", "asking", "waiting", "started", "inside"})
"""Neither settled nor in doubt."""

HAPPENED = frozenset({"schema_drift", "result_too_large", "transform_failed"})
"""Failures of calls that did happen: only their results are of no use."""

CALL, THINK, PERSON = "call", "think", "person"


class Retry(Struct, frozen=True, omit_defaults=True):
    """How often and how slowly an effect is tried again. The wait before attempt n is a random part (full jitter) of
    ``base * 2 ** (n - 1)`` seconds, at most ``cap``; a failure's own ``after`` is a lower bound to it."""

    attempts: int = 4
    base: float = 0.2
    cap: float = 30.0


class Intent(Struct, frozen=True):
    """What a turn wants done, before the gate has looked at it.

    Attributes:
        agent: address of the definition that intends it, for grants and limits (its template's fixed part).
        name: tool, model or topic.
        args: the arguments as JSON; for a model the mark in the transcript.
        run: address of the intending actor; part of the idempotency key.
        labels: of each argument that is no value of a trusted source, by parameter (under an empty name: of all of them).
        around: of everything that whoever intends it has read; None for nothing that has a label.
        version: of the tool; empty for the one without a version or, where there is none, the newest.
        hops: through how many hands the task came to whoever intends it.
    """

    verb: Verb
    name: str
    args: Raw
    agent: str
    run: Address
    question: Question | None = None
    labels: dict[str, tuple[Label, ...]] = {}
    around: Provenance | None = None
    version: str = ""
    hops: int = 0


class ThinkArgs(Struct, frozen=True):
    """Arguments of a ``think``: how far the transcript goes, and the digest of the request rendered from it. Never the transcript."""

    mark: int
    request: str = ""


class AskingArgs(ThinkArgs, frozen=True):
    """The same where a person may be asked whether it may cost more than a budget has left (``asks``)."""

    asks: bool = False


class Leave(Struct, frozen=True, omit_defaults=True):
    """The question and the yes by which a call was let go, kept while it is asked whether more may be spent on it; ``cleared``: when."""

    question: Question
    answer: Answer
    cleared: float = 0.0


class Effect(Struct, frozen=True, omit_defaults=True):
    """The ledger's record of one effect. ``id`` to ``context`` never change, unless a person approves it with other arguments (then
    ``args``, ``key``, ``occurrence``, ``digest`` and ``resource`` are those of the changed call); the rest goes forward only.

    Attributes:
        id: item id of the intent.
        stream: the actor that intends it and gets the outcome.
        settler: which ``@us.settles`` takes the outcome.
        agent: whose tools, models and limits.
        tag: what the actor wants back with it, as JSON.
        effect: the effect class declared by the tool (``read`` for models).
        key: idempotency key: digest of run, tool, canonical arguments and occurrence.
        occurrence: which of the calls with these arguments it is, see ``Counters.taken``.
        digest: digest of name and canonical arguments: what approvals are bound to and loops are found by.
        timeout: seconds one attempt may take.
        key_ttl: seconds for which the other side knows the key.
        verdicts: every check's verdict, in order.
        cleared: journal time at which a person said yes; 0 where nobody was asked.
        attempt: attempts begun.
        came: digest of what a call that only reads resulted in.
        booked: the last attempt whose outcome is in the gate's books.
        interrupted: attempts cut off by the end of the process.
        due: journal time of the next attempt (waiting), or at which something is to be done about a question that waits: a
            reminder, another person, or that silence is an answer.
        resource: what it works on: each attempt begins only under a lease of it. Empty for none.
        failure: why the last attempt failed, or why it is settled without a value.
        addressed: whom its question has come to, where it goes to people by name.
        instead: tools that failed for good before, the one that was called first: ``name`` and all that depends on it are those of the
            alternative that is tried now.
        before: attempts that were made of those.
        version: of the tool that was let through; every attempt is made with this one.
        yes: who said yes so far, where several must; with the last one it is answered.
        unsure: an earlier attempt may have happened; where no further one may be made, it is in doubt, not failed.
        labels: of its arguments, as in ``Intent``.
        simulated: it was let out in shadow mode: no attempt touches the world. Never taken back.
        leave: the approval that it had when a question about money took the place of that in ``question``; it goes on being looked at.
    """

    id: str
    stream: Address
    verb: Verb
    name: str
    args: Raw
    settler: str
    agent: str = ""
    tag: Raw = NULL
    effect: EffectClass = "read"
    key: str = ""
    occurrence: int = 0
    digest: str = ""
    timeout: float = 30.0
    retry: Retry = Retry()
    key_ttl: float = 86_400.0
    context: Context = Context()
    at: float = 0.0
    state: EffectState = "intended"
    verdicts: tuple[Verdict, ...] = ()
    cleared: float = 0.0
    attempt: int = 0
    interrupted: int = 0
    due: float | None = None
    question: Question | None = None
    answer: Answer | None = None
    failure: Failure | None = None
    resource: str = ""
    addressed: Addressed | None = None
    booked: int = 0
    came: str = ""
    yes: tuple[Answer, ...] = ()
    unsure: bool = False
    labels: dict[str, tuple[Label, ...]] = {}
    instead: tuple[str, ...] = ()
    before: int = 0
    version: str = ""
    simulated: bool = False
    leave: Leave | None = None


class Counters(Struct, frozen=True, omit_defaults=True):
    """What the gate remembers of one actor; a fold over its rows.

    Attributes:
        steps: model calls admitted.
        calls: tool calls admitted.
        recent: digests of the last tool calls admitted or refused as loops, oldest first, at most 8.
        admitted: how often each digest was admitted since the last grant by a person.
        taken: for each digest the occurrences that have succeeded or are under way; one that failed or is in doubt is free
            again, so that a retry of it keeps its idempotency key.
        refused: how often each digest was refused by the checks before.
        loops: calls refused as loops since the last grant by a person.
        shapes: how often each ``shape_of`` a call was admitted since the last grant by a person.
        tools: how often each tool was admitted.
        same: the tool that was read last, what it gave, and how often in a row; since the last grant by a person.
        allowed: tools of which a person allowed a call because it was the first one of the run (``ApprovalRule.first``).
        made: for each tool how many of its calls were admitted of which it is not known that they did not happen.
        done: tools of which a call has succeeded.
        nth: for each call under way the how manieth it was that was admitted, of all and of its tool.
    """

    steps: int = 0
    calls: int = 0
    recent: tuple[str, ...] = ()
    admitted: dict[str, int] = {}
    taken: dict[str, tuple[int, ...]] = {}
    loops: int = 0
    refused: dict[str, int] = {}
    shapes: dict[str, int] = {}
    tools: dict[str, int] = {}
    same: tuple[str, str, int] = ("", "", 0)
    allowed: tuple[str, ...] = ()
    made: dict[str, int] = {}
    done: tuple[str, ...] = ()
    nth: dict[str, tuple[int, int]] = {}

    def intended(self, effect: Effect) -> Counters:
        """After a row that holds this new effect."""
        if effect.verb == THINK:
            return self if effect.state == "settled" else msgspec.structs.replace(self, steps=self.steps + 1)
        if effect.verb == PERSON:
            return self
        if effect.state == "settled":  # denied
            looped = any(v.check == "limits.loop" and v.verdict == "deny" for v in effect.verdicts)
            if not looped:
                refused = {**self.refused, effect.digest: self.refused.get(effect.digest, 0) + 1}
                return msgspec.structs.replace(self, refused=refused)
            # A refused call is part of the pattern: going on with it is going on in circles.
            return msgspec.structs.replace(self, loops=self.loops + 1, recent=(*self.recent[-7:], effect.digest))
        shape, of_tool = shape_of(effect.name, effect.args), self.tools.get(effect.name, 0) + 1
        return msgspec.structs.replace(
            self._take(effect),
            calls=self.calls + 1,
            nth={**self.nth, effect.id: (self.calls + 1, of_tool)},
            recent=(*self.recent[-7:], effect.digest),
            admitted={**self.admitted, effect.digest: self.admitted.get(effect.digest, 0) + 1},
            made={**self.made, effect.name: self.made.get(effect.name, 0) + 1},
            tools={**self.tools, effect.name: of_tool},
            shapes={**self.shapes, shape: self.shapes.get(shape, 0) + 1} if shape else self.shapes,
        )

    def granted(self) -> Counters:
        """After a person allowed what looked like a loop: counting begins anew."""
        return msgspec.structs.replace(self, recent=(), admitted={}, loops=0, shapes={}, same=("", "", 0))

    def first_allowed(self, tool: str) -> Counters:
        """After a person allowed the first call of a tool."""
        return self if tool in self.allowed else msgspec.structs.replace(self, allowed=(*self.allowed, tool))

    def occurrence(self, digest: str) -> int:
        """Which occurrence of a call the next one with this digest is: the first that is free."""
        taken = self.taken.get(digest)
        return 0 if not taken else next(n for n in range(len(taken) + 1) if n not in taken)

    def changed(self, after: Effect) -> Counters:
        """After a row in which an open effect changed. One in doubt is not under way, and counts as done once it is found to be."""
        if after.verb != CALL:
            return self
        done = after.failure is None or after.failure.code in HAPPENED
        holds = after.state in UNDER_WAY or (after.state == "settled" and done)
        counted = self._take(after) if holds else self._free(after)
        if after.state not in ("settled", "withdrawn"):
            return counted
        if after.id in counted.nth:
            nth = {id: one for id, one in counted.nth.items() if id != after.id}
            counted = msgspec.structs.replace(counted, nth=nth)
        if not done or after.state == "withdrawn":
            made = {**counted.made, after.name: max(0, counted.made.get(after.name, 0) - 1)}
            return msgspec.structs.replace(counted, made=made)
        if after.failure is None:
            counted = counted._told(after)
        if after.name in counted.done:
            return counted
        return msgspec.structs.replace(counted, done=(*counted.done, after.name))

    def without(self, effect: Effect) -> Counters:
        """As if this call had never been intended: what a changed one in its place is admitted under."""
        admitted = {**self.admitted, effect.digest: max(0, self.admitted.get(effect.digest, 0) - 1)}
        last = max((n for n, one in enumerate(self.recent) if one == effect.digest), default=len(self.recent))
        shape, name = shape_of(effect.name, effect.args), effect.name
        return msgspec.structs.replace(
            self._free(effect),
            calls=max(0, self.calls - 1),
            admitted=admitted,
            recent=self.recent[:last] + self.recent[last + 1 :],
            tools={**self.tools, name: max(0, self.tools.get(name, 0) - 1)},
            shapes={**self.shapes, shape: max(0, self.shapes.get(shape, 0) - 1)} if shape else self.shapes,
        )

    def replaced(self, before: Effect, after: Effect) -> Counters:
        """After a row in which another tool took the place of one that failed for good: another call."""
        failed = self._free(before)
        made = {**failed.made, before.name: max(0, failed.made.get(before.name, 0) - 1)}
        return msgspec.structs.replace(failed, made=made).intended(after)

    def changed_into(self, before: Effect, after: Effect) -> Counters:
        """After a row in which a person gave a call other arguments."""
        left, shape = self.without(before), shape_of(after.name, after.args)
        return msgspec.structs.replace(
            left._take(after),
            calls=self.calls,
            tools=self.tools,
            shapes={**left.shapes, shape: left.shapes.get(shape, 0) + 1} if shape else left.shapes,
            recent=(*left.recent[-7:], after.digest),
            admitted={**left.admitted, after.digest: left.admitted.get(after.digest, 0) + 1},
        )

    def _told(self, after: Effect) -> Counters:
        """After a result. One of a call that changes something is progress, whatever it says."""
        if not after.came:
            return self if after.effect == "read" else msgspec.structs.replace(self, same=("", "", 0))
        name, came, times = self.same
        times = times + 1 if (name, came) == (after.name, after.came) else 1
        return msgspec.structs.replace(self, same=(after.name, after.came, times))

    def _take(self, effect: Effect) -> Counters:
        taken = self.taken.get(effect.digest, ())
        if effect.occurrence in taken:
            return self
        return msgspec.structs.replace(self, taken={**self.taken, effect.digest: (*taken, effect.occurrence)})

    def _free(self, effect: Effect) -> Counters:
        left = tuple(n for n in self.taken.get(effect.digest, ()) if n != effect.occurrence)
        return msgspec.structs.replace(self, taken={**self.taken, effect.digest: left})


class Attempt(Struct, frozen=True, omit_defaults=True):
    """What one attempt at an effect came to.

    Attributes:
        value: the result as JSON.
        failure: why there is none.
        unknown: with a failure: nobody knows whether it happened.
    """

    value: bytes | None = None
    failure: Failure | None = None
    unknown: bool = False


class Limits(Struct, frozen=True, omit_defaults=True):
    """Bounds of one agent. No configuration means these, not none.

    Attributes:
        steps: model calls in one run.
        calls: tool calls in one run.
        repeats: how often the same call with the same arguments runs; the next one forces a new plan, one more goes to a person.
        cycles: how often a pair of calls may alternate (A-B-A-B is 2).
        varied: how often a tool runs with arguments that differ only in numbers inside of texts (``part 1``, ``part 2``); then as
            with ``repeats``.
        stalled: how often in a row a tool that only reads gives the very same, whatever it is asked; then as with ``repeats``.
        handed: most tasks that a run hands on to colleagues (``us.hand_over``, ``us.builtin.delegate``).
        depth: through how many hands a task may go; who has it from so many does it alone.
        family: most tasks that are handed on in all by a run, by those to which it handed tasks on, and by theirs. Each holds its own
            ``family`` against the same count.
        per_tool: most calls in one run of tools that have a limit of their own, by name.
        approval: seconds until a person's silence counts as no; None waits for ever.
        approved: seconds for which a person's yes to a call may be used; after that the call is refused. None for no end.
        invalid: how often a final answer that does not fit its type is sent back.
        answer: tokens that one answer of a model may have. None: 8,192 where a budget is kept, else what the provider allows.
        model: seconds that one attempt at a model call may take.
        step: seconds that one step may take: a model call with all its attempts, and the calls that it asked for, people's approvals
            included; None for no limit but theirs.
        run: seconds that a run may take from its task on, people's answers included; None for no limit but the task's deadline.
    """

    steps: int = 20
    calls: int = 100
    repeats: int = 3
    cycles: int = 2
    varied: int = 10
    stalled: int = 6
    handed: int = 20
    depth: int = 8
    family: int = 200
    per_tool: dict[str, int] = {}
    approval: float | None = 86_400.0
    approved: float | None = 86_400.0
    invalid: int = 2
    answer: int | None = None
    model: float = 120.0
    step: float | None = None
    run: float | None = None
