"""Child specs, restart intensity and backoff: supervision as data. The functions over it are in ``supervisor``.

The rules are those of OTP's ``supervisor`` module (erlang/otp, lib/stdlib/src/supervisor.erl), except where it is said.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

from msgspec import Struct

from .errors import DefinitionError
from .ids import Address

Strategy = Literal["one_for_one", "one_for_all", "rest_for_one"]
"""Which children are restarted when one fails: it alone; all; it and those that were started after it."""

RestartType = Literal["permanent", "transient", "temporary"]
"""When a child that has ended is restarted: always; unless it ended in order; never (its spec is then forgotten)."""

RestartPolicy = Literal["keep", "fresh"]
"""What a restarted actor begins with: the state it had (its failed turn left nothing), or none."""

AutoShutdown = Literal["never", "any_significant", "all_significant"]
"""When a supervisor ends because significant children have ended by themselves: never; at the first; at the last."""

Directive = Literal["resume", "restart", "stop", "escalate"]
"""What is done about a failure: go on without the message; begin a new incarnation; end the child; end the supervisor itself, with
the failure, so that the one above decides."""

ChildKind = Literal["worker", "supervisor", "member"]
"""An actor at an address of its own; a supervisor; a member of a pool."""

SHUTDOWN = 5.0
"""Seconds that a child has to end in order, by default; a supervisor takes as long as its tree does."""

START = 60.0
"""Seconds that a child has to start, by default."""


class Intensity(Struct, frozen=True):
    """At most ``max_restarts`` restarts in any ``within`` seconds; one more and the supervisor gives up (OTP's default is 1 in 5 s,
    ours 3 in 5 s)."""

    max_restarts: int = 3
    within: float = 5.0


SLOW = Intensity(100, 86_400.0)
"""Restarts in a day above which a supervisor gives up, by default, however far apart they are."""


class Backoff(Struct, frozen=True):
    """Waits between restarts of one child. After the first failure of a streak there is none; after the n-th it is a random part
    (full jitter) of ``base * 2 ** (n - 2)`` seconds, at most ``cap``. A child that has run for more than ``reset`` seconds
    since its last restart begins a new streak."""

    base: float = 0.1
    cap: float = 30.0
    reset: float = 60.0


class ChildSpec(Struct, frozen=True, omit_defaults=True):
    """One child of a supervisor. Pure data: it is kept in the journal for children that were started live.

    Attributes:
        id: its address.
        kind: what it is.
        restart: when it is restarted.
        significant: whether its end counts for ``auto_shutdown``; never with ``permanent``.
        shutdown: seconds it has to end in order before what it has under way is cancelled; 0 for at once (OTP's ``brutal_kill``),
            None for as long as it takes.
        start: seconds it has to start.
        on_restart: what it begins with after a restart; None: as its supervisor says.
        backoff: waits between its restarts; None: its supervisor's.
        budget: restarts that it alone may have, beside what its supervisor allows all of them; None for no limit of its own.
        pool: template of the pool that it is a member of; empty for none.
        counts: whether its restarts count toward the intensity of its supervisor; otherwise it has as many to itself.
        memory_only: nothing of it outlives the process, so each life of the process starts it anew.
    """

    id: Address
    kind: ChildKind = "worker"
    restart: RestartType = "transient"
    significant: bool = False
    shutdown: float | None = SHUTDOWN
    start: float = START
    on_restart: RestartPolicy | None = None
    backoff: Backoff | None = None
    budget: Intensity | None = None
    pool: str = ""
    counts: bool = True
    memory_only: bool = False


class Policy(Struct, frozen=True):
    """How a supervisor decides.

    Attributes:
        strategy: who is restarted with a child that failed.
        intensity: restarts that all children together may have.
        slow: a second limit, for a loop that is too slow for the first one; None for none.
        cost: US dollars above which a child that fails is not restarted without somebody's word; None for no limit.
        auto_shutdown: what the end of significant children does.
        backoff, on_restart: for children that say nothing else.
    """

    strategy: Strategy = "one_for_one"
    intensity: Intensity = Intensity()
    slow: Intensity | None = SLOW
    cost: float | None = None
    auto_shutdown: AutoShutdown = "never"
    backoff: Backoff = Backoff()
    on_restart: RestartPolicy = "keep"


def check_spec(spec: ChildSpec, policy: Policy | None = None) -> ChildSpec:
    """A child spec that breaks no rule, alone and (with ``policy``) under its supervisor.

    Raises:
        DefinitionError: one that does; its message names the field.
    """
    who = f"child {str(spec.id)!r}"
    one_of(who, "restart", spec.restart, RestartType)
    if not isinstance(spec.significant, bool):
        raise DefinitionError(f"{who}: significant={spec.significant!r}", hint="True or False")
    if spec.shutdown is not None:
        seconds(who, "shutdown", spec.shutdown)
    seconds(who, "start", spec.start, above=True)
    if spec.on_restart is not None:
        one_of(who, "on_restart", spec.on_restart, RestartPolicy)
    if spec.backoff is not None:
        check_backoff(who, spec.backoff)
    if spec.budget is not None:
        check_intensity(who, "budget", spec.budget)
    if spec.significant and spec.restart == "permanent":
        raise DefinitionError(
            f"{who}: significant=True with restart='permanent', which never ends by itself",
            hint="make it transient or temporary, or not significant",
        )
    if policy is not None and spec.significant and policy.auto_shutdown == "never":
        raise DefinitionError(
            f"{who}: significant=True under a supervisor with auto_shutdown='never', where it means nothing",
            hint="give the supervisor auto_shutdown='any_significant' or 'all_significant'",
        )
    return spec


def check_policy(who: str, policy: Policy) -> Policy:
    """A supervisor's policy that breaks no rule.

    Raises:
        DefinitionError: one that does; its message names the field.
    """
    one_of(who, "strategy", policy.strategy, Strategy)
    one_of(who, "auto_shutdown", policy.auto_shutdown, AutoShutdown)
    one_of(who, "on_restart", policy.on_restart, RestartPolicy)
    check_intensity(who, "intensity", policy.intensity)
    check_backoff(who, policy.backoff)
    if policy.slow is not None:
        check_intensity(who, "slow", policy.slow)
    if policy.cost is not None:
        seconds(who, "cost", policy.cost, of="US dollars")
    return policy


def check_intensity(who: str, field: str, intensity: Intensity) -> None:
    """Raises DefinitionError, with the field named, for an intensity that is none."""
    if not isinstance(intensity, Intensity):
        raise DefinitionError(f"{who}: {field}={intensity!r}", hint="a us.Intensity(max_restarts, within)")
    count = intensity.max_restarts
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise DefinitionError(
            f"{who}: {field}.max_restarts={count!r} must not be negative", hint="a whole number, 0 or more"
        )
    seconds(who, f"{field}.within", intensity.within, above=True)


def check_backoff(who: str, backoff: Backoff) -> None:
    """Raises DefinitionError, with the field named, for a backoff that is none."""
    if not isinstance(backoff, Backoff):
        raise DefinitionError(f"{who}: backoff={backoff!r}", hint="a us.Backoff(base, cap, reset)")
    for field in ("base", "cap", "reset"):
        seconds(who, f"backoff.{field}", getattr(backoff, field))


def seconds(who: str, field: str, value: object, *, above: bool = False, of: str = "seconds") -> None:
    """Raises DefinitionError, with the field named, unless it is a finite number, 0 or more (``above``: above 0)."""
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not fits or not isinstance(value, (int, float)) or value < 0 or (above and value == 0):
        least = "above 0" if above else "0 or more"
        raise DefinitionError(f"{who}: {field}={value!r} must not be negative" if fits else f"{who}: {field}={value!r}",
                              hint=f"a number of {of}, {least}")  # fmt: skip


def one_of(who: str, field: str, value: object, literal: object) -> None:
    """Raises DefinitionError, with the field named, unless it is one of the words of a ``Literal``."""
    words: tuple[str, ...] = get_args(literal)
    if value not in words:
        raise DefinitionError(f"{who}: {field}={value!r}", hint=f"one of: {', '.join(words)}")
