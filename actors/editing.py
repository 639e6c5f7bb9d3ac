"""A call that a person approves with other arguments: it passes every check of the gate again, and is bound anew.

Pure: the kernel uses it, and so does the command line on a journal that nobody owns.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from ..protocols.approvals import Answer
from ..protocols.codec import NULL, decode, encode
from ..protocols.counters import Counters
from ..protocols.effects import Effect, Intent
from ..protocols.errors import WrongAnswer
from ..protocols.hooks import Gate
from ..protocols.people import People
from .patience import addressed
from .sizes import bounded

_OPEN = "the question is still open: change them otherwise, approve or reject it"


def edited(effect: Effect, answer: Answer, gate: Gate, counters: Counters, people: People | None, now: float) -> Effect:
    """The call with the arguments given in the place of those of the same name.

    What a rule asks about it is part of the question from now on, and those who said yes to it before have to say so again: they saw
    another call.

    Raises:
        WrongAnswer: the value is no object of arguments, or the gate refuses the call with them.
        TooLarge, NotStorable: no row holds it.
    """
    given, kept = _given(effect, answer)
    args = Raw(encode({**kept, **given}))
    # What a person writes is trusted; what they leave is what it was.
    labels = {name: effect.labels.get(name, effect.labels.get("", ())) for name in kept if name not in given}
    labels = {name: found for name, found in labels.items() if found}
    around = effect.context.provenance
    intent = Intent(
        "call",
        effect.name,
        args,
        effect.agent,
        effect.stream,
        None,
        labels,
        around,
        effect.version,
        0,
        effect.context.granted,
    )
    admission = gate.admit(intent, counters.without(effect), now)
    if admission.decision == "deny" or (admission.inside is not None and not admission.inside.settles):
        why = admission.failure.message if admission.failure is not None else "it is done inside the node"
        raise WrongAnswer(f"{answer.item}: with these arguments the call is refused: {why}", hint=_OPEN)
    assert effect.question is not None
    asked = admission.question and addressed(admission.question, people, now)
    question = msgspec.structs.replace(
        effect.question,
        text=asked.text if asked else effect.question.text,
        policy=asked.policy if asked else "",
        version=asked.version if asked else effect.question.version,
        sinks=asked.sinks if asked else effect.question.sinks,
        amounts=asked.amounts if asked else effect.question.amounts,
        quorum=asked.quorum if asked else 1,
        first=asked.first if asked else False,
    )
    bounded(effect.name, args, question)
    verdicts = tuple(msgspec.structs.replace(verdict, at=now) for verdict in admission.verdicts)
    return msgspec.structs.replace(
        effect, args=args, key=admission.key, occurrence=admission.occurrence, digest=admission.digest, resource=admission.resource,
        verdicts=effect.verdicts + verdicts, question=question, yes=(), labels=labels,
    )  # fmt: skip


def _given(effect: Effect, answer: Answer) -> tuple[dict[str, Raw], dict[str, Raw]]:
    """The arguments that a person gave, and those that the call has."""
    try:
        given: dict[str, Raw] = decode(answer.value, dict[str, Raw])
    except msgspec.DecodeError as error:
        raise WrongAnswer(
            f"{answer.item}: the changed arguments are no JSON object: {error}",
            hint=f'as in {{"amount": 5}}: what is not named stays as it is; {_OPEN}',
        ) from error
    now: dict[str, Raw] = decode(effect.args, dict[str, Raw]) if effect.args != NULL else {}
    return given, now
