"""What a run, a step and a model call of an agent may take; virtual time."""

from __future__ import annotations

from typing import Any

import pytest

import understudy as us
from understudy.protocols.codec import decode
from understudy.protocols.limits import Limits
from understudy.testing import Faults, Simulated


@us.tool(effect="once", approve=True)
def pay(to: str) -> str:
    """Pay."""
    return "paid"


def clerk(limits: Limits) -> us.Agent[str]:
    rules = us.Rules(
        "clerk",
        [us.Rule(us.Use("pay", {"to": "ada"}), before=("pay",)), us.Rule(us.Say("It is paid."), after=("pay",))],
    )
    return us.Agent("clerk", "Pays.", model=rules, tools=[pay], limits=limits)


def asked(limits: Limits) -> tuple[Simulated, Any]:
    node = Simulated(clerk(limits))
    sent = node.ask("clerk/1", us.Task("pay"), key="1")
    node.pass_time(10.0)
    return node, sent


@pytest.mark.parametrize(("limits", "code"), [(Limits(run=60.0), "run_timeout"), (Limits(step=60.0), "step_timeout")])
def test_a_run_or_step_that_takes_too_long_ends_with_its_own_failure_also_over_a_crash(
    limits: Limits, code: str
) -> None:
    node, sent = asked(limits)
    assert sent.reply is None
    assert len(node.inbox()) == 1
    node.crash(down=5.0)
    node.pass_time(30.0)
    assert node.inbox()
    node.pass_time(60.0)
    node.again(sent)
    node.rest()
    result = us_result(sent)
    assert result.status == "failed"
    assert result.failure is not None
    assert result.failure.code == code
    assert "60 s is over" in result.failure.message
    assert not node.inbox()
    assert node.stuck() == ()


@pytest.mark.parametrize("limits", [Limits(run=600.0, step=600.0), Limits()])
def test_within_its_limits_nothing_is_seen_of_them(limits: Limits) -> None:
    node, sent = asked(limits)
    node.answer(node.inbox()[0].id, "approve")
    node.pass_time(10.0)
    assert us_result(sent).status == "done"
    node.rest()
    assert node.stuck() == ()


def test_a_step_that_ended_in_time_is_over_for_good() -> None:
    """Each step has its own time: three of 40 s each, under a limit of 60."""
    node, sent = asked(Limits(step=60.0))
    node.pass_time(30.0)
    node.answer(node.inbox()[0].id, "approve")
    node.pass_time(100.0)
    assert us_result(sent).status == "done"


def test_a_model_has_the_time_that_its_agent_gives_it() -> None:
    node = Simulated(clerk(Limits(model=7.0)), faults=Faults(hangs=1.0))
    node.ask("clerk/1", us.Task("pay"), key="1")
    node.pass_time(1.0)
    (effect,) = node.kernel.sets.effects.values()
    assert effect.timeout == 7.0


@pytest.mark.parametrize("field", ["run", "step", "model", "approval"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan"), True, "5"])
def test_a_limit_that_is_no_time_is_refused_with_the_field_named(field: str, value: Any) -> None:
    with pytest.raises(us.DefinitionError, match=f"limits.{field}=.* is no time"):
        clerk(Limits(**{field: value}))


@pytest.mark.parametrize("field", ["steps", "calls", "repeats", "cycles", "invalid"])
@pytest.mark.parametrize("value", [-1, "5", 2.5, True, None])
def test_a_limit_that_is_no_number_is_refused_with_the_field_named(field: str, value: Any) -> None:
    with pytest.raises(us.DefinitionError, match=f"limits.{field}="):
        us.Agent("a", "x", model=us.Scripted("ok"), limits=Limits(**{field: value}))


def us_result(sent: Any) -> us.Result:
    assert sent.reply is not None
    assert sent.reply.failure is None
    result: us.Result = decode(sent.reply.value, us.Result)
    return result
