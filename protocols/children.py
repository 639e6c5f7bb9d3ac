"""Child specs, restart intensity and backoff: supervision as data. The functions over it are in ``supervisor``.

The rules are those of OTP's ``supervisor`` module (erlang/otp, lib/stdlib/src/supervisor.erl), except where it is said.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Strategy = Literal["one_for_one"]
"""Only the failed child is restarted."""

RestartPolicy = Literal["keep", "fresh"]
"""What a restarted actor begins with: the state it had (its failed turn left nothing), or none."""


class Intensity(Struct, frozen=True):
    """At most ``max_restarts`` restarts in any ``within`` seconds; one more and the supervisor gives up (OTP's default is 1 in 5 s,
    ours 3 in 5 s)."""

    max_restarts: int = 3
    within: float = 5.0


class Backoff(Struct, frozen=True):
    """Waits between restarts of one child. After the first failure of a streak there is none; after the n-th it is a random part
    (full jitter) of ``base * 2 ** (n - 2)`` seconds, at most ``cap``. A child that has run for more than ``reset`` seconds
    since its last restart begins a new streak."""

    base: float = 0.1
    cap: float = 30.0
    reset: float = 60.0
