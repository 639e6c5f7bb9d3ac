"""How who has to wait is told to: until when, or that it would be too long."""

from __future__ import annotations

from ...protocols.failures import Failure
from ...protocols.verdicts import Verdict
from ..starting import Starting
from .case import Ruling


def wait_or_not(check: str, starting: Starting, due: float, wait: float, code: str, why: str) -> Ruling:
    """Wait until ``due``; refused, to be tried again by whoever wants it, where that is longer than ``wait`` from now. The failure goes
    with a wait, too: the effect may have less time than that."""
    after = due - starting.now
    name = starting.effect.name
    failure = Failure("retry_later", code, why, f"try again in {after:.3g} s", after, name)
    if after > wait:
        return Ruling(Verdict(check, "deny", why, starting.now), failure)
    return Ruling(Verdict(check, "wait", why, starting.now), failure, due=due)
