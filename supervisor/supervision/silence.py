"""Why a supervisor does not answer in time: it, or one above it, is down; or it is in the middle of something."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise

import msgspec

from ...actors.registry import Directory
from ...protocols.failures import Failure
from ...protocols.ids import Address
from ...protocols.journal import Row
from .overview import fold
from .roster import Kid, SupervisorState

DOWN = "supervisor_down"
"""The code of a request that was not taken because the supervisor did not run: it was not begun, and is not begun later."""


async def silence(
    name: Address, directory: Directory, rows: Callable[[Address], Awaitable[Sequence[Row]]], now: float, late: Failure
) -> Failure:
    """What to tell who waited in vain. From the top down, by the committed rows: the highest that is down is the reason.

    Args:
        name: the supervisor that was asked.
        directory: who is above whom.
        rows: gives the rows of one of them.
        now: journal time.
        late: what is known without looking; it stays the reason where all of them run, and becomes the cause where not.
    """
    way = [name]
    while (mount := directory.find(way[0])) is not None and mount.supervisor:
        way.insert(0, mount.supervisor)
    for above, below in pairwise(way):
        state = fold(await rows(above)) or SupervisorState()
        kid = state.kids.get(below)
        if kid is not None and kid.status != "running":
            return _down(name, kid, now, late)
    state = fold(await rows(name)) or SupervisorState()
    if state.job is None:
        return late
    waits = f", and waits for {', '.join(state.job.now[:3])}" if state.job.now else ""
    return msgspec.structs.replace(
        late, message=f"{late.message}: it is in the middle of something ({state.job.goal}){waits}"
    )


def _down(name: Address, kid: Kid, now: float, late: Failure) -> Failure:
    who = kid.spec.id
    after = max(0.0, kid.streak.until - now) if kid.status == "waiting" and kid.streak is not None else None
    how = {
        "waiting": f"is restarted in {after:.1f} s" if after is not None else "waits for its restart",
        "starting": "is starting",
        "stopping": "is stopping",
        "down": "waits until it is started with others",
    }.get(kid.status, f"has {kid.status.replace('_', ' ')}")
    whose = "" if who == name else f", and so is {who} above it"
    cause = msgspec.structs.replace(late, cause=kid.failure) if kid.failure is not None else late
    text = f"{name} is down{whose}, which {how}"
    return Failure("retry_later", DOWN, text, "ask again when it is up", after=after, where=who, cause=cause)
