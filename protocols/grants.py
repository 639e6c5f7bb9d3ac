"""Standing approvals: a person's yes to a call that is also an answer, given in advance, to questions that are alike.

The rule still asks. A question that a standing approval fits is answered at once, in a row of its own (``accepted``, by ``grant …``), so
that each call shows who allowed it. A standing approval is an entry of the books (``grant/<id>``), made by the row that holds the
person's answer and struck out when somebody takes it back.

It fits a question about a call of the same tool in the same version, by the same agent definition, that asks for nothing that it was not
given for: each rule that asks is one, in its version, under which the yes was said, and needs no more people than said it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import get_args

from msgspec import Raw, Struct

from .approvals import Answer, Scope
from .binding import approves, bound
from .books import Entry
from .codec import NULL, canonical, decode, encode
from .effects import CALL, Effect
from .errors import WrongAnswer
from .ids import Address

PREFIX = "grant/"
"""Of their keys in the books."""

PROVENANCE = "provenance "
"""Begins the policy of a question about words of strangers; the labelled parameters follow."""

SCOPES: tuple[Scope, ...] = get_args(Scope)


class Grant(Struct, frozen=True, omit_defaults=True):
    """A standing approval.

    Attributes:
        id: of the item whose answer made it.
        scope: see ``approvals.Scope``.
        tool, version: whose calls.
        agent: of which agent definition.
        run: in which run; empty for every one.
        same: values that arguments must have, as canonical JSON, by parameter; empty for whatever they are.
        policy: names and versions of the rules under which it was given.
        quorum: how many people said so.
        by: who; ``reason``: why.
        at: journal time since which it stands; ``until``: up to which, None for no end.
    """

    id: str
    scope: Scope
    tool: str
    agent: str
    policy: tuple[str, ...]
    by: tuple[str, ...]
    at: float
    version: str = ""
    run: Address = Address("")
    same: dict[str, Raw] = {}
    quorum: int = 1
    reason: str = ""
    until: float | None = None


def key(id: str) -> str:
    """Of an entry in the books."""
    return f"{PREFIX}{id}"


def check_scope(effect: Effect, answer: Answer) -> None:
    """Whether an answer's scope can be meant.

    Raises:
        WrongAnswer: it says why, and what would do.
    """
    question = effect.question
    if answer.grant:
        raise WrongAnswer(
            f"{answer.item}: grant= is not for people to say", hint="a standing approval answers by itself"
        )
    if answer.scope not in SCOPES:
        raise WrongAnswer(f"{answer.item}: scope={answer.scope!r}", hint=f"one of {', '.join(SCOPES)}")
    if answer.scope == "once":
        if answer.same or answer.expires is not None:
            raise WrongAnswer(f"{answer.item}: same= and expires= are for a yes with a scope", hint="say scope=")
        return
    if not approves(question) or effect.verb != CALL or answer.decision not in ("approve", "change"):
        raise WrongAnswer(f"{answer.item}: only a yes to a call has a scope", hint="leave it out")
    assert question is not None
    checks = [label for label in _labels(question.policy) if "@" not in label]  # of the gate; rules have an "@"
    strange = [label for label in checks if label.startswith(PROVENANCE)]
    words = any("untrusted" in labels for labels in effect.labels.values())  # maybe it is a rule that asks about them
    if (strange or words) and answer.scope != "pattern":
        raise WrongAnswer(
            f"{answer.item}: strangers may have put words into it",
            hint="say yes once, or with scope='pattern'",
        )
    if momentary := [label for label in checks if label not in strange]:
        raise WrongAnswer(
            f"{answer.item} is asked because of {momentary[0]}, which is about this one call", hint="say yes once"
        )
    if answer.same and answer.scope != "pattern":
        raise WrongAnswer(f"{answer.item}: same= goes with scope='pattern'", hint="leave it out")
    if answer.expires is not None and not 0.0 < answer.expires <= 10 * 366 * 86_400.0:
        raise WrongAnswer(f"{answer.item}: expires={answer.expires!r}", hint="seconds, above 0, ten years at most")


def made(effect: Effect, now: float) -> tuple[Entry, ...]:
    """The standing approval that an answered question makes, for the row with the last yes. None where it was said for this call only, or
    where those who had to agree did not mean the same.

    Raises:
        WrongAnswer: it names parameters that the call has not.
    """
    answer, question = effect.answer, effect.question
    if answer is None or question is None or answer.scope == "once" or answer.decision not in ("approve", "change"):
        return ()
    said = effect.yes or (answer,)
    if any((one.scope, one.same, one.expires) != (answer.scope, answer.same, answer.expires) for one in said):
        return ()
    grant = Grant(
        effect.id, answer.scope, effect.name, effect.agent, tuple(_labels(question.policy)), tuple(one.by for one in said), now,
        version=question.version, run=run_of(effect) if answer.scope == "run" else Address(""), same=_same(effect, answer),
        quorum=question.quorum, reason=answer.reason, until=None if answer.expires is None else now + answer.expires,
    )  # fmt: skip
    return (Entry(key(grant.id), Raw(encode(grant))),)


def standing(effect: Effect, books: Mapping[str, Entry], now: float) -> Answer | None:
    """The answer that a standing approval gives to an open question; None where none fits. The oldest one that does counts."""
    question = effect.question
    if question is None or question.kind != "approval" or effect.verb != CALL:
        return None
    for grant in grants(books):
        if fits(grant, effect, now):
            by = f"grant {grant.id} of {', '.join(grant.by)}"
            return Answer(
                effect.id, "approve", by, f"it is allowed {_words(grant)}", digest=bound(effect), grant=grant.id
            )
    return None


def fits(grant: Grant, effect: Effect, now: float) -> bool:
    """Whether a standing approval answers a question about a call."""
    question = effect.question
    if question is None or (grant.until is not None and grant.until <= now):
        return False
    labels = set(_labels(question.policy))
    return (
        (grant.tool, grant.version, grant.agent) == (effect.name, question.version, effect.agent)
        and (not grant.run or grant.run == run_of(effect))
        and labels <= set(grant.policy)
        and question.quorum <= grant.quorum
        and (not grant.same or _has(grant.same, effect.args))
        and (grant.scope != "pattern" or all(name in grant.same for name in effect.labels))
    )


def grants(books: Mapping[str, Entry]) -> Iterable[Grant]:
    """All that stand in the books, the oldest first."""
    for name, entry in books.items():
        if name.startswith(PREFIX) and entry.value != NULL:
            grant: Grant = decode(entry.value, Grant)
            yield grant


def run_of(effect: Effect) -> Address:
    """The run that a call belongs to."""
    return effect.context.run or effect.stream


def _labels(policy: str) -> Iterable[str]:
    return [label for label in policy.split(", ") if label]


def _same(effect: Effect, answer: Answer) -> dict[str, Raw]:
    """The values that a pattern holds fast: those named, else where the effect goes and how much, else all."""
    if answer.scope != "pattern":
        return {}
    values = _values(effect.args)
    assert effect.question is not None
    question = effect.question
    where = [name for name in question.sinks if name in values]
    much = [name for name in question.amounts if name in values and name not in where]
    names = answer.same or (*where, *(much if where else values))
    strange = tuple(values) if "" in effect.labels else tuple(name for name in effect.labels if name in values)
    loose = [name for name in strange if name not in names]
    if loose and answer.same:
        raise WrongAnswer(
            f"{effect.id}: {loose[0]} may hold the words of a stranger, so it can be allowed only as it is here",
            hint=f"name it, too: same={(*names, *loose)}",
        )
    names += tuple(loose)
    if unknown := [name for name in names if name not in values]:
        raise WrongAnswer(
            f"{effect.id}: same={unknown[0]!r} is no argument of this call",
            hint=f"its arguments: {', '.join(values) or 'none'}",
        )
    return {name: values[name] for name in names}


def _has(same: dict[str, Raw], args: Raw) -> bool:
    values = _values(args)
    return all(name in values and values[name] == value for name, value in same.items())


def _values(args: Raw) -> dict[str, Raw]:
    """Arguments as canonical JSON, by parameter."""
    return {name: Raw(canonical(decode(value, object))) for name, value in decode(args, dict[str, Raw]).items()}


def _words(grant: Grant) -> str:
    what = {"run": "in this run", "pattern": "with these arguments", "always": "always"}[grant.scope]
    return f"{what}: {grant.reason}" if grant.reason else what
