"""The inbox from the command line: over the owner's socket while a process owns the journal, on the file when none does."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.supervisor.cli import Desk, ended, environment
from understudy.supervisor.journal.reader import read_only

LOOK = {"id": "look", "objective": "look"}
PAY = {"id": "pay", "objective": "pay"}


@pytest.fixture
def asked(desk: Desk) -> str:
    """A journal that nobody owns, with an approval in it; the item's id."""
    said = desk.json("run", "team:clerk", "--input", desk.lines(PAY), code=3)
    item: str = said["runs"][0]["waiting"][0]["id"]
    return item


@pytest.fixture
def doubtful(desk: Desk) -> str:
    """A journal that nobody owns, with a call in doubt in it; the item's id."""
    with desk.held("run", "team:clerk", "send", "--id", "send") as (process, _):
        process.kill()
        process.wait()
    said = desk.json("run", "team:clerk", code=3)
    item: str = said["runs"][0]["waiting"][0]["id"]
    return item


def test_the_inbox_shows_what_waits_and_how_to_answer(desk: Desk, asked: str) -> None:
    done = desk.run("inbox")
    assert done.returncode == 0
    for words in (asked, "approval", 'pay(to="ada")', f"understudy approve {asked} --journal understudy.db"):
        assert words in done.stdout


def test_an_approval_on_the_file_takes_effect_when_the_team_runs_next(desk: Desk, asked: str) -> None:
    done = desk.run("approve", asked, "--by", "eve", "--reason", "fine")
    assert done.returncode == 0
    assert "understudy run team:clerk --journal understudy.db" in done.stdout
    assert desk.json("inbox") == []
    assert desk.seen == []
    said = desk.json("run", "team:clerk")
    assert said["runs"][0]["output"] == "It is paid."
    assert desk.seen == ["pay"]
    assert f"eve answers {asked}: approve: fine" in desk.run("show", "pay").stdout


def test_a_rejection_is_told_to_the_agent_and_nothing_is_done(desk: Desk, asked: str) -> None:
    assert desk.run("reject", asked, "--reason", "too much").returncode == 0
    assert desk.json("run", "team:clerk")["runs"][0]["status"] == "done"
    assert desk.seen == []
    assert "said no: too much" in desk.run("show", "pay").stdout


def test_the_first_answer_counts(desk: Desk, asked: str) -> None:
    assert desk.run("approve", asked).returncode == 0
    late = desk.run("reject", asked, "--reason", "no")
    assert late.returncode == 2
    assert f"nothing with the id '{asked}' waits for an answer" in late.stderr


def test_several_items_are_approved_at_once_or_none(desk: Desk, asked: str) -> None:
    done = desk.run("approve", asked, "99.0")
    assert done.returncode == 2
    assert "99.0" in done.stderr
    assert [item["id"] for item in desk.json("inbox")] == [asked]


def test_a_yes_or_no_does_not_settle_a_doubt_and_says_what_does(desk: Desk, doubtful: str) -> None:
    for words in (["approve", doubtful], ["reject", doubtful, "--reason", "no"]):
        done = desk.run(*words)
        assert done.returncode == 2
        assert f"understudy settle {doubtful} --happened" in done.stderr
    assert desk.run("settle", "99.0", "--happened").returncode == 2


@pytest.mark.parametrize(
    ("answer", "seen", "output"),
    [
        (["--happened", "--result", "sent"], 1, "It is sent."),
        (["--not-happened"], 1, "It is sent."),  # the rules do not look at what came of it
        (["--run-again"], 2, "It is sent."),
    ],
)
def test_a_doubt_is_settled_by_a_person(desk: Desk, doubtful: str, answer: list[str], seen: int, output: str) -> None:
    assert desk.run("settle", doubtful, *answer).returncode == 0
    assert desk.json("run", "team:clerk")["runs"][0]["output"] == output
    assert desk.seen == ["send"] * seen


def test_an_escalation_is_answered_with_the_result(desk: Desk) -> None:
    said = desk.json("run", "team:team", "--input", desk.lines({"id": "x", "objective": "fly"}), code=3)
    (item,) = said["runs"][0]["waiting"]
    assert item["kind"] == "escalation"
    assert desk.run("settle", item["id"], "--happened").returncode == 2
    assert desk.run("answer", item["id"], '{"by": "train"}').returncode == 0
    assert desk.json("run", "team:team")["runs"][0]["output"] == {"by": "train"}


