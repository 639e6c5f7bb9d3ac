"""Plans on the command line: a line of input with one, a line whose plan the team does not take, how far a run is."""

from __future__ import annotations

from pathlib import Path

from tests.supervisor.cli import Desk


def test_plans_come_in_by_lines_and_one_that_cannot_be_taken_holds_up_nobody(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    first = {"name": "a", "worker": "clerk", "objective": "look"}
    second = {"name": "b", "worker": "clerk", "objective": "pay", "after": ["a"]}
    good = {"steps": [first, second]}
    bad = {"steps": [{"name": "a", "worker": "nobody", "objective": "look"}]}
    lines = desk.lines(
        {"id": "good", "objective": "both", "plan": good, "priority": 2, "tags": ["x"]},
        {"id": "bad", "objective": "none", "plan": bad},
        {"id": "late", "objective": "look", "deadline": -1},
        {"id": "able", "objective": "look", "needs": ["flying"]},
    )
    told = desk.json("run", "team:team", "--input", lines, "--journal", "j.db", code=2)
    status = {line["id"]: line["status"] for line in told["runs"]}
    assert status == {"good": "waiting", "bad": "refused", "able": "waiting"}
    shown = desk.json("show", "good", "--journal", "j.db")["progress"]
    assert (shown["steps"], shown["done"]) == (2, 1)
    text = desk.run("show", "good", "--journal", "j.db").stdout
    assert "1 of 2 steps done; now: b (clerk)" in text
    assert "nobody of 'office' can 'flying'" in desk.run("inbox", "--journal", "j.db").stdout
