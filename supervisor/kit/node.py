"""A real system for tests: in memory or on a file, with a plan of faults."""

from __future__ import annotations

from typing import Any, cast

from ...protocols.journal import JournalCore
from ..supervision.tree import Definition
from ..system import System
from .faults import FaultPlan, FaultyJournal, FaultyPerformer


def system(*definitions: Definition, faults: FaultPlan | None = None, **options: Any) -> System:
    """A ``us.System`` whose appends and effects go wrong as planned. Enter it as any other.

    Args:
        definitions: what is mounted.
        faults: the plan; without one it is a plain ``us.System``.
        options: those of ``us.System``.
    """
    made = System(*definitions, **options)
    if faults is None:
        return made
    shell = made._shell
    plain = shell.journal._make
    plan = faults

    def make() -> JournalCore:
        return cast(JournalCore, FaultyJournal(plain(), plan))

    shell.journal._make = make
    shell.journal.inline = False  # an append that is delayed holds a thread of its own, not the loop
    shell._performer = cast(Any, FaultyPerformer(shell._performer, plan))
    return made
