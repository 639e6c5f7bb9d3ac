"""What a turn knows of where values come from, so that each argument of a call gets its own labels. Pure.

A turn stands under the labels of its message and of all that its actor has read (``Memory.read``). As long as there are none, nothing
here runs. Where there are, a value is free of them that a trusted source gave: the message itself, if it has no label; what the
actor's state says so of (``Actor.vouches``: an agent's task, and results of trusted tools); what came marked as such in labelled
messages; and what the actor's code says so of (``turn.trusted``).
"""

from __future__ import annotations

from msgspec import Raw

from ..protocols.codec import decode
from ..protocols.effects import CALL, THINK, Effect
from ..protocols.envelope import OUTCOME, Envelope, OutcomeBody
from ..protocols.hooks import Gate
from ..protocols.provenance import MOST_SOURCES, MOST_TRUSTED, Known, Provenance, Vouched, mark, values_of, words_of
from ..protocols.tasks import Task

NOTHING: frozenset[str] = frozenset()
_OF_PEOPLE = frozenset({"happened", "not_happened"})
"""Answers after which a person's word is the outcome."""


def known(
    vouched: Vouched, envelope: Envelope, provenance: Provenance | None, around: Provenance | None, said: frozenset[str]
) -> Known:
    """What a turn knows.

    Args:
        vouched: what its actor's state in the middle of the turn says.
        envelope: the message that it takes.
        provenance: where that comes from.
        around: the labels under which it stands, with the values that are known in spite of them.
        said: values of which its code says so.
    """
    labels = provenance.labels if provenance is not None else ()
    given = (_values(envelope),) if "untrusted" not in labels else ()
    marks = around.trusted if around is not None else ()
    return Known(vouched, marks, (said,) if labels else (*given, said), given if labels else ())


def _values(envelope: Envelope) -> frozenset[str]:
    """The values of a message."""
    if envelope.wire == OUTCOME:
        body = decode(envelope.body, OutcomeBody)
        return values_of(bytes(body.value)) if body.failure is None else NOTHING
    found = values_of(bytes(envelope.body))
    if envelope.wire == Task.__wire__:
        return found | words_of(decode(envelope.body, Task).objective)
    return found


def distrusted(task: Task) -> Provenance:
    """Where a task comes from of which some inputs are a stranger's."""
    said = sorted(words_of(task.objective))
    for name, value in task.inputs.items():
        if name not in task.untrusted:
            said += sorted(values_of(bytes(value)))
    sources = tuple(f"input {name}" for name in task.untrusted)
    return Provenance(("untrusted",), sources[:MOST_SOURCES], tuple(map(mark, said[:MOST_TRUSTED])))


def comes_from(effect: Effect, value: Raw, gate: Gate) -> Provenance | None:
    """Where the outcome of an effect comes from. Who intended it bears its own labels already."""
    if effect.verb == THINK:  # a model repeats what it was shown, in whatever words
        around = effect.context.provenance
        return Provenance(around.labels, around.sources) if around is not None else None
    answered = effect.answer is not None and effect.answer.decision in _OF_PEOPLE
    if effect.verb != CALL or effect.attempt == 0 or answered:
        return None  # a person's words, or the gate's
    return gate.gives(effect, value)
