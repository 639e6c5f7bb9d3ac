"""The inbox as people read it: a fold over open effects, the same for the library, the command line and later faces."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from ..actors.patience import asked_of, counts_as
from ..protocols.approvals import Question, QuestionKind, allowed
from ..protocols.binding import bound
from ..protocols.codec import NULL
from ..protocols.decisions import Decision
from ..protocols.effects import Effect
from ..protocols.errors import UnknownItem
from ..protocols.failures import Failure
from ..protocols.people import Addressed
from ..protocols.visible import cut, visible


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
        digest: of all that a yes is bound to (tool, its version, arguments, agent, run, rules); an answer with another one is refused.
        key: idempotency key of a call, to look it up on the other side.
        options: answers that make sense; names of other workers where ``replace`` fits.
        failure: what led here, with its causes.
        since, deadline: journal times; after the deadline ``default`` is the answer.
        default: what silence counts as, ``no`` for approvals; empty where it is waited for ever.
        to: who is asked now; empty for nobody in particular.
        asked: all who have been asked, in order.
        to_since, told: journal times since when that one is asked, and of the last word to them.
        reminded: how often that one was reminded.
        next, next_at: who is asked next, and when; empty for nobody.
        unsure, confidence: what whoever asks does not know, and how sure it is.
        form: JSON schema of a result; null where any value will do.
        about, message: the actor that it is about, and the message that a retry sends again.
        quorum, yes: how many different people must say yes, and who has.
        sinks: parameters that say where the effect goes; empty where all of them may.
        labels: of its arguments, where strangers' words or private data may be in them; under an empty name: of all.
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
    default: str = ""
    to: str = ""
    asked: tuple[str, ...] = ()
    to_since: float = 0.0
    told: float = 0.0
    reminded: int = 0
    next: str = ""
    next_at: float | None = None
    unsure: str = ""
    confidence: float | None = None
    form: Raw = NULL
    about: str = ""
    message: str = ""
    quorum: int = 1
    yes: tuple[str, ...] = ()
    sinks: tuple[str, ...] = ()
    labels: dict[str, tuple[str, ...]] = {}


def item(effect: Effect) -> InboxItem | None:
    """An open effect as an inbox item; None where nobody is asked, or the answer is in already."""
    question = effect.question
    if question is None or effect.state not in ("asking", "in_doubt") or effect.answer is not None:
        return None
    is_call = effect.verb == "call"
    people, to = question.people, effect.addressed or Addressed()
    following = people.ask[to.to + 1] if people is not None and to.to + 1 < len(people.ask) else ""
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
        digest=bound(effect),
        key=effect.key,
        options=question.options,
        failure=question.failure,
        since=effect.at,
        deadline=question.deadline,
        default=default(question),
        to=asked_of(effect),
        asked=people.ask[: to.to + 1] if people is not None else (),
        to_since=to.since,
        told=to.told,
        reminded=to.reminded,
        next=following,
        next_at=to.since + people.next_after if people is not None and people.next_after and following else None,
        unsure=question.unsure,
        confidence=question.confidence,
        form=question.form,
        about=question.about,
        message=question.message,
        quorum=question.quorum,
        yes=tuple(answer.by for answer in effect.yes),
        sinks=question.sinks,
        labels={**effect.labels},
    )


def default(question: Question) -> str:
    """What silence counts as; empty where it is waited for ever."""
    return counts_as(question) if question.deadline is not None else ""


def addressed_to(entries: tuple[InboxItem, ...], name: str) -> tuple[InboxItem, ...]:
    """What somebody has been asked, also where others have been asked since, and what is asked of nobody in particular."""
    return tuple(entry for entry in entries if not entry.to or name in entry.asked)


def inbox(effects: tuple[Effect, ...]) -> tuple[InboxItem, ...]:
    """All of them, oldest first."""
    found = [entry for effect in effects if (entry := item(effect)) is not None]
    return tuple(sorted(found, key=lambda entry: (entry.since, _order(entry.id))))


def following(entries: tuple[InboxItem, ...], id: str) -> tuple[InboxItem, ...]:
    """Those after this one, which may be answered meanwhile. Raises UnknownItem where it is no id."""
    try:
        last = _order(id)
    except ValueError:
        raise UnknownItem(f"{id!r} is no id of an item", hint="an id looks like 12.0") from None
    return tuple(entry for entry in entries if _order(entry.id) > last)


def _order(id: str) -> tuple[int, ...]:
    return tuple(int(part) for part in id.split("."))


LONGEST = 400
"""Characters of one argument in a line; what comes behind a long one must be seen, too."""


def arguments_text(entry: InboxItem) -> str:
    """A call as people write it: ``pay(to="ada", usd=60)``; where it goes comes first, nothing is hidden, long values are cut off."""
    return call_text(entry.tool, entry.arguments, (*entry.sinks, *entry.labels))


def call_text(tool: str, arguments: Raw, first: tuple[str, ...] = ()) -> str:
    """The same of any call. ``first``: the arguments that come first, in this order."""
    if arguments == NULL:
        return visible(tool)
    try:
        values = msgspec.json.decode(arguments, type=dict[str, Raw])
    except msgspec.DecodeError:  # what a model wrote, and the gate refused
        return f"{visible(tool)}({cut(visible(bytes(arguments).decode(errors='backslashreplace')), LONGEST)})"
    names = [*dict.fromkeys(name for name in first if name in values), *(name for name in values if name not in first)]
    shown = ", ".join(f"{visible(name)}={cut(visible(bytes(values[name]).decode()), LONGEST)}" for name in names)
    return f"{visible(tool)}({shown})"