def test_an_answer_on_the_file_leaves_a_clean_journal_clean_and_a_dead_owners_unclean(desk: Desk, asked: str) -> None:
    def clean() -> str:
        with read_only(desk.folder / "understudy.db") as reader:
            return reader.meta()["clean"]

    assert clean() == "1"
    assert desk.run("approve", asked).returncode == 0
    assert clean() == "1"
    with desk.held("run", "team:clerk", "--input", desk.lines(PAY | {"id": "two"}, LOOK)) as (process, _):
        items: list[str] = []
        while not items:  # its turn may come after the look's
            items = [item["id"] for item in desk.json("inbox")]
        process.kill()
        process.wait()
    assert clean() == "0"
    assert desk.run("approve", *items).returncode == 0
    assert clean() == "0"


def test_a_run_that_was_answered_on_the_file_replays_equal(desk: Desk, asked: str) -> None:
    assert desk.run("approve", asked).returncode == 0
    assert desk.run("run", "team:clerk").returncode == 0
    done = desk.run("replay", "pay")
    assert (done.returncode, done.stdout) == (0, "clerk/pay: equal, 4 turns of 1 actors\n"), done.stderr


def test_a_replay_names_the_first_turn_that_the_code_decides_differently(desk: Desk) -> None:
    assert desk.run("run", "team:clerk", "look", "--id", "a").returncode == 0
    file = desk.folder / "team.py"
    file.write_text(file.read_text().replace("Looks, sends, pays.", "Looks, sends, pays, sings."))
    done = desk.run("replay", "a")
    assert done.returncode == 1
    assert "clerk/a: row 2 (clerk/a, its row 1) differs in 'effects'" in done.stdout


def test_while_a_process_owns_the_journal_people_speak_to_it(desk: Desk) -> None:
    with desk.held("run", "team:clerk", "--input", desk.lines(PAY, LOOK), "--json") as (process, let_go):
        items: list[str] = []
        while not items:  # its turn may come after the look's
            items = [entry["id"] for entry in desk.json("inbox")]
        (item,) = items
        shown = desk.json("show", "clerk/pay")
        assert shown["status"] == "waiting"
        assert shown["waiting"][0]["id"] == item
        let_go()
        answered = desk.json("approve", item, "--by", "eve")
        code, out, err = ended(process)
    assert code in {0, 3}, out + err
    assert answered["by"] == "eve"
    said = json.loads(out)
    if answered["owner"]:  # else the run had come to its end before the answer
        assert {line["status"] for line in said["runs"]} == {"done"}
        assert sorted(desk.seen) == ["look", "pay"]


def test_a_refusal_comes_back_over_the_socket_as_it_is(desk: Desk) -> None:
    with desk.held("run", "team:clerk", "look", "--id", "a") as (process, let_go):
        done = desk.run("approve", "99.0")
        assert done.returncode == 2
        assert "nothing with the id '99.0' waits for an answer" in done.stderr
        let_go()
        assert process.wait(30) == 0


def test_stop_drains_the_process_that_owns_the_journal(desk: Desk) -> None:
    with desk.held("run", "team:clerk", "--input", desk.lines({"id": "a", "objective": "send"})) as (process, let_go):
        with desk.running("stop") as stop:
            assert process.stderr is not None
            assert "stopping" in process.stderr.readline()
            let_go()
            code, out, _ = ended(stop)
        assert (code, out) == (0, f"process {process.pid} has drained\n")
        assert process.wait(30) == 130
    assert desk.json("run", "team:clerk")["runs"][0]["status"] == "done"
    assert desk.seen == ["send"]


def test_there_is_nothing_to_stop_where_nobody_owns_the_journal(desk: Desk, asked: str) -> None:
    done = desk.run("stop")
    assert done.returncode == 2
    assert "no process that takes commands owns understudy.db" in done.stderr


