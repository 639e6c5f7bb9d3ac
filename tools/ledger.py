"""The ledger's rules: what becomes of an effect after an attempt failed, was lost from sight, or was cut off by a crash.

Pure functions over the effect and the clock. What they rest on is the effect class:

* ``read``, ``idempotent``: may run again (an ``idempotent`` one only while the other side still knows its key)
* ``reconcilable``: runs again, and the performer asks ``reconcile`` first
* ``once``: nobody runs it again by himself; a person says what happened
* simulated (shadow mode), whatever its class: a failure is one, and after a crash it is simulated again

When the attempts of what is not a ``read`` are used up, and nobody knows what the last one did, it is in doubt, not failed.
"""

from __future__ import annotations

import math

from ..protocols.approvals import Question
from ..protocols.effects import Effect
from ..protocols.failures import Failure
from ..protocols.hooks import Next, Rng

LONGEST_WAIT = 30 * 86_400.0
"""Seconds between two attempts, whatever a failure asks for."""


def after_failure(effect: Effect, failure: Failure, now: float, rng: Rng) -> Next:
    """An attempt failed, and it is known that nothing happened."""
    if effect.simulated:
        return Next("settle", failure=failure)
    if failure.kind in ("change_arguments", "abandon"):
        return Next("settle", failure=failure)
    if failure.after is not None and math.isfinite(failure.after) and failure.after > PATIENCE:
        asked = f"{effect.name} asks to wait for {failure.after:,.0f} s, more than {PATIENCE:,.0f}: {failure.message}"
        return Next("settle", failure=Failure("abandon", "too_long_to_wait", asked, where=effect.name, cause=failure))
    made = effect.attempt - effect.before
    if made >= effect.retry.attempts:
        gave_up = Failure(
            "abandon",
            "attempts_exhausted",
            f"{effect.name} failed {made} times: {failure.message}",
            where=effect.name,
            cause=failure,
        )
        return Next("settle", failure=gave_up)
    return Next("start", due=now + wait(effect, failure, rng))


PATIENCE = 86_400.0
"""Seconds that the other side may ask to be left alone; who asks for more gets no further attempt, and somebody is told."""


def wait(effect: Effect, failure: Failure, rng: Rng) -> float:
    """Seconds to the next attempt: full jitter under an exponential bound, never less than the failure itself asks for.

    Full jitter spreads a crowd best for the work it costs (AWS Architecture Blog, Exponential Backoff and Jitter, 2015).
    """
    if failure.kind == "retry_now":
        return 0.0
    bound = min(effect.retry.cap, effect.retry.base * 2.0 ** min(1_000, max(0, effect.attempt - effect.before - 1)))
    asked = failure.after or 0.0
    return min(LONGEST_WAIT, max(asked if math.isfinite(asked) else 0.0, rng.random() * bound))


def after_silence(effect: Effect, failure: Failure, now: float, rng: Rng) -> Next:
    """An attempt ended and nobody knows whether it happened: a timeout, a cancel, an exception the tool did not declare. Only a ``read``
    fails by that."""
    if effect.effect == "read" or effect.simulated:
        return after_failure(effect, failure, now, rng)
    if effect.effect == "once" or effect.attempt - effect.before >= effect.retry.attempts:
        return doubt(effect, failure)
    # Whatever it was, another attempt does no harm: the other side knows the key, or is asked. It is not failed before that is known.
    return Next("start", due=now + wait(effect, failure, rng))


INTERRUPTIONS = 20
"""An effect that was under way at so many deaths of the process in a row is not run again unasked: it may be what kills it.
Generous, because a process that is killed from outside takes innocent calls with it."""


def after_crash(effect: Effect, now: float) -> Next:
    """The process died while the effect was open. ``intended`` means that it never began, for classes with a ``started`` row."""
    if effect.interrupted >= INTERRUPTIONS:
        why = f"the process died {effect.interrupted} times while it was under way, and it may be what kills it"
        failure = Failure("abandon", "interrupted", why, where=effect.name)
        return Next("settle", failure=failure) if effect.simulated else doubt(effect, failure)
    if effect.simulated:
        return Next("start")
    if effect.effect == "once" and effect.state == "started":
        return doubt(
            effect, Failure("abandon", "interrupted", "the process died after this call had begun", where=effect.name)
        )
    if effect.state == "waiting" and not effect.attempt and not effect.interrupted:
        return Next("start")  # it waited for its turn and never began
    if effect.effect == "idempotent" and now - (effect.cleared or effect.at) > effect.key_ttl:
        return doubt(
            effect,
            Failure(
                "abandon",
                "key_expired",
                "the process was down for longer than the key is remembered",
                where=effect.name,
            ),
        )
    return Next("start")


def doubt(effect: Effect, failure: Failure) -> Next:
    """Ask a person. Doubt has no deadline: silence must not decide what happened."""
    tried = f"It was tried {effect.attempt} times." if effect.attempt > 1 else "It has not been run again."
    text = f"Did {effect.name} happen? {failure.message}. {tried}"
    return Next("doubt", question=Question("in_doubt", text, failure=failure), failure=failure)
