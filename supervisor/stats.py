"""Counters of one life of a system, for whoever looks."""

from __future__ import annotations

from msgspec import Struct

from ..tools.attempting import Leak


class Stats(Struct, frozen=True):
    """What a running system counts.

    Attributes:
        actors: how many are in memory; all others of the journal are passive, and come in with their next mail.
        loading: how many are being read from the journal, their mail held.
        passivated: how often one has left memory since the system was opened.
        waiting: messages that are open: waiting for their turn, or stashed.
        late_replies: answers that came when nobody waited for them any more, dropped since the system was opened.
        late_by_actor: those inside the node, by the actor that they were for, or that gave them to nobody.
        blocked: how often the watchdog found each actor holding the loop; ``""`` for code that is nobody's of this system.
        leaked: calls that were given up on (too slow, silent, withdrawn, or the system closes) and go on: threads, and coroutines that
            swallowed their cancellation.
        dead_letters: messages that memory-only actors did not take, or whose turn failed, by failure code.
    """

    actors: int
    waiting: int
    late_replies: int
    late_by_actor: dict[str, int]
    loading: int = 0
    passivated: int = 0
    dead_letters: dict[str, int] = {}
    blocked: dict[str, int] = {}
    leaked: tuple[Leak, ...] = ()
