"""A target may be a ``us.System``: the command line runs it with all that it was given, and what is typed goes before that."""

from __future__ import annotations

import sys

import pytest

from tests.supervisor.cli import Desk, ended, until
from understudy.protocols.errors import TargetError
from understudy.supervisor.target import load

SYSTEM = '''
"""The clerk of team.py, and what all runs of a journal share."""
import understudy as us
from team import clerk, look, team

price = us.Price(input=1.0, output=1.0)
porter = us.Agent("porter", "Opens doors.", model=us.Rules("porter", [us.Rule(us.Say("Open."))]))
told = []
system = us.System(
    clerk, rates={"look": us.Rate(requests=1, per=3600.0)}, breakers={"look": None}, drain=0.5,
    prices={"rules:clerk": price}, journal="desk.db",
)
talker = us.Agent("talker", "Talk.", model=us.Scripted("Hello.", name="m"))
spender = us.System(talker, spending=[us.Spending(usd=1.0)], prices={"m": price})
both = us.System(clerk, porter, on_stop=lambda: open("told.txt", "w").write("stop"))
nobody = us.System(us.Child("ledger", us.Actor))


def make():
    return us.System(clerk, journal="made.db")


def needs(size):
    return system


def other():
    return 5


def breaks():
    raise OSError("no room")


async def slow():
    return system


def main():
    import anyio

    async def opened():
        async with us.System(clerk) as one:
            return one

    return anyio.run(opened)
'''


@pytest.fixture
def house(desk: Desk) -> Desk:
    """A desk with systems in ``house.py``."""
    (desk.folder / "house.py").write_text(SYSTEM)
    return desk


def test_rates_of_the_system_hold_and_its_journal_is_worked_on(house: Desk) -> None:
    first = house.json("run", "house:system", "look", "--id", "a")
    assert (first["journal"], first["runs"][0]["status"]) == ("desk.db", "done")
    house.json("run", "house:system", "look", "--id", "b")
    assert house.seen == ["look"]
    assert "rate_limited" in house.run("audit", "b", "--journal", "desk.db").stdout
    assert not (house.folder / "understudy.db").exists()
    alone = house.json("run", "team:clerk", "look", "--id", "c")  # the control: a team has none
    assert (alone["journal"], house.seen) == ("understudy.db", ["look", "look"])


def test_what_is_typed_goes_before_what_the_system_says(house: Desk) -> None:
    said = house.json("run", "house:system", "look", "--id", "a", "--journal", "mine.db")
    assert said["journal"] == "mine.db"
    assert "--journal mine.db" in said["continue"]
    assert not (house.folder / "desk.db").exists()
    done = house.json(
        "run", "house:system", "hello", "--id", "m", "--model", "openai:x", "--journal", "mine.db", code=2
    )
    assert done["error"]["type"] in ("NoKey", "MissingExtra")


def test_windows_of_the_system_are_drawn_on(house: Desk) -> None:
    house.json("run", "house:spender", "hello", "--id", "a")
    (account,) = house.json("budget")["accounts"]
    assert (account["account"], account["limit_usd"]) == ("all/ever", 1.0)


def test_a_function_may_give_the_system_and_the_journal_names_it(house: Desk) -> None:
    house.json("run", "house:make", "look", "--id", "a")
    assert house.json("replay", "a", "--journal", "made.db")["equal"]
    assert "look" in house.run("show", "a", "--journal", "made.db").stdout
    assert house.run("tree", "house:make", "--journal", "made.db").returncode == 0


def test_of_several_the_one_that_is_named_gets_the_tasks(house: Desk) -> None:
    refused = house.run("run", "house:both", "hello")
    assert (refused.returncode, "clerk, porter" in refused.stderr, "--to clerk" in refused.stderr) == (2, True, True)
    assert house.run("run", "house:both", "open", "--to", "porter", "--id", "p").stdout == "Open.\n"
    assert "nobody in house:both is called 'cook'" in house.run("run", "house:both", "x", "--to", "cook").stderr
    assert house.run("run", "house:both").returncode == 0  # goes on with what is there
    assert house.run("run", "house:both", "--to", "porter").returncode == 2
    assert "takes tasks" in house.run("run", "house:nobody", "x").stderr


def test_a_person_answers_and_the_system_goes_on(house: Desk) -> None:
    house.json("run", "house:make", "pay", "--id", "a", code=3)
    (item,) = house.json("inbox", "--journal", "made.db")
    done = house.run("approve", item["id"], "--journal", "made.db")
    assert "understudy run house:make --journal made.db" in done.stdout
    assert house.json("run", "house:make", "--journal", "made.db")["runs"][0]["status"] == "done"
    assert house.seen == ["pay"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("needs", "a function that needs size"),
        ("other", r"house:other\(\) gives a int"),
        ("breaks", "house:breaks failed when it was called: OSError: no room"),
        ("slow", "house:slow is an async def"),
        ("main", "was opened before it came here"),
        ("told", "house:told is a list"),
    ],
)
def test_what_is_no_system_that_could_be_opened_is_named(
    house: Desk, name: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(house.folder)
    monkeypatch.setattr(sys, "path", [str(house.folder), *sys.path])
    for module in ("team", "house"):  # one of this folder, not of the one before
        monkeypatch.delitem(sys.modules, module, raising=False)
    try:
        with pytest.raises(TargetError, match=says):
            load(f"house:{name}")
    finally:
        for module in ("team", "house"):
            sys.modules.pop(module, None)


def test_the_tools_of_a_system_are_checked(house: Desk) -> None:
    found = house.json("tools", "check", "house:system", code=1)
    assert found["tools"] == house.json("tools", "check", "team:clerk", code=1)["tools"]
    assert house.json("tools", "check", "house:make", code=1)["tools"] == found["tools"]


def test_a_served_system_takes_work_and_is_told_when_it_is_to_stop(house: Desk) -> None:
    with house.running("serve", "house:both") as process:
        until(lambda: house.run("submit", "porter", "open", "--id", "p").returncode == 0, process)
        assert house.run("stop").returncode == 0
        assert ended(process)[0] == 0
    assert (house.folder / "told.txt").read_text() == "stop"
    assert [run["status"] for run in house.json("runs")] == ["done"]


def test_a_price_of_a_model_that_nobody_asks_is_refused_with_those_that_there_are(house: Desk) -> None:
    (house.folder / "typo.py").write_text(
        "import understudy as us\nfrom team import clerk\n"
        "system = us.System(clerk, prices={'no-such-model': us.Price(input=1.0, output=1.0)})\n"
    )
    done = house.run("run", "typo:system", "x")
    assert done.returncode == 2
    assert "there is no model 'no-such-model' here" in done.stderr
    assert "typo.py, line 3" in done.stderr
