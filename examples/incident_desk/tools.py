"""What the specialists can do: look up a protocol, ask which units are free, propose a dispatch.

Nothing here moves a unit. The desk advises: a proposal is a line on the dispatcher's board, and the dispatcher sends.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

import understudy as us

from .protocols import Protocol, find, keywords
from .world import pin_to_board, roster, stutters, witnessed

Priority = Annotated[int, Meta(ge=1, le=4)]
"""1: life at risk now. 4: can wait."""


class Free(Struct, frozen=True):
    """A unit that could go now, and the minutes it would take."""

    unit: str
    minutes: int


class Units(Struct, frozen=True):
    """The units of one kind based in one district: those that are free, nearest first, and why the others are not."""

    kind: str
    district: str
    free: tuple[Free, ...]
    away: dict[str, str]


class Proposal(Struct, frozen=True):
    """A line on the dispatcher's board."""

    id: str
    unit: str
    priority: int
    address: str
    reason: str


@us.tool(effect="read", trusted=True)
def lookup_protocol(call: us.Call, service: str, keyword: str) -> Protocol:
    """Look up what the desk does about one kind of emergency: how urgent it is, which kind of unit goes, what to say.

    `service` is medical, fire or police. `keyword` names the emergency in one or two plain words, such as "stroke",
    "smoke" or "noise"; for a keyword that is not there, the ones that are come back. A protocol whose `unit` is null
    needs advice only.
    """
    with witnessed("lookup_protocol", call):
        found = find(service, keyword)
        if found is None:
            known = keywords(service)
            raise us.ChangeArguments(
                f"there is no protocol {keyword!r} for {service!r}",
                hint=f"one of: {', '.join(known)}" if known else "service is one of: medical, fire, police",
            )
        return found


@us.tool(effect="idempotent", kind="read", trusted=True)
def unit_status(call: us.Call, kind: str, district: str) -> Units:
    """Ask the status service which units of a kind are free in a district.

    `kind` is what the protocol says: ambulance, doctor, engine, ladder, hazmat, boat or patrol. Not every district has
    every kind; the refusal then names a district to ask for.
    """
    with witnessed("unit_status", call):
        if stutters(call.key) and call.attempt == 1:
            raise us.RetryLater("the status service is busy", after=0.05)
        book = roster()
        if kind not in book.kinds():
            raise us.ChangeArguments(f"there is no kind of unit {kind!r}", hint=f"one of: {', '.join(book.kinds())}")
        if district not in book.districts:
            raise us.ChangeArguments(
                f"there is no district {district!r}", hint=f"the districts: {', '.join(book.districts)}"
            )
        units = book.districts[district].get(kind)
        if units is None:
            raise us.ChangeArguments(
                f"no {kind} is based in {district}", hint=f"ask for district: {' or '.join(book.based(kind))}"
            )
        out = book.out_of_service
        free = sorted((u.minutes, u.unit) for u in units if u.unit not in out)
        return Units(
            kind=kind,
            district=district,
            free=tuple(Free(unit, minutes) for minutes, unit in free),
            away={u.unit: out[u.unit] for u in units if u.unit in out},
        )


@us.tool(effect="once", kind="write", sinks=["unit"], payload=["priority", "address", "reason"], trusted=True)
def propose_dispatch(call: us.Call, unit: str, priority: Priority, address: str, reason: str) -> Proposal:
    """Put a proposal on the dispatcher's board. It moves nobody: the dispatcher reads it and sends, or does not.

    `unit` is a unit that the status service called free, `priority` the protocol's, `address` what the caller said,
    `reason` one line for the dispatcher. Propose one unit for one call, once.
    """
    with witnessed("propose_dispatch", call):
        if unit not in roster().names():
            raise us.ChangeArguments(f"there is no unit {unit!r}", hint="take one that unit_status called free")
        if not address.strip():
            raise us.ChangeArguments("the address is empty", hint="say what is known of the place")
        proposal = Proposal(f"P-{call.key[:10]}", unit, priority, address, reason)
        pin_to_board(msgspec.json.encode(proposal))
        return proposal


@propose_dispatch.approve_if
def urgent(unit: str, priority: Priority, address: str, reason: str) -> bool:  # noqa: ARG001 - the tool's own parameters
    """Priority 1: a dispatcher confirms before units move."""
    return priority <= 1
