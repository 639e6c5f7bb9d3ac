"""Restart intensity: a sliding window of restarts, counted before the attempt. A pure function that takes the clock.

The rule is OTP's (erlang/otp, lib/stdlib/src/supervisor.erl, ``add_restart/3``).
"""

from __future__ import annotations

from ...protocols.children import Intensity


def count(restarts: tuple[float, ...], now: float, intensity: Intensity) -> tuple[tuple[float, ...], bool]:
    """The restarts in the window with this one added, and whether that is still within the limit."""
    recent = (*(at for at in restarts if now - at <= intensity.within), now)
    return recent, len(recent) <= intensity.max_restarts
