"""What the checks of the gate say."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Verdict(Struct, frozen=True, omit_defaults=True):
    """What one check of the gate said, and why.

    Attributes:
        check: its name.
        verdict: go on; refuse; ask a person; wait until there is room; ``simulate``: go on, but do not touch the world; or
            ``alert``: go on, and somebody should look at it.
        reason: why, one line; may be empty for ``allow``.
        at: journal time, where it is not that of the row of the intent; 0 where it is.
    """

    check: str
    verdict: Literal["allow", "deny", "ask", "wait", "simulate", "alert"]
    reason: str = ""
    at: float = 0.0
