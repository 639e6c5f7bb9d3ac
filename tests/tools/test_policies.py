"""The version of an approval rule: it changes with everything that the rule's word can depend on, as far as that can be seen."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from understudy.tools.policies import Policy, every_call

LIMITS: dict[str, float] = {"usd": 50.0}


def large(usd: float) -> bool:
    return usd > LIMITS["usd"]


def helper(usd: float, most: float = 50.0) -> bool:
    return usd > most


def through_a_helper(usd: float) -> bool:
    return helper(usd)


def under(limit: Any) -> Callable[..., bool]:
    def rule(usd: float) -> bool:
        return bool(usd > limit)

    return rule


def by_default(limit: float) -> Callable[..., bool]:
    def rule(usd: float, most: float = limit) -> bool:
        return usd > most

    return rule


def named(name: str) -> Callable[..., bool]:
    rules: dict[str, Callable[..., bool]] = {}
    exec(f"def rule(usd):\n    return usd > {name}", rules)
    return rules["rule"]


Rule = Callable[[float], bool]
SMALL: tuple[Rule, Rule, Rule] = (lambda usd: usd > 50, lambda usd: usd > 51, lambda usd: usd < 51)
"""Three in one line."""


def version(rule: Callable[..., bool]) -> str:
    return Policy(rule).version


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (under(50), under(51)),
        (under([50]), under([51])),
        (under({"a": {"b"}}), under({"a": {"c"}})),
        (under(large), under(helper)),
        (by_default(50), by_default(51)),
        (functools.partial(helper, most=50), functools.partial(helper, most=51)),
        (named("50"), named("51")),
        (SMALL[0], SMALL[1]),
        (SMALL[1], SMALL[2]),
    ],
)
def test_another_value_is_another_version(one: Callable[..., bool], other: Callable[..., bool]) -> None:
    assert version(one) != version(other)
    assert version(one) == version(one)


def test_values_of_global_names_count_also_in_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    before, through = version(large), version(through_a_helper)
    monkeypatch.setitem(LIMITS, "usd", 51.0)
    assert version(large) != before
    monkeypatch.setattr(helper, "__defaults__", (51.0,))
    assert version(through_a_helper) != through


def test_what_changes_while_the_process_runs_is_seen() -> None:
    limits = [50]
    policy = Policy(under(limits))
    before = policy.current()
    limits[0] = 5_000
    assert policy.current() != before
    assert policy.label == before or policy.label == policy.current()


def test_a_rule_that_depends_on_nothing_has_the_version_of_its_source() -> None:
    """Journals of before know rules under it."""
    assert version(under(50)) == version(under(50))
    assert every_call("pay").label == "lambda@05a8908ae758"


def test_what_nobody_can_look_into_is_named_and_not_looked_into() -> None:
    class Box:
        def __init__(self, most: float) -> None:
            self.most = most

    assert version(under(Box(1))) == version(under(Box(2))), "documented: the inside of objects is not covered"
