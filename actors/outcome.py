"""What an actor gets back: ``Pending`` while an effect or ask is under way, its ``Outcome``, and ``Later`` for a request left open."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

import msgspec
from msgspec import Raw

from ..protocols.codec import NULL, decode, digest, encode, roundtrip
from ..protocols.effects import CALL, Effect
from ..protocols.envelope import OUTCOME, Context, Envelope, OutcomeBody, ReplyTo
from ..protocols.errors import Failed, NotStorable, TooLarge
from ..protocols.failures import Failure
from ..protocols.ids import Address
from ..protocols.journal import MAX_TAG
from ..protocols.provenance import Provenance
from ..protocols.verdicts import Verdict

R_co = TypeVar("R_co", covariant=True)

Tag = Any
"""What an actor gives with an effect or ask and gets back with its outcome: a ``Later``, or any plain JSON value."""


class Later(Generic[R_co]):
    """A request that a later turn will answer. Durable: it may be kept in a tag, and survives a crash."""

    __slots__ = ("id",)

    def __init__(self, id: str) -> None:
        self.id = id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Later) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)


class Pending(Generic[R_co]):
    """An effect or ask that was intended in this turn; ``id`` names it in the journal and in its outcome."""

    __slots__ = ("id",)

    def __init__(self, id: str) -> None:
        self.id = id


class Outcome(Generic[R_co]):
    """What came of an effect or ask.

    Attributes:
        of: id of the effect or ask.
        tag: what was given with it.
        failure: why there is no value; None where there is one.
        note: that a person had the call made with other arguments, in words; empty where nobody did.
        tool: the tool that gave it, where it took the place of the one that was called (``us.tool(fallback=…)``); else empty.
        simulated: the call was not made: the system runs in shadow.
    """

    __slots__ = ("_value", "failure", "note", "of", "simulated", "tag", "tool")

    def __init__(
        self, of: str, tag: Tag, value: object, failure: Failure | None, note: str = "", tool: str = "", simulated: bool = False
    ) -> None:  # fmt: skip
        self.of = of
        self.tag = tag
        self.failure = failure
        self.note = note
        self.tool = tool
        self.simulated = simulated
        self._value = value

    @property
    def value(self) -> R_co:
        """The result.

        Raises:
            Failed: there is none. In a handler that does not catch it, the request in ``tag`` is answered with the failure.
        """
        if self.failure is not None:
            raise Failed(self.failure)
        return cast("R_co", self._value)


class _LaterTag(msgspec.Struct, forbid_unknown_fields=True):
    later: str


def tag_json(tag: Tag) -> Raw:
    """A tag as it travels. Raises TooLarge, and NotStorable for what would not come back as it was given."""
    if tag is None:
        return NULL
    if isinstance(tag, Later):
        return _sized(Raw(encode({"later": tag.id})))
    plain = _sized(Raw(encode(tag)))
    roundtrip(tag, Any)
    if _reads_as_later(plain):
        raise NotStorable(
            f"the tag {tag!r} would come back as a us.Later", hint="give the us.Later itself, or name it otherwise"
        )
    return plain


def _sized(tag: Raw) -> Raw:
    size = len(bytes(tag))
    if size > MAX_TAG:
        hint = "keep large values in the state, and give what finds them as the tag"
        raise TooLarge(f"the tag is {size:,} bytes, more than {MAX_TAG:,}", hint=hint)
    return tag


def _reads_as_later(plain: Raw) -> bool:
    return bytes(plain).startswith(b'{"later":"') and isinstance(tag_value(plain), Later)


def tag_value(raw: Raw) -> Tag:
    """A tag as the actor gave it."""
    try:
        return Later[Any](decode(raw, _LaterTag).later)  # the answer's type is checked where it is given
    except msgspec.ValidationError:
        return msgspec.json.decode(raw)


def outcome_envelope(
    id: str, asker: ReplyTo, value: Raw, failure: Failure | None, sender: Address, context: Context, now: float
) -> Envelope:
    """The answer to an ask inside the node, as mail."""
    body = OutcomeBody(asker.token, asker.settler, asker.tag, value, failure, asker.request, asker.said)
    return Envelope(id, asker.address, OUTCOME, Raw(encode(body)), sender=sender, context=context, at=now)


def effect_outcome(
    id: str, effect: Effect, value: Raw, failure: Failure | None, now: float, checked: tuple[Verdict, ...] = (),
    provenance: Provenance | None = None,
) -> Envelope:  # fmt: skip
    """What came of an effect, as mail to its actor, and where that comes from. ``checked``: verdicts that stand in no row yet."""
    note = _changed(effect)
    came = digest(bytes(value))[:16] if effect.verb == CALL and effect.effect == "read" and failure is None else ""
    body = OutcomeBody(
        effect.id,
        effect.settler,
        effect.tag,
        value,
        failure,
        checked=checked,
        note=note,
        came=came,
        tool=effect.name if effect.instead else "",
        simulated=effect.simulated,
    )
    context = effect.context
    if context.provenance is not provenance:
        context = msgspec.structs.replace(context, provenance=provenance)
    return Envelope(id, effect.stream, OUTCOME, Raw(encode(body)), context=context, at=now)


def _changed(effect: Effect) -> str:
    """That a person changed the call, in words for whoever made it."""
    changed = next((yes for yes in reversed((*effect.yes, effect.answer)) if yes and yes.decision == "change"), None)
    if changed is None or effect.verb != CALL:
        return ""
    why = f": {changed.reason}" if changed.reason else ""
    return f"{changed.by} changed the arguments of this call to {bytes(effect.args).decode()}{why}"


def read_outcome(body: OutcomeBody, form: Any) -> Outcome[Any]:  # form is a type form
    """An outcome as a handler takes it. Raises msgspec.ValidationError where the value does not fit the form."""
    value = decode(body.value, form) if body.failure is None else None
    return Outcome(body.of, tag_value(body.tag), value, body.failure, body.note, body.tool, body.simulated)
