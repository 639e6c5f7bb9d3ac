"""``--shadow``: the command line rehearses a team, and whoever goes on with it is told so."""

from __future__ import annotations

import pytest

from tests.supervisor.cli import Desk

REHEARSAL = '''
"""The clerk of team.py, who says what paying would give; a simulation can be held, too."""
import understudy as us
from team import been, clerk, pay


@pay.simulate
def pretend(to: str) -> str:
    been("pretend")
    return "would be paid"


asks = us.Rule(us.Use("ask_person", {"question": "Which?"}), before=("ask_person",))
asker = us.Agent(
    "asker", "Ask.", model=us.Rules("asker", [asks, us.Rule(us.Say("Thanks."))]), tools=[us.builtin.ask_person()]
)
system = us.System(clerk, shadow=["pay"], journal="mine.db")
'''


@pytest.fixture
def stage(desk: Desk) -> Desk:
    """A desk with ``rehearsal.py`` in it."""
    (desk.folder / "rehearsal.py").write_text(REHEARSAL)
    return desk


def test_a_rehearsal_asks_nobody_does_nothing_and_replays_equal(stage: Desk) -> None:
    said = stage.json("run", "rehearsal:clerk", "pay, please", "--id", "a", "--shadow")
    assert (said["runs"][0]["status"], said["runs"][0]["output"]) == ("done", "It is paid.")
    assert said["continue"].endswith(" --shadow")
    assert stage.seen == ["pretend"]
    shown = stage.run("show", "a").stdout
    assert "1 tool calls (1 simulated)" in shown
    assert 'pay (simulated) gives "would be paid"' in shown
    audited = stage.run("audit", "a").stdout
    assert "done, simulated" in audited
    assert "shadow says approve" in audited
    assert stage.json("audit", "a")["calls"][1]["simulated"] is True
    assert stage.json("replay", "a")["equal"]
    real = stage.json("run", "rehearsal:clerk", "pay, please", "--id", "b", code=3)
    assert real["runs"][0]["status"] == "waiting", "the control: a person is asked"


def test_what_a_kill_cut_off_is_simulated_again_by_a_process_without_shadow(stage: Desk) -> None:
    with stage.held("run", "rehearsal:clerk", "pay, please", "--id", "a", "--shadow") as (process, _):
        process.kill()
        process.wait()
    assert stage.seen == ["pretend"]
    assert stage.json("inbox") == []
    real = stage.run("run", "rehearsal:clerk", "--journal", "understudy.db")
    assert "1 unfinished run goes on for real: so far calls of all were simulated" in real.stderr
    assert stage.json("runs")[0]["status"] == "done"
    assert stage.seen == ["pretend", "pretend"]
    assert stage.json("replay", "a")["equal"]
    stage.json("run", "rehearsal:clerk", "send it", "--id", "b")
    assert stage.seen == ["pretend", "pretend", "send"], "what comes later is real"


def test_a_run_that_began_for_real_and_goes_on_in_shadow_is_named(stage: Desk) -> None:
    with stage.held("run", "rehearsal:clerk", "look", "--id", "a") as (process, _):
        process.kill()
        process.wait()
    went = stage.run("run", "rehearsal:clerk", "--shadow")
    assert "1 unfinished run goes on in shadow: from now on calls of all are simulated" in went.stderr
    again = stage.run("run", "rehearsal:clerk", "--shadow")
    assert "unfinished" not in again.stderr


def test_one_that_does_not_say_what_it_would_give_is_named(stage: Desk) -> None:
    stage.run("run", "rehearsal:clerk", "send it", "--id", "a", "--shadow")
    assert stage.seen == []
    assert "does not say what it would give" in stage.run("show", "a").stdout


def test_a_system_says_which_tools_are_in_shadow(stage: Desk) -> None:
    stage.json("run", "rehearsal:system", "pay", "--id", "a")
    stage.json("run", "rehearsal:system", "send", "--id", "b")
    assert stage.seen == ["pretend", "send"]
    stage.run("run", "rehearsal:system", "send", "--id", "c", "--shadow")
    assert stage.seen == ["pretend", "send"], "--shadow is for all"


def test_a_question_of_an_agent_goes_to_people_and_the_command_that_goes_on_says_shadow(stage: Desk) -> None:
    waiting = stage.json("run", "rehearsal:asker", "ask", "--id", "a", "--shadow", code=3)
    (item,) = waiting["runs"][0]["waiting"]
    told = stage.run("answer", item["id"], "this one").stdout
    assert "understudy run rehearsal:asker --journal understudy.db --shadow" in told
