"""Twenty agents and one dollar: whatever fails, dies, comes late or twice, no more is billed. By the rows, and by a witness outside."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from msgspec import Raw

import understudy as us
from tests.simulation import purse
from tests.simulation.purse import SHORT, Recount, agents, ask, node, result, team, thinker, through, usd
from understudy.protocols.books import Books
from understudy.protocols.budget import Account
from understudy.protocols.codec import encode
from understudy.protocols.ids import SYSTEM
from understudy.protocols.journal import Record, Row
from understudy.testing import Faults, Simulated
from understudy.tools.checks.budget import Budgets
from understudy.tools.checks.case import Ruling, allow
from understudy.tools.starting import Starting

STORM = Faults(
    crash=0.01, commit_fails=0.02, commit_unknown=0.02, load_fails=0.02, fails=0.05, raises=0.05, hangs=0.05, late=0.05,
    twice=0.05,
)  # fmt: skip
DOLLAR = us.Budget(usd=1.0)


def spend(made: Simulated, tasks: int = 3) -> None:
    sent = [ask(made, f"w{n}/{k}", key=f"k{n}.{k}") for n in range(20) for k in range(tasks)]
    through(made, sent)
    assert all(s.reply is not None for s in sent)
    for one in map(result, sent):
        assert one.status in ("done", "failed")
        assert one.status == "done" or one.failure is not None


@pytest.mark.parametrize("seed", range(12))
def test_twenty_agents_on_one_dollar_never_spend_more(seed: int) -> None:
    made, recount = node(*agents(), seed=seed, faults=STORM, spending=[us.Spending(usd=1.0)])
    spend(made)
    assert not recount.wrong, recount.wrong[:3]
    account = recount.account("budget/all/ever")
    assert usd(purse.witness.billed) <= usd(account.usd) <= 1.0
    assert (account.held_usd, account.held_tokens) == (0, 0), "every reservation came to its end"
    assert purse.witness.billed > 200_000_000, "and the dollar is not kept back"


def test_without_faults_nearly_all_of_the_dollar_is_used_and_charged_to_the_cent() -> None:
    made, recount = node(*agents(), seed=5, spending=[us.Spending(usd=1.0)])
    spend(made)
    account = recount.account("budget/all/ever")
    assert purse.witness.billed == account.usd
    assert 0.95 < usd(account.usd) <= 1.0


@pytest.mark.parametrize("seed", range(3))
def test_the_control_without_this_check_overspends(seed: int) -> None:
    made, _ = node(*agents(), seed=seed, spending=[us.Spending(usd=1.0)], skip=frozenset({"budget"}))
    spend(made)
    assert usd(purse.witness.billed) > 1.5


@pytest.mark.parametrize("seed", range(3))
def test_the_control_that_only_settles_and_reserves_nothing_overspends(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Budgets.start

    def only_settles(self: Budgets, starting: Starting) -> Ruling:
        ruling = start(self, starting)
        if ruling.verdict.verdict != "allow":
            return ruling
        for entry in starting.books.changes:
            if not entry.key.startswith("budget/held/"):
                account = starting.books.read(entry.key, Account)
                assert account is not None
                starting.books.write(entry.key, Account(account.began, account.usd, limit_usd=account.limit_usd))
        return allow("budget")

    monkeypatch.setattr(Budgets, "start", only_settles)
    made, _ = node(*agents(), seed=seed, spending=[us.Spending(usd=0.2)])
    spend(made)
    assert usd(purse.witness.billed) > 0.21


def test_a_team_and_all_who_work_in_it_draw_on_its_budget() -> None:
    made, recount = node(team(20, us.Budget(usd=0.5)), seed=3)
    sent = ask(made, "crew/1")
    through(made, [sent])
    over = result(sent)
    assert over.status == "cannot"
    assert over.failure is not None
    assert (over.failure.code, over.failure.where) == ("budget_exhausted", "crew/1")
    assert "left" in over.reason
    assert not recount.wrong
    assert usd(purse.witness.billed) <= usd(recount.account("budget/run/crew/1").usd) <= 0.5


@pytest.mark.parametrize("seed", range(6))
def test_a_crash_at_every_step_leaves_the_books_as_they_were(seed: int) -> None:
    """One task under two budgets; the process dies after 1, 2, 3, … steps, and the next one goes on where it was."""
    steps, done = 1, False
    while not done:
        made, recount = node(team(2, us.Budget(usd=0.6)), seed=seed)
        sent = ask(made, "crew/1", budget=us.Budget(tokens=60_000))
        done = not all(made.step() for _ in range(steps))
        made.crash(down=1.0)
        told = {key: bytes(e.value) for key, e in recount.books.items()}
        assert told == {e.key: bytes(e.value) for e in made.journal.reload().books}
        assert told == {key: bytes(e.value) for key, e in made.kernel.sets.books.items()}
        made.again(sent)
        through(made, [sent])
        assert not recount.wrong, (steps, recount.wrong[:3])
        for key in ("budget/run/crew/1", "budget/run/crew/1#task"):
            account = recount.account(key)
            assert (account.held_usd, account.held_tokens) == (0, 0), steps
            assert purse.witness.billed <= account.usd, steps
        steps += 3
    assert steps > 30


def test_an_attempt_that_a_crash_cut_off_is_charged_in_full_and_said() -> None:
    made, recount = node(us.Agent("w", "Work.", model=thinker(calls=False)), seed=1, spending=[us.Spending(usd=5.0)])
    sent = ask(made, "w/1")
    while not purse.witness.used["think"]:
        assert made.step()
    held = recount.account("budget/all/ever").held_usd
    made.crash(down=0.0)
    made.again(sent)
    through(made, [sent])
    assert result(sent).status == "done"
    assert recount.account("budget/all/ever").usd == held + purse.witness.billed // purse.witness.used["think"]
    assert recount.alerts["the process died over it"]


@pytest.mark.parametrize(
    "faults",
    [{"fails": 1.0}, {"hangs": 1.0}, {"raises": 1.0}, {"twice": 1.0}, {"late": 1.0}],
    ids=lambda f: next(iter(f)),
)
def test_what_failed_is_given_back_and_what_nobody_knows_is_charged(faults: Mapping[str, float]) -> None:
    made, recount = node(
        us.Agent("w", "Work.", model=thinker(calls=False), limits=SHORT),
        seed=4,
        faults=Faults(**faults),
        spending=[us.Spending(usd=5.0)],
    )
    sent = ask(made, "w/1")
    for _ in range(3_000):
        if not made.step():
            break
    made.faults = Faults()
    through(made, [sent])
    account = recount.account("budget/all/ever")
    assert not recount.wrong
    assert account.held_usd == 0
    if "fails" in faults:
        assert account.usd == purse.witness.billed, "a declared failure costs nothing"
    elif "twice" in faults:
        assert account.usd == purse.witness.billed, "an outcome that comes twice is charged once"
    else:
        assert account.usd > purse.witness.billed


def test_each_user_has_a_day_s_money_and_the_next_day_as_much_again() -> None:
    day = us.Spending(per="user", every="day", usd=0.05)
    made, recount = node(us.Agent("w", "Work.", model=thinker(calls=False), limits=SHORT), seed=2, spending=[day])
    made.pass_time(86_400.0 - made.now % 86_400.0 + 1.0)

    def spends(user: str, date: int) -> int:
        sent = [ask(made, f"w/{user}{date}{n}", key=f"{user}{date}{n}", user=user, tenant="acme") for n in range(8)]
        through(made, sent)
        over = [result(one) for one in sent]
        assert {one.failure.where for one in over if one.failure is not None} <= {f"window:user/day/acme/{user}"}
        return sum(one.status == "done" for one in over)

    first = spends("ada", 1)
    assert 0 < first < 8
    assert spends("bob", 1) == first, "what ada spends is not bob's"
    assert spends("ada", 2) == 0
    made.crash(down=1.0)
    assert spends("ada", 3) == 0, "a crash gives nothing back"
    made.pass_time(86_400.0)
    assert spends("ada", 4) == first
    assert not recount.wrong


def test_recount_sees_what_is_wrong() -> None:
    recount, books = Recount(), Books({})
    books.write("budget/all/ever", Account(usd=9, held_usd=2, limit_usd=10))
    row = Row(1, SYSTEM, 1, 0, "system", "", 0.0, Raw(encode(Record(books=books.changes))))
    recount.rows_came((row,))
    assert len(recount.wrong) == 2
