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

from msgspec import Raw, Struct

from .approvals import Answer, Question
from .codec import NULL
from .envelope import Context
from .failures import Failure
from .ids import Address
from .people import Addressed
from .provenance import Label, Provenance
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
        granted: names of the tools that models may call on behalf of its run; None for all that they have.
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
    granted: tuple[str, ...] | None = None


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
