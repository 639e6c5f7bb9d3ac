"""``understudy budget``, and budgets in the lines that ``understudy run`` reads."""

from __future__ import annotations

import json

import pytest

from tests.supervisor.cli import Desk

PAID = """
import understudy as us

PRICE = us.Price(input=1.0, output=1.0)
said = us.ModelReply("It rains.", usage=us.Usage(1_000, 100))
clerk = us.Agent("clerk", "Answer.", model=us.Scripted(said, repeat=True, name="m", price=PRICE),
                 limits=us.Limits(answer=300), budget=us.Budget(usd=0.5, tokens=50_000, seconds=60))
"""


@pytest.fixture
def paid(desk: Desk) -> Desk:
    (desk.folder / "paid.py").write_text(PAID)
    return desk


def test_what_is_spent_of_what_is_shown(paid: Desk) -> None:
    lines = paid.lines(
        {"id": "one", "objective": "Weather?", "budget": {"usd": 0.2}},
        {"id": "two", "objective": "Weather?", "budget": {"tokens": 10}},
    )
    assert paid.run("run", "paid:clerk", "--input", lines).returncode == 1
    found = {line["id"]: line for line in paid.json("runs")}
    assert found["one"]["status"] == "done"
    assert found["two"]["status"] == "failed"
    assert "10 tokens" in found["two"]["reason"]
    books = paid.json("budget")
    accounts = {line["account"]: line for line in books["accounts"]}
    assert accounts.keys() == {"run/clerk/one", "run/clerk/one#task"}
    assert books["held"] == {}
    own = accounts["run/clerk/one"]
    assert (own["usd"], own["limit_usd"], own["tokens"], own["limit_tokens"]) == (0.0011, 0.5, 1_100, 50_000)
    assert paid.run("replay", "clerk/one").returncode == 0
    assert paid.run("replay", "clerk/two").returncode == 0
    shown = paid.run("budget").stdout
    assert "run/clerk/one#task  $0.0011 of $0.20" in shown


@pytest.mark.parametrize(
    ("budget", "said"), [({"usd": -1}, "usd=-1"), ({"usd": "x"}, "budget.usd"), ({}, "limits nothing"), (5, "budget")]
)
def test_a_budget_that_is_none_is_told_with_its_line(paid: Desk, budget: object, said: str) -> None:
    done = paid.run("run", "paid:clerk", "--input", paid.lines({"id": "a", "objective": "x", "budget": budget}))
    assert done.returncode == 2
    assert "line 1" in done.stderr
    assert said in done.stderr


def test_without_a_journal_or_budget_it_says_so(paid: Desk) -> None:
    assert paid.run("budget").returncode == 2
    assert paid.run("run", "team:clerk", "look", "--id", "look").returncode == 0
    assert paid.run("budget").stdout.strip() == "Nothing has been spent under a budget."
    assert json.loads(paid.run("budget", "--json").stdout) == {"accounts": [], "held": {}}
