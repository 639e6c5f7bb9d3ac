"""Through whose hands a task went: what stands in its context, added by every actor that hands one on."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from ..protocols.codec import digest
from ..protocols.envelope import Context
from ..protocols.ids import Address

DECIDED: Final = "/shared/conflict/loop-"
"""In the address of an actor that sees to a task that went round: a task that comes from there was given to somebody on purpose."""


def hop_of(hop: str) -> tuple[str, str]:
    """Who handed it on, and the mark of the task that it handed on."""
    by, _, task = hop.rpartition("#")
    return by, task


def mark_of(body: Raw) -> str:
    """Tells one task from another."""
    return digest(body)[:8]


def handed_on(context: Context, me: Address, body: Raw, *, waits: bool = False, to: str = "") -> Context:
    """The context of a task that this actor hands on. A task that it asks of itself is a hand more each time: that may have its sense,
    but it must end (``DEEPEST``). One that it tells itself is a task for later, and nobody waits for the end of that."""
    via = list(context.via)
    if waits and to == me:
        return msgspec.structs.replace(context, via=(*via, f"{me}#{mark_of(body)}"))
    known = 0 if context.run == me else next((n for n, hop in enumerate(via) if hop_of(hop)[0] == me), len(via))
    kept = [
        *via[:known],
        *(hop for hop in via[known:] if DECIDED in hop),
    ]  # that it was decided once is never forgotten
    if context.run != me:
        kept.append(f"{me}#{mark_of(body)}")
    return msgspec.structs.replace(context, via=tuple(kept)) if kept != via else context
