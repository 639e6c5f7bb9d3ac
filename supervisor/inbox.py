"""The inbox as people read it: a fold over open effects, the same for the library, the command line and later faces."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from ..protocols.approvals import Decision, QuestionKind, allowed
from ..protocols.codec import NULL
from ..protocols.effects import Effect
from ..protocols.failures import Failure


class InboxItem(Struct, frozen=True, omit_defaults=True):
    """One thing that waits for a person.

    Attributes:
        id: what to answer to.
        kind: approval, escalation or in_doubt.
        run: the run that waits.
        actor: who asks.
        text: the question.
        answers: decisions it takes.
        tool, arguments: of a call; arguments as JSON.
        policy: name and version of the rule that asks.
        digest: digest of tool and arguments; an answer that gives another one is refused.
        key: idempotency key of a call, to look it up on the other side.
        options: answers that make sense.
        failure: what led here.
        since, deadline: journal times; after the deadline silence counts as no.
    """

    id: str
    kind: QuestionKind
    run: str
    actor: str
    text: str
    answers: tuple[Decision, ...]
    tool: str = ""
    arguments: Raw = NULL
    policy: str = ""
    digest: str = ""
    key: str = ""
    options: tuple[str, ...] = ()
    failure: Failure | None = None
    since: float = 0.0
    deadline: float | None = None


def item(effect: Effect) -> InboxItem | None:
    """An open effect as an inbox item; None where nobody is asked, or the answer is in already."""
    question = effect.question
    if question is None or effect.state not in ("asking", "in_doubt") or effect.answer is not None:
        return None
    is_call = effect.verb == "call"
    return InboxItem(
        id=effect.id,
        kind=question.kind,
        run=effect.context.run or effect.stream,
        actor=effect.stream,
        text=question.text,
        answers=allowed(question),
        tool=effect.name if is_call else "",
        arguments=effect.args if is_call else NULL,
        policy=question.policy,
        digest=effect.digest,
        key=effect.key,
        options=question.options,
        failure=question.failure,
        since=effect.at,
        deadline=question.deadline,
    )


def inbox(effects: tuple[Effect, ...]) -> tuple[InboxItem, ...]:
    """All of them, oldest first."""
    found = [entry for effect in effects if (entry := item(effect)) is not None]
    return tuple(sorted(found, key=lambda entry: (entry.since, _order(entry.id))))


def _order(id: str) -> tuple[int, ...]:
    return tuple(int(part) for part in id.split("."))


def arguments_text(entry: InboxItem) -> str:
    """A call as people write it: ``pay(to="ada", usd=60)``."""
    if entry.arguments == NULL:
        return entry.tool
    values = msgspec.json.decode(entry.arguments, type=dict[str, Raw])
    return f"{entry.tool}({', '.join(f'{name}={bytes(value).decode()}' for name, value in values.items())})"
