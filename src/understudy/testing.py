"""For tests of programs that use Understudy. A page of examples: docs/testing.md.

* ``take``: one turn, here and now: a message in, events, state, reply, calls and messages out. No loop.
* ``Simulated``: a whole node under a seed, with a virtual clock: production kernel and gate, ``Faults`` by chance, a ``FaultPlan``
  by number.
* ``system``: a real ``us.System`` with a ``FaultPlan``.
* ``Probe``: an actor that remembers what it gets and answers as it is told.
* ``Scripted``: a model that follows a script (`us.Scripted`).
* ``JournalContract``: the suite that every journal passes, for a back-end of your own. Needs pytest.

Whatever a message, event or state holds is proven to come back from its JSON as it was, here as in production.
"""

from typing import TYPE_CHECKING

from .supervisor.kit.faults import FaultPlan
from .supervisor.kit.node import system
from .supervisor.kit.one_turn import ASKED, Called, OpenGate, Settled, Taken, outcome, take
from .supervisor.kit.probe import Got, Probe
from .supervisor.simulation.attempts import Faults
from .supervisor.simulation.sent import Sent
from .supervisor.simulation.simulated import Simulated
from .tools.models.scripted import Scripted

if TYPE_CHECKING:
    from .supervisor.kit.author import Author
    from .supervisor.kit.contract import JournalContract, Medium
else:

    def __getattr__(name: str) -> object:
        """What needs pytest is imported when it is asked for."""
        if name in {"Author", "JournalContract", "Medium"}:
            import pytest

            pytest.register_assert_rewrite("understudy.supervisor.kit.contract")
            from .supervisor.kit import author, contract

            return getattr(author if name == "Author" else contract, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "ASKED",
    "Author",
    "Called",
    "FaultPlan",
    "Faults",
    "Got",
    "JournalContract",
    "Medium",
    "OpenGate",
    "Probe",
    "Scripted",
    "Sent",
    "Settled",
    "Simulated",
    "Taken",
    "outcome",
    "system",
    "take",
]
