"""Delegation in a circle: a task that comes back to somebody who had handed it on. Named at the moment at which it closes.

A task's context says through whose hands it went (``via``; the one with whom the run began is ``run``). An actor that gets a task which
it, or another run of its definition with the very same task, has handed on does not begin it: the task goes to the actor that sees to
the team's conflicts, with the whole chain, and what comes of it is the answer to whoever asked.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from ..protocols.codec import decode, encode
from ..protocols.conflicts import Knot, Party
from ..protocols.envelope import Envelope, ReplyTo
from ..protocols.failures import Failure
from ..protocols.ids import OUTSIDE, Address
from ..protocols.tasks import Task
from .cell import Cell
from .hands import DECIDED, hop_of, mark_of
from .registry import Directory
from .turn import Turn
from .undelivered import Untaken

DEEPEST = 32
"""Hands that a task may go through."""


def closes(cell: Cell, envelope: Envelope) -> tuple[Address, ...] | None:
    """The chain of a task that is on its way back, from the one who had it before to this one; None for any other task."""
    context, me = envelope.context, cell.address
    sender = envelope.sender
    if sender == OUTSIDE or DECIDED in sender:
        return None
    hands = [(context.run, "")] + [hop_of(hop) for hop in context.via]
    if hands[-1][0] != sender:
        hands.append((sender, ""))
    if len(hands) > DEEPEST:
        return (*(Address(by) for by, _ in hands), me)
    if sender == me:
        return None  # a task for itself, in whatever words, is no circle unless it never ends
    assert cell.mount is not None
    base = _base(me, cell.mount.template)
    mark = ""
    for n, (by, task) in enumerate(hands):
        if not by:
            continue
        template = _template(cell.mount.among, by)
        again = _base(by, template) == base
        if not again and task and "{run}" in template and _kind(template) == _kind(cell.mount.template):
            mark = mark or mark_of(envelope.body)
            again = task == mark
        if again:
            return (*(Address(one) for one, _ in hands[n:]), me)
    return None


def tie(
    cell: Cell, turn: Turn[Any], envelope: Envelope, request: tuple[str, ReplyTo] | None, chain: tuple[Address, ...]
) -> None:
    """Do not begin a task that came back: hand it to whoever sees to conflicts here, or refuse it where there is nobody."""
    assert cell.mount is not None
    id = turn.next_id()
    to = Address(f"{cell.mount.supervisor}{DECIDED}{id.replace('.', '-')}")
    among = cell.mount.among
    if request is None or among is None or among.find(to) is None:
        why = circle(chain)
        if request is None:
            raise Untaken(why)
        turn.respond(request[1], Raw(b"null"), why)
        return
    parties = tuple(Party(one, _again(among, one, id)) for one in dict.fromkeys(chain[:-1]))
    knot = Knot(decode(envelope.body, Task), parties, chain)
    data = Raw(encode(knot))
    turn.sends.append(
        Envelope(id, to, Knot.__wire__, data, turn.me, turn.context, request[1], version=Knot.__version__, at=turn.now)
    )
    if cell.memory.seq == 0 and "{run}" in cell.mount.template:
        turn.stop()  # a run that was begun for this task only


def circle(chain: tuple[Address, ...]) -> Failure:
    """What whoever closed a circle is told."""
    deep = len(chain) > DEEPEST
    code = "delegation_too_deep" if deep else "delegation_cycle"
    what = f"went through {len(chain)} hands" if deep else "goes round in a circle"
    why = f"the task {what}: {' -> '.join(chain)}"
    return Failure("abandon", code, why, "do it yourself, or say that you can't", where=chain[-1])


def _template(among: Directory | None, address: str) -> str:
    mount = among.find(Address(address)) if among is not None else None
    return mount.template if mount is not None else address


def _kind(template: str) -> str:
    """A definition: a worker's first and later tries are one."""
    return template.removesuffix("/{try}")


def _base(address: str, template: str) -> str:
    """An address without the number of the try."""
    return address.rpartition("/")[0] if template.endswith("/{try}") else address


def _again(among: Directory, address: Address, id: str) -> Address:
    """Where the task goes if this party does it after all: a run of its own for a definition that has runs, else the actor itself."""
    template, name = _template(among, address), id.replace(".", "-")
    if "{run}" not in template:
        return address
    base = _base(address, template)
    further = Address(f"{base}/{name}")
    if among.find(further) is not None:
        return further
    return Address(f"{address.rpartition('/')[0]}/{name}") if template.endswith("/{run}") else address
