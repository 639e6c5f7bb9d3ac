"""Resolvers are pure functions over a conflict; what can never work is refused where it is declared, by field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

import understudy as us
from understudy.protocols.codec import canonical
from understudy.protocols.conflicts import Decided, Silent, names
from understudy.supervisor.conflicts.deciding import Open, named, settle
from understudy.supervisor.conflicts.resolver import Resolver, Wins

values = st.sampled_from(["x", "y", "z", 1, None])
sure = st.none() | st.floats(0.0, 1.0)


def claim(who: str, value: object, confidence: float | None = None) -> us.Claim:
    data = Raw(canonical(value))
    return us.Claim(who, data, confidence, stance=data)


def conflict(*claims: us.Claim, silent: int = 0) -> us.Conflict:
    return us.Conflict("answers", "it", claims, tuple(Silent(f"s{n}", "no boat") for n in range(silent)))


def made(said: list[tuple[object, float | None]], silent: int) -> us.Conflict:
    return conflict(*(claim("abcdef"[n], v, c) for n, (v, c) in enumerate(said)), silent=silent)


conflicts = st.builds(made, st.lists(st.tuples(values, sure), min_size=1, max_size=6), st.integers(0, 3))
chains = st.sampled_from(
    [
        us.majority(), us.majority(2), us.majority(0.6), us.weighted(), us.weighted(0.3), us.priority(["b", "a"]), us.first_come(),
        us.refuse(), us.merge(lambda claims: claims[-1]), us.merge(lambda _: 1 / 0), us.merge(lambda _: object()), us.merge(lambda _: None),
        us.majority() | us.weighted(0.1) | us.priority(["c"]), us.person(),
    ]
)  # fmt: skip


@given(conflicts, chains)
def test_every_chain_decides_or_says_whom_to_ask_and_why_the_others_did_not(what: us.Conflict, chain: Resolver) -> None:
    steps = chain.steps()
    over = settle(steps, what, 1.0)
    assert over == settle(steps, what, 1.0), "it is pure"
    if isinstance(over, Decided):
        assert over.reason
        assert over.winner is None or 0 <= over.winner < len(what.claims)
    else:
        assert isinstance(over, Open)
        assert len(over.passed) == over.at
        assert all(passed.reason for passed in over.passed)


@given(conflicts)
def test_a_majority_is_more_than_half_of_those_who_were_asked(what: us.Conflict) -> None:
    over = settle(us.majority().steps(), what, 0.0)
    stances = [bytes(c.stance) for c in what.claims]
    most = max(stances.count(stance) for stance in stances)
    assert isinstance(over, Decided) == (2 * most > len(what.claims) + len(what.silent))
    if isinstance(over, Decided):
        assert over.winner is not None
        assert stances.count(stances[over.winner]) == most


@given(conflicts, st.floats(0.0, 1.0))
def test_the_weightier_side_wins_only_with_its_margin(what: us.Conflict, margin: float) -> None:
    over = settle(us.weighted(margin).steps(), what, 0.0)
    if not isinstance(over, Decided):
        return
    assert over.winner is not None
    weights: dict[bytes, float] = {}
    for one in what.claims:
        assert one.confidence is not None
        weights[bytes(one.stance)] = weights.get(bytes(one.stance), 0.0) + one.confidence
    won = weights.pop(bytes(what.claims[over.winner].stance))
    total = won + sum(weights.values())
    assert won - max(weights.values(), default=0.0) >= margin * total - 1e-6
    assert won > max(weights.values(), default=0.0)


def test_a_tie_is_no_majority_and_no_weight() -> None:
    tie = conflict(claim("a", "x", 0.5), claim("b", "y", 0.5))
    for chain in (us.majority(1), us.weighted(), us.majority() | us.weighted()):
        assert isinstance(settle(chain.steps(), tie, 0.0), Open)


def why(chain: Resolver, what: us.Conflict) -> str:
    """Why a resolver does not decide."""
    over = settle(chain.steps(), what, 0.0)
    assert isinstance(over, Open)
    (passed,) = over.passed
    return passed.reason


def test_nobody_is_sure_and_nobody_has_one_word_are_said_and_decide_nothing() -> None:
    assert why(us.weighted(), conflict(claim("a", "x", 0.0), claim("b", "y", 0.0))) == "nobody is sure of anything"
    two = conflict(claim("a", "x"), claim("a", "y"), claim("b", "y"))
    assert "contradict each other" in why(us.priority(["a"]), two)
    same = conflict(claim("b", "y"), claim("a", "x"), claim("a", "x"))
    over = settle(us.priority(["a"]).steps(), same, 0.0)
    assert isinstance(over, Decided)
    assert over.winner == 1


class Odd(Resolver):
    """Says what is no decision."""

    name = "odd"

    def __init__(self, said: Any) -> None:
        self.said = said

    def decide(self, conflict: us.Conflict) -> Any:
        return self.said


@pytest.mark.parametrize("said", [Wins(2, "far"), Wins(-1, "the last"), None, "a", True], ids=repr)
def test_what_is_no_decision_is_recorded_as_that(said: Any) -> None:
    assert "which is no decision" in why(Odd(said), conflict(claim("a", "x"), claim("b", "y")))


def test_a_quorum_is_a_number_or_a_share_of_those_asked() -> None:
    three = conflict(claim("a", "x"), claim("b", "x"), claim("c", "y"), silent=1)
    for quorum, decides in ((1, True), (2, True), (3, False), (0.5, True), (0.51, False), (1.0, False), (None, False)):
        assert isinstance(settle(us.majority(quorum).steps(), three, 0.0), Decided) is decides, quorum


@given(conflicts)
def test_every_claim_has_a_name_of_its_own_that_finds_it(what: us.Conflict) -> None:
    called = names(what)
    assert len(set(called)) == len(called)
    assert [named(name, what) for name in called] == list(range(len(called)))


def test_two_claims_of_one_name_are_told_apart_by_where_they_come_from() -> None:
    twice = (us.Claim("fire", run=us_run("desk/1/fire")), us.Claim("fire", run=us_run("desk/2/fire")), us.Claim("fire"))
    what = us.Conflict("claims", "unit", twice)
    assert names(what) == ("desk/1/fire", "desk/2/fire", "fire")


def us_run(text: str) -> Any:  # an Address
    from understudy.protocols.ids import address

    return address(text)


agent = us.Agent("judge", "Be fair.", model=us.Scripted())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: us.majority(0), "quorum=0"),
        (lambda: us.majority(-1), "quorum=-1"),
        (lambda: us.majority(1.5), "quorum=1.5"),
        (lambda: us.majority(float("nan")), "quorum=nan"),
        (lambda: us.majority(True), "quorum=True"),
        (lambda: us.majority("2"), "quorum='2'"),  # type: ignore[arg-type]
        (lambda: us.person(within=10**400), "within="),
        (lambda: us.weighted(-0.1), "margin=-0.1"),
        (lambda: us.weighted(2), "margin=2"),
        (lambda: us.weighted(float("nan")), "margin=nan"),
        (lambda: us.priority([]), "order="),
        (lambda: us.priority("ab"), "order='ab'"),
        (lambda: us.priority(["a", "a"]), "'a' twice"),
        (lambda: us.priority(["a", 1]), "1 is no name"),  # type: ignore[list-item]
        (lambda: us.merge(7), "7 is no function"),  # type: ignore[arg-type]
        (lambda: us.judge("judge"), "'judge' is no agent"),  # type: ignore[arg-type]
        (lambda: us.judge(us.Agent("j", "Be fair.", model=us.Scripted(), output=int)), "answers with <class 'int'>"),
        (lambda: us.judge(agent, within=0), "within=0"),
        (lambda: us.person(within=-1), "within=-1"),
        (lambda: us.person(within=float("inf")), "within=inf"),
        (lambda: us.person(within=None, otherwise="a"), "there is no deadline"),
        (lambda: us.person() | us.majority(), "would never be asked"),
        (lambda: us.majority() | us.person() | us.person(), "would never be asked"),
        (lambda: us.first_come() | us.person(), "would never be asked"),
        (lambda: us.majority() | 7, "7 is none"),  # type: ignore[operator]
        (lambda: us.Conflicts(answers=7), "answers=7 is no resolver"),  # type: ignore[arg-type]
        (lambda: us.Conflicts(answers=lambda c: c), "answers=<function"),  # type: ignore[arg-type]
        (lambda: us.Conflicts(entries=us.majority()), "conflicts: entries: majority"),
        (lambda: us.Conflicts(claims=us.majority() | us.person()), "conflicts: claims: majority"),
        (lambda: us.Conflicts(claims=us.merge(len)), "conflicts: claims: merge"),
        (lambda: us.Conflicts(delegation=us.weighted()), "conflicts: delegation: weighted"),
        (lambda: us.Conflicts(compare=1), "compare=1 is no function"),  # type: ignore[arg-type]
        (
            lambda: us.Conflicts(
                answers=us.judge(agent), entries=us.judge(us.Agent("judge", "Be kind.", model=us.Scripted()))
            ),
            "two judges are named 'judge'",
        ),
    ],
)
def test_what_cannot_work_is_refused_where_it_is_declared(make: Any, message: str) -> None:
    with pytest.raises(us.DefinitionError) as refused:
        make()
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("conflicts", "message"),
    [
        (
            us.Conflicts(answers=us.priority(["a", "nobody"])),
            "conflicts.answers: priority(['a', 'nobody']) names 'nobody'",
        ),
        (us.Conflicts(entries=us.priority(["nobody"])), "conflicts.entries"),
        (us.Conflicts(answers=us.majority(3)), "majority(quorum=3) can never decide: there are 2 workers"),
        (us.Conflicts(claims=us.person(otherwise="nobody")), "conflicts.claims: person(otherwise='nobody')"),
        (us.majority(), "conflicts=majority()"),
    ],
)
def test_a_policy_that_does_not_fit_its_team_is_refused_by_the_supervisor(conflicts: Any, message: str) -> None:
    workers = [us.Agent(name, "Work.", model=us.Scripted(name=name)) for name in "ab"]
    with pytest.raises(us.DefinitionError) as refused:
        us.Supervisor("desk", workers, conflicts=conflicts)
    assert message in str(refused.value)


@pytest.mark.parametrize("name", ["panel", "conflict", "board", "lease"])
def test_a_worker_may_not_have_the_name_of_what_the_team_has_itself(name: str) -> None:
    with pytest.raises(us.DefinitionError, match="may not be called"):
        us.Supervisor("desk", [us.Agent(name, "Work.", model=us.Scripted())])
