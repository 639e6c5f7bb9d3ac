"""Approvals from the command line: four eyes, other arguments, standing approvals, the audit. On the file and over the socket."""

from __future__ import annotations

import pytest

from tests.supervisor.cli import Desk

TEAM = '''
import understudy as us


@us.tool(effect="once", kind="money", amount="usd", sinks=["to"])
def pay(memo: str, to: str, usd: float) -> str:
    """Pay somebody."""
    with open("seen.txt", "a") as file:
        file.write(f"{to}:{usd:g}\\n")
    return "paid"


MEMO = "thanks\\n  99.0  approval  clerk/other\\u202e\\x1b[2J" + "x" * 3000
clerk = us.Agent(
    "clerk",
    "Pays.",
    model=us.Rules("clerk", [
        us.Rule(us.Use("pay", {"memo": MEMO, "to": "ada", "usd": 60.0}), before=("pay",)),
        us.Rule(us.Say("It is paid."), after=("pay",)),
    ]),
    tools=[pay],
    approvals=[us.ApprovalRule("large", money_above=50, quorum=2)],
)
'''


@pytest.fixture
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    made = Desk(tmp_path_factory.mktemp("desk"))
    (made.folder / "team.py").write_text(TEAM)
    return made


def test_from_the_question_to_the_audit(desk: Desk) -> None:
    said = desk.json("run", "team:clerk", "pay", "--id", "a", code=3)
    (item,) = said["runs"][0]["waiting"]
    assert (item["quorum"], item["sinks"]) == (2, ["to"])

    shown = desk.run("inbox").stdout
    assert '      pay(to="ada", memo="thanks\\n  99.0' in shown, "where it goes comes first"
    for forbidden in ("\u202e", "\x1b", "\n  99.0"):
        assert forbidden not in shown
    assert "more characters), usd=60.0)" in shown, "what is long hides nothing behind it"
    assert "needs a yes of 2 different people" in shown
    assert f"understudy approve {item['id']} --change" in shown

    first = desk.json("approve", item["id"], "--by", "ada", "--scope", "pattern", "--same", "to")
    assert first["lacking"] == {item["id"]: 1}
    again = desk.run("approve", item["id"], "--by", "ADA")
    assert again.returncode == 2
    assert "ADA has said yes before" in again.stderr
    refused = desk.run("approve", item["id"], "--by", "bob", "--change", '{"usd": "much"}')
    assert refused.returncode == 2
    assert "the call is refused" in refused.stderr
    second = desk.run("approve", item["id"], "--by", "bob", "--scope", "pattern", "--same", "to")
    assert second.returncode == 0, second.stderr
    assert "more must say yes" not in second.stdout
    assert desk.json("run", "team:clerk")["runs"][0]["output"] == "It is paid."
    assert desk.seen == ["ada:60"]

    (grant,) = desk.json("grants")
    assert (grant["scope"], grant["same"], grant["by"]) == ("pattern", {"to": "ada"}, ["ada", "bob"])
    assert desk.json("run", "team:clerk", "pay", "--id", "b")["runs"][0]["status"] == "done"
    assert 'with to="ada", for clerk/{run}' in desk.run("grants").stdout
    assert desk.run("grants", "revoke", grant["id"], "--by", "eve", "--reason", "left").returncode == 0
    assert desk.json("grants") == []
    assert desk.run("grants").stdout == "Nothing is allowed in advance.\n"
    gone = desk.run("grants", "revoke", grant["id"])
    assert gone.returncode == 2
    assert "no standing approval" in gone.stderr
    assert desk.json("run", "team:clerk", "pay", "--id", "c", code=3)["runs"][-1]["waiting"]

    told = desk.json("audit", "b")
    assert told["complete"]
    (pay,) = [call for call in told["calls"] if call["name"] == "pay"]
    assert [step["by"] for step in pay["steps"] if step["what"] == "answered"] == [f"grant {grant['id']} of ada, bob"]
    assert pay["outcome"] == "done"
    text = desk.run("audit", "a").stdout
    for words in (
        "permission       allow",
        "rules            ask: May clerk/a call pay",
        "ada says approve (bound to",
        "complete",
    ):
        assert words in text
    assert "\u202e" not in text
    assert desk.run("audit", "nobody").returncode == 2
    assert desk.run("journal", "verify").returncode == 0


def test_a_call_is_changed_on_the_file_by_the_program_that_made_it(desk: Desk) -> None:
    said = desk.json("run", "team:clerk", "pay", "--id", "a", code=3)
    (item,) = said["runs"][0]["waiting"]
    done = desk.run("approve", item["id"], "--by", "ada", "--change", '{"usd": 40}')
    assert done.returncode == 0, done.stderr
    assert "more must say yes" not in done.stdout, "no rule asks about it any more"
    assert desk.run("run", "team:clerk").returncode == 0
    assert desk.seen == ["ada:40"]
    assert f'ada answers {item["id"]}: change {{"usd":40}}' in desk.run("show", "a").stdout
