"""The crash matrix: SIGKILL at every moment of a call of every effect class, then the same program again.

``python -m tests.crash.matrix`` prints what is measured here as Markdown.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future

import pytest

from tests.crash.matrix import CLASSES, MATRIX, ROOT, SECOND, Case, Found, markdown, measure_all
from understudy.protocols.effects import EffectClass

NOT_YET = {"before_intent", "before_entry", "inside_before"}
"""Moments at which the effect has not happened in the world."""

IN_DOUBT = {"before_entry", "inside_before", "inside_after", "before_row"}
"""Moments at which a call stands as started and has no outcome: ``reconcilable`` asks, and with ``once`` nobody can know."""

NEVER_ENTERED = {"before_intent", "before_entry"}

BROKEN = (
    Case("once", "inside_after", broken=True),
    Case("once", "before_row", broken=True),
    Case("idempotent", "inside_after", broken=True),
    Case("reconcilable", "inside_after", broken=True),
)


@pytest.fixture(scope="module")
def measured() -> Mapping[Case, Future[Found]]:
    """All cells, measured side by side."""
    return measure_all((*MATRIX, *SECOND, *BROKEN))


def runs_expected(case: Case) -> int:
    """How often the function is entered in both lives together."""
    if case.effect == "once":
        return 0 if case.moment == "before_entry" else 1
    if case.moment in NEVER_ENTERED or case.moment == "after_row":
        return 1
    happened = case.moment not in NOT_YET
    return 1 if case.effect == "reconcilable" and happened else 2


def check(case: Case, found: Found) -> None:
    """What is promised for this cell."""
    in_doubt = case.effect == "once" and case.moment in IN_DOUBT
    assert found.runs == runs_expected(case)
    if in_doubt:  # a doubt is settled by what the world knows, and nothing runs for it
        assert found.effects == (0 if case.moment in NOT_YET else 1)
        assert found.resumed.status == "waiting"
        (doubt,) = found.resumed.doubts
        assert (doubt.kind, doubt.run, doubt.actor) == ("in_doubt", "agent/run", "agent/run")
        assert (doubt.tool, bytes(doubt.arguments)) == (
            ("second", b'{"what":"knock"}') if case.second else ("act", b'{"what":"ring"}')
        )
        assert doubt.answers == ("happened", "not_happened", "run_again")
    else:
        assert found.resumed.status == "done"
        assert found.resumed.doubts == ()
        assert found.effects == (0 if case.effect == "read" else 1)
    assert found.ended.status == "done"
    assert found.asked == (1 if case.effect == "reconcilable" and case.moment in IN_DOUBT else 0)
    denied = in_doubt and case.moment in NOT_YET
    assert found.ended.output.count('"done"') == (2 if case.second else 1) - int(denied)
    assert ("did_not_happen" in found.ended.output or "did not happen" in found.ended.output) == denied


@pytest.mark.parametrize("case", MATRIX, ids=str)
def test_a_killed_call_is_taken_up_as_its_effect_class_says(case: Case, measured: Mapping[Case, Future[Found]]) -> None:
    check(case, measured[case].result())


@pytest.mark.parametrize("case", SECOND, ids=str)
def test_a_kill_in_the_second_of_two_tools_leaves_the_first_alone(
    case: Case, measured: Mapping[Case, Future[Found]]
) -> None:
    found = measured[case].result()
    check(case, found)
    assert (found.first_runs, found.first_effects) == (1, 0 if case.effect == "read" else 1)


@pytest.mark.parametrize("case", BROKEN, ids=str)
def test_without_the_rule_of_its_class_an_effect_happens_twice(
    case: Case, measured: Mapping[Case, Future[Found]]
) -> None:
    found = measured[case].result()
    assert (found.runs, found.effects) == (2, 2)
    assert found.resumed.doubts == ()


def test_the_tables_in_readme_are_what_is_measured(measured: Mapping[Case, Future[Found]]) -> None:
    assert markdown(measured) in (ROOT / "README.md").read_text()


def test_the_matrix_has_no_holes() -> None:
    moments: dict[EffectClass, int] = {effect: sum(1 for c in MATRIX if c.effect == effect) for effect in CLASSES}
    assert moments == {"read": 6, "idempotent": 6, "reconcilable": 6, "once": 6}
