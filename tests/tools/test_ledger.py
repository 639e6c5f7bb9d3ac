"""What becomes of an effect after an attempt failed, was lost from sight, or was cut off by a crash."""

from __future__ import annotations

import math
import random
from typing import get_args

import msgspec
import pytest
from msgspec import Raw

from understudy.actors.derived import Derived
from understudy.protocols.effects import Effect, EffectClass, Retry
from understudy.protocols.failures import Failure, FailureKind
from understudy.protocols.ids import Address
from understudy.tools import ledger

CLASSES: tuple[EffectClass, ...] = get_args(EffectClass)
NOW = 1_000.0


def effect(cls: EffectClass = "read", **more: object) -> Effect:
    made = Effect("1.0", Address("a"), "call", "t", Raw(b"{}"), "s", effect=cls, state="started", attempt=1, at=NOW)
    return msgspec.structs.replace(made, **more)


def failure(kind: FailureKind, after: float | None = None) -> Failure:
    return Failure(kind, "code", "message", after=after)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize(
    ("kind", "step"),
    [("retry_now", "start"), ("retry_later", "start"), ("change_arguments", "settle"), ("abandon", "settle")],
)
def test_a_declared_failure_says_what_is_next_whatever_the_class(
    cls: EffectClass, kind: FailureKind, step: str
) -> None:
    said = ledger.after_failure(effect(cls), failure(kind), NOW, random.Random(1))
    assert said.step == step
    if step == "settle":
        assert said.failure == failure(kind)


def test_retry_now_does_not_wait_and_retry_later_does() -> None:
    assert ledger.after_failure(effect(), failure("retry_now"), NOW, random.Random(1)).due == NOW
    due = ledger.after_failure(effect(), failure("retry_later"), NOW, random.Random(1)).due
    assert due is not None
    assert NOW < due <= NOW + 0.2


@pytest.mark.parametrize("attempt", range(1, 12))
def test_waits_are_a_random_part_of_a_bound_that_doubles_up_to_its_cap(attempt: int) -> None:
    retry = Retry(attempts=99, base=0.5, cap=20.0)
    waits = [
        ledger.wait(effect(attempt=attempt, retry=retry), failure("retry_later"), Derived(f"{seed}"))
        for seed in range(300)
    ]
    bound = min(20.0, 0.5 * 2 ** (attempt - 1))
    assert 0.0 <= min(waits) < bound * 0.1
    assert bound * 0.9 < max(waits) <= bound


def test_a_failure_that_names_a_time_is_not_tried_before_it() -> None:
    for seed in range(50):
        assert ledger.wait(effect(), failure("retry_later", after=7.0), random.Random(seed)) == 7.0
        assert ledger.wait(effect(attempt=20), failure("retry_later", after=0.01), random.Random(seed)) >= 0.01


def test_attempts_end_and_the_last_failure_is_the_cause() -> None:
    said = ledger.after_failure(effect(attempt=4), failure("retry_later"), NOW, random.Random(1))
    assert said.step == "settle"
    assert said.failure is not None
    assert said.failure.code == "attempts_exhausted"
    assert said.failure.kind == "abandon"
    assert said.failure.cause == failure("retry_later")


@pytest.mark.parametrize("cls", CLASSES)
def test_silence_puts_only_once_in_doubt(cls: EffectClass) -> None:
    said = ledger.after_silence(effect(cls), failure("retry_later"), NOW, random.Random(1))
    assert said.step == ("doubt" if cls == "once" else "start")


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("kind", ["retry_now", "retry_later", "abandon"])
def test_when_the_attempts_are_used_up_and_nobody_knows_only_a_read_has_failed(
    cls: EffectClass, kind: FailureKind
) -> None:
    said = ledger.after_silence(effect(cls, attempt=4), failure(kind), NOW, random.Random(1))
    assert said.step == ("settle" if cls == "read" else "doubt")
    if cls != "read":
        assert said.question is not None
        assert "tried 4 times" in said.question.text


@pytest.mark.parametrize("after", [math.nan, math.inf, -math.inf, -5.0])
def test_a_time_that_is_none_is_not_waited_for(after: float) -> None:
    for seed in range(20):
        asked = ledger.wait(effect(), failure("retry_later", after=after), random.Random(seed))
        assert asked == ledger.wait(effect(), failure("retry_later"), random.Random(seed))


def test_no_wait_is_longer_than_thirty_days_however_many_attempts_there_were() -> None:
    assert ledger.wait(effect(), failure("retry_later", after=1e300), random.Random(1)) == 30 * 86_400.0
    endless = effect(attempt=5_000, retry=Retry(attempts=9_999, cap=1e300))
    assert ledger.wait(endless, failure("retry_later"), random.Random(1)) == 30 * 86_400.0


@pytest.mark.parametrize("cls", CLASSES)
def test_a_crash_in_the_middle_puts_only_once_in_doubt(cls: EffectClass) -> None:
    assert ledger.after_crash(effect(cls), NOW).step == ("doubt" if cls == "once" else "start")


@pytest.mark.parametrize("cls", CLASSES)
def test_what_had_not_begun_begins(cls: EffectClass) -> None:
    assert ledger.after_crash(effect(cls, state="intended", attempt=0), NOW).step == "start"


def test_an_idempotent_call_whose_key_may_be_forgotten_is_in_doubt() -> None:
    made = effect("idempotent", key_ttl=60.0)
    assert ledger.after_crash(made, NOW + 60.0).step == "start"
    assert ledger.after_crash(made, NOW + 61.0).step == "doubt"


def test_a_doubt_is_a_question_without_a_deadline() -> None:
    said = ledger.doubt(effect("once"), failure("abandon"))
    assert said.question is not None
    assert said.question.kind == "in_doubt"
    assert said.question.deadline is None
    assert "has not been run again" in said.question.text


@pytest.mark.parametrize("cls", CLASSES)
def test_what_was_simulated_fails_or_is_simulated_again_and_is_never_in_doubt(cls: EffectClass) -> None:
    made, late = effect(cls, simulated=True), NOW + 10 * 86_400.0
    for kind in get_args(FailureKind):
        assert ledger.after_failure(made, failure(kind), NOW, random.Random(1)).step == "settle"
        assert ledger.after_silence(made, failure(kind), NOW, random.Random(1)).step == "settle"
    assert ledger.after_crash(made, late).step == "start"
    killer = msgspec.structs.replace(made, interrupted=ledger.INTERRUPTIONS)
    assert ledger.after_crash(killer, late).step == "settle", "it may be what kills the process"