def test_a_served_team_takes_work_until_it_is_stopped(desk: Desk) -> None:
    with desk.running("serve", "team:clerk") as process:
        assert process.stderr is not None
        assert "serving team:clerk" in process.stderr.readline()
        assert desk.json("submit", "clerk", "look", "--id", "a") == {"run": "clerk/a"}
        assert desk.json("submit", "clerk", "look", "--id", "a") == {"run": "clerk/a"}
        other = desk.run("submit", "clerk", "hello", "--id", "a")
        assert other.returncode == 2
        assert "was used for another message" in other.stderr
        nobody = desk.run("submit", "nobody", "hello")
        assert nobody.returncode == 2
        assert "no agent and no supervisor 'nobody' runs here" in nobody.stderr
        while desk.json("show", "a")["status"] != "done":
            pass
        process.terminate()
        code, out, err = ended(process)
    assert (code, out) == (0, ""), err
    assert desk.seen == ["look"]


def test_show_finds_a_run_by_its_end_and_says_where_two_fit(desk: Desk) -> None:
    assert desk.run("run", "team:clerk", "hello", "--id", "a").returncode == 0
    assert desk.run("run", "team:team", "hello", "--id", "a").returncode == 0
    done = desk.run("show", "a")
    assert done.returncode == 2
    assert "clerk/a, office/a" in done.stderr
    assert desk.json("show", "office/a")["run"] == "office/a"
    assert desk.run("show", "b").returncode == 2


def test_show_tells_the_story_of_a_run(desk: Desk, doubtful: str) -> None:
    assert desk.run("settle", doubtful, "--happened", "--by", "eve").returncode == 0
    assert desk.run("run", "team:clerk").returncode == 0
    told = desk.run("show", "send").stdout
    for words in (
        'send(to="ada")  [once]',
        "died",
        "is in doubt",
        f"eve answers {doubtful}: happened",
        "It is sent.",
        "processes: 3",
    ):
        assert words in told
    lines = desk.json("show", "send")["lines"]
    assert lines == sorted(lines, key=lambda line: line["gid"])


def test_a_run_that_another_target_left_is_named_and_waits_for_that_one(desk: Desk, asked: str) -> None:
    (desk.folder / "other.py").write_text((desk.folder / "team.py").read_text().replace('"clerk"', '"porter"'))
    done = desk.run("run", "other:clerk", "hello", "--id", "x")
    assert (done.returncode, done.stdout.splitlines()[0]) == (3, "Hello.")
    for words in (
        "1 unfinished run is not of other:clerk",
        "clerk/pay",
        "understudy run team:clerk --journal understudy.db",
    ):
        assert words in done.stderr
    assert desk.json("run", "other:clerk", code=3)["strays"] == ["clerk/pay"]
    answered = desk.run("approve", asked)
    assert "understudy run team:clerk --journal understudy.db" in answered.stdout
    assert desk.run("run", "other:clerk").returncode == 3
    assert desk.json("run", "team:clerk")["runs"][0]["status"] == "done"
    assert desk.run("run", "other:clerk").returncode == 0


def test_an_answer_names_the_target_that_made_its_run_after_another_answer_too(desk: Desk) -> None:
    entries = desk.lines(PAY, PAY | {"id": "two"})
    said = desk.json("run", "team:clerk", "--input", entries, code=3)
    (desk.folder / "other.py").write_text((desk.folder / "team.py").read_text().replace('"clerk"', '"porter"'))
    assert desk.run("run", "other:clerk", "hello").returncode == 3
    for line in said["runs"]:
        assert "understudy run team:clerk --" in desk.run("approve", line["waiting"][0]["id"]).stdout


def test_a_run_is_found_by_the_id_it_was_given_whatever_stands_in_it(desk: Desk) -> None:
    for id in ("a/b", "a b", "a\nb"):
        said = desk.run("run", "team:clerk", "hello", "--id", id)
        assert said.returncode == 0
        address = desk.json("show", id)["run"]
        assert f"(run {address};" in said.stderr
        assert desk.json("show", f"clerk/{id}")["run"] == address
        assert desk.json("replay", id)["run"] == address


def test_a_replay_of_what_a_program_made_says_how_the_target_is_named(desk: Desk) -> None:
    program = "import understudy as us; from team import clerk; us.run(clerk, 'hello', id='x')"
    subprocess.run([sys.executable, "-c", program], cwd=desk.folder, env=environment(None), check=True)
    done = desk.run("replay", "x")
    assert done.returncode == 2
    assert "understudy.db does not name what made clerk/x" in done.stderr
    assert "--target module:name" in done.stderr
    assert desk.run("replay", "x", "--target", "team:clerk").returncode == 0
