"""``understudy run``: tasks come to their end or to a person, whatever happens meanwhile, and what is said of it is true."""

from __future__ import annotations

import shlex

from tests.supervisor.cli import Desk, ended, interrupt

LOOK = {"id": "a", "objective": "look", "inputs": {"n": 1}, "user": "ada", "tags": ["x"], "expect": {"any": "thing"}}
PAY = {"id": "b", "objective": "pay"}
HELLO = {"id": "c", "objective": "hello"}


def test_the_answer_to_a_task_is_printed_alone_on_standard_output(desk: Desk) -> None:
    done = desk.run("run", "team:clerk", "look, please", "--id", "one")
    assert (done.returncode, done.stdout) == (0, "It rains.\n")
    assert desk.run("run", "team:clerk", "look, please", "--id", "one").stdout == "It rains.\n"
    assert desk.seen == ["look"]


def test_a_task_without_an_id_says_how_it_is_called(desk: Desk) -> None:
    done = desk.run("run", "team:clerk", "hello")
    assert done.returncode == 0
    assert "understudy show " in done.stderr
    assert len(desk.json("runs")) == 1


def test_tasks_from_a_file_are_run_and_counted(desk: Desk) -> None:
    said = desk.json("run", "team:team", "--input", desk.lines(LOOK, PAY, HELLO), code=3)
    assert [(line["id"], line["run"], line["status"]) for line in said["runs"]] == [
        ("a", "office/a", "done"),
        ("b", "office/b", "waiting"),
        ("c", "office/c", "done"),
    ]
    assert said["runs"][0]["output"] == "It rains."
    (item,) = said["runs"][1]["waiting"]
    assert (item["kind"], item["tool"]) == ("approval", "pay")
    totals = said["totals"]
    assert (totals["answers"], totals["cost"], totals["unpriced"], totals["retries"], totals["restarts"]) == (
        4,
        0,
        4,
        0,
        0,
    )
    assert totals["would_cost"] > 0
    assert (said["bad_lines"], said["interrupted"], said["exit"]) == ([], False, 3)


def test_people_are_shown_a_table_with_what_waits_for_them(desk: Desk) -> None:
    done = desk.run("run", "team:clerk", "--input", desk.lines(LOOK, PAY))
    assert done.returncode == 3
    for words in (
        "1  done",
        "1  waiting for a person",
        "0  failed",
        "would have cost",
        "retries",
        "restarts",
        'pay(to="ada")',
    ):
        assert words in done.stdout


def test_the_same_command_again_returns_what_is_finished_and_does_nothing_twice(desk: Desk) -> None:
    first = desk.json("run", "team:clerk", "--input", desk.lines(LOOK, HELLO))
    again = desk.json("run", "team:clerk", "--input", desk.lines(LOOK, HELLO))
    assert again["runs"] == first["runs"]
    assert desk.seen == ["look"]


def test_what_an_earlier_process_left_goes_on_although_the_input_does_not_name_it(desk: Desk) -> None:
    with desk.held("run", "team:clerk", "--input", desk.lines(LOOK)) as (process, _):
        process.kill()
        process.wait()
    said = desk.json("run", "team:clerk", "--input", desk.lines(HELLO))
    assert {line["run"]: line["status"] for line in said["runs"]} == {"clerk/a": "done", "clerk/c": "done"}


def test_without_tasks_it_goes_on_with_what_the_journal_holds(desk: Desk) -> None:
    with desk.held("run", "team:clerk", "--input", desk.lines(LOOK)) as (process, _):
        process.kill()
        process.wait()
    said = desk.json("run", "team:clerk")
    assert [(line["run"], line["status"]) for line in said["runs"]] == [("clerk/a", "done")]
    assert desk.seen == ["look", "look"]  # it is a `read`: cut off inside, it runs again


def test_a_run_that_cannot_be_completed_is_no_success(desk: Desk) -> None:
    said = desk.json("run", "team:clerk", "--input", desk.lines({"id": "a", "objective": "fly"}), code=1)
    assert (said["runs"][0]["status"], said["runs"][0]["reason"]) == ("cannot", "that is too hard")


def test_an_id_that_the_journal_knows_with_another_task_is_refused(desk: Desk) -> None:
    desk.json("run", "team:clerk", "--input", desk.lines(LOOK))
    said = desk.json("run", "team:clerk", "--input", desk.lines({"id": "a", "objective": "hello"}), code=2)
    assert said["runs"][0]["status"] == "refused"
    assert "was used for another message" in said["runs"][0]["reason"]


def test_no_more_tasks_at_once_than_were_asked_for(desk: Desk) -> None:
    entries = [{"id": f"t{n}", "objective": "look"} for n in range(4)]
    with desk.held("run", "team:clerk", "--input", desk.lines(*entries), "--at-once", "1") as (process, let_go):
        assert desk.seen == ["look"]
        let_go()
        code, out, err = ended(process)
    assert code == 0, out + err
    assert desk.seen == ["look"] * 4


def test_ctrl_c_drains_and_says_the_very_command_that_goes_on(desk: Desk) -> None:
    words = ["run", "team:clerk", "--input", desk.lines({"id": "a", "objective": "send"}, HELLO), "--journal", "x y.db"]
    with desk.held(*words) as (process, let_go):
        interrupt(process)
        let_go()
        code, out, err = ended(process)
    assert code == 130, out + err
    (line,) = [line.strip() for line in err.splitlines() if line.strip().startswith("understudy run")]
    assert shlex.split(line) == ["understudy", *words]
    said = desk.json(*shlex.split(line)[1:])
    assert {line["status"] for line in said["runs"]} == {"done"}
    assert desk.seen == ["send"]  # what was under way could end, and did not run again


def test_sigterm_drains_too(desk: Desk) -> None:
    with desk.held("run", "team:clerk", "--input", desk.lines({"id": "a", "objective": "send"})) as (process, let_go):
        process.terminate()
        let_go()
        assert ended(process)[0] == 130
    assert desk.json("run", "team:clerk")["runs"][0]["status"] == "done"
    assert desk.seen == ["send"]


def test_a_second_ctrl_c_does_not_wait_for_what_is_under_way_which_is_then_in_doubt(desk: Desk) -> None:
    words = ["run", "team:clerk", "--input", desk.lines({"id": "a", "objective": "send"}), "--drain", "100"]
    with desk.held(*words) as (process, _):
        interrupt(process)
        assert process.stderr is not None
        assert "Ctrl-C again does not wait" in process.stderr.readline()
        interrupt(process)
        code, out, err = ended(process)
    assert code == 130, out + err
    said = desk.json("run", "team:clerk", code=3)
    assert said["runs"][0]["waiting"][0]["kind"] == "in_doubt"
    assert desk.seen == ["send"]
