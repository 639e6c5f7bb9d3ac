"""``understudy journal``, as people and programs use it: beside an owner, without one, and on damage."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.supervisor.cli import Desk, until
from understudy.supervisor.cli.progress import progress

RICH = Path(__file__).parents[1] / "golden" / "format-1.journal"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A folder with a team, and a journal of every kind of row."""
    shutil.copyfile(RICH, tmp_path / "understudy.db")
    return Desk(tmp_path)


def damage(desk: Desk, sql: str) -> None:
    """Change the file behind its back."""
    file = sqlite3.connect(desk.folder / "understudy.db")
    file.execute(sql)
    file.commit()
    file.close()


def test_verify_says_that_a_journal_is_whole(desk: Desk) -> None:
    done = desk.run("journal", "verify")
    assert done.returncode == 0
    assert "is whole: 46 rows, 6 of them erased, 14 actors, 5 open items, 10 keys" in done.stdout
    found = desk.json("journal", "verify")
    assert (found["whole"], found["audit"]["rows"], found["exit"]) == (True, 46, 0)


def test_verify_names_the_first_bad_row_and_fails(desk: Desk) -> None:
    damage(desk, "UPDATE rows SET payload = replace(payload, 'Oslo', 'Rome') WHERE gid = 4")
    done = desk.run("journal", "verify")
    assert done.returncode == 4
    assert "row 4 is the first bad one, 3 before it are whole" in done.stdout
    found = desk.json("journal", "verify", code=4)
    assert (found["whole"], found["audit"]["bad"]) == (False, 4)


def test_verify_names_what_is_not_as_the_rows_say(desk: Desk) -> None:
    damage(desk, "DELETE FROM timers WHERE id = '45.0'")
    done = desk.run("journal", "verify")
    assert done.returncode == 4
    assert "timers 45.0: the rows say that it is open" in done.stdout


def test_a_backup_is_made_beside_the_process_that_owns_the_journal(desk: Desk) -> None:
    (desk.folder / "understudy.db").unlink()
    with desk.held("run", "team:team", "look", "--id", "a") as (process, let_go):
        until(lambda: "look" in desk.seen, process)
        assert desk.json("journal", "verify")["whole"]
        made = desk.json("journal", "backup", "copy.db")
        assert made["rows"] > 2
        assert desk.json("journal", "stats")["epoch"] == 1
        let_go()
        process.wait(30)
    assert desk.run("journal", "backup", "copy.db").returncode == 2, "it is there already"
    assert desk.json("journal", "backup", "copy.db", "--force")["rows"] > made["rows"]
    again = desk.json("run", "team:team", "look", "--id", "a", "-j", "copy.db")
    assert again["runs"][0]["output"] == "It rains."
    assert desk.seen == ["look"]


def test_export_gives_each_row_as_a_line_of_json(desk: Desk) -> None:
    lines = [json.loads(line) for line in desk.run("journal", "export").stdout.split("\n")[:-1]]
    assert [line["gid"] for line in lines] == list(range(1, 47))
    assert lines[24]["payload"]["message"]["body"] == {"amount": 5}
    assert lines[7]["erased"] is True
    assert "payload" not in lines[7]
    one = desk.run("journal", "export", "--run", "accounts/bob").stdout.splitlines()
    assert [json.loads(line)["gid"] for line in one] == [33, 34]
    below = desk.run("journal", "export", "--run", "troupe/paid").stdout.splitlines()
    assert {json.loads(line)["stream"] for line in below} == {"troupe/paid", "troupe/paid/clerk"}


def test_export_into_a_file_is_whole_or_not_there_and_replaces_nothing_unasked(desk: Desk) -> None:
    assert desk.json("journal", "export", "-o", "rows.jsonl")["rows"] == 46
    assert len((desk.folder / "rows.jsonl").read_bytes().splitlines()) == 46
    assert desk.run("journal", "export", "-o", "rows.jsonl").returncode == 2
    assert desk.run("journal", "export", "-o", "rows.jsonl", "--force").returncode == 0
    assert desk.run("journal", "export", "--json").returncode == 2
    damage(desk, "UPDATE rows SET payload = NULL WHERE gid = 40")
    assert desk.run("journal", "export", "-o", "more.jsonl").returncode == 4
    assert not (desk.folder / "more.jsonl").exists()
    assert not list(desk.folder.glob("*.partial"))


@pytest.mark.parametrize("command", ["backup {} --force", "backup {}", "export -o {} --force", "retain --archive {}"])
def test_nothing_is_written_over_a_journal_or_what_belongs_to_it_under_any_name(desk: Desk, command: str) -> None:
    made = desk.folder / "understudy.db"
    for suffix in ("-head", "-lock"):
        made.with_name(made.name + suffix).write_text(suffix)
    (desk.folder / "hard").hardlink_to(desk.folder / "understudy.db-head")
    before = {path.name: path.read_bytes() for path in desk.folder.iterdir() if path.is_file()}
    for name in ("understudy.db", "understudy.db-wal", "hard"):
        done = desk.run("journal", *command.format(name).split())
        assert (done.returncode, "understudy.db" in done.stderr) == (2, True), (name, done.stdout, done.stderr)
        after = {path.name: path.read_bytes() for path in desk.folder.iterdir() if path.is_file()}
        assert after == before, name


def test_a_backup_whose_own_head_would_be_the_journal_is_refused(desk: Desk) -> None:
    (desk.folder / "understudy.db").rename(desk.folder / "copy.db-head")
    done = desk.run("journal", "backup", "copy.db", "-j", "copy.db-head")
    assert done.returncode == 2
    assert "would need copy.db-head, and that is the journal itself" in done.stderr


def test_export_of_nobody_is_refused(desk: Desk) -> None:
    done = desk.run("journal", "export", "--run", "nobody")
    assert done.returncode == 2
    assert "nobody is at or below" in done.stderr


def test_stats_count_what_is_there(desk: Desk) -> None:
    found = desk.json("journal", "stats")
    counted = ("format", "rows", "erased", "actors", "runs", "unfinished", "mail", "effects", "timers", "waiting")
    assert [found[name] for name in counted] == [1, 46, 6, 13, 7, 3, 1, 2, 2, 2]
    assert sum(kind["rows"] for kind in found["kinds"]) == 46
    assert found["biggest"][0]["actor"] == "troupe/paid/clerk"
    assert found["file"] == (desk.folder / "understudy.db").stat().st_size
    shown = desk.run("journal", "stats").stdout
    assert "46 over 0.0 days" in shown
    assert "owned by nobody" in shown


@pytest.mark.parametrize("command", ["verify", "stats", "export", "backup copy.db"])
def test_a_journal_that_is_not_there_is_not_made(tmp_path: Path, command: str) -> None:
    desk = Desk(tmp_path)
    done = desk.run("journal", *command.split())
    assert done.returncode == 2
    assert "there is no journal" in done.stderr
    assert not (tmp_path / "understudy.db").exists()


def test_without_a_terminal_progress_is_a_line_now_and_then_and_nothing_where_it_is_unwanted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for quiet in (False, True):
        with progress(quiet=quiet, clock=map(float, range(99)).__next__) as tell:
            for second in range(12):
                tell("chain", second * 1_000, 12_000)
    assert capsys.readouterr().err.splitlines() == [
        "understudy: chain: 4,000 of 12,000",
        "understudy: chain: 9,000 of 12,000",
    ]


def test_runs_of_plain_actors_are_listed_with_their_answers(desk: Desk) -> None:
    lines = {line["run"]: line for line in desk.json("runs")}
    assert (lines["accounts/bob"]["status"], lines["accounts/bob"]["output"]) == ("done", 0)


def test_what_retention_erased_is_said_to_be_erased_everywhere_and_is_not_done_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.json("run", "team:team", "look", "--id", "a")
    desk.json("run", "team:team", "pay", "--id", "b", code=3)
    done = desk.json("journal", "retain", "--days", "0", "--archive", "archive.db")
    assert (done["retained"]["runs"], done["archive"]["rows"] > 5) == (1, True)
    assert desk.json("journal", "verify")["whole"]
    assert desk.json("show", "a")["status"] == "erased"
    assert "erased by retention" in desk.run("show", "a").stdout
    assert {line["id"]: line["status"] for line in desk.json("runs")} == {"a": "erased", "b": "waiting"}
    assert desk.run("replay", "a").returncode == 2
    assert "erased by retention" in desk.run("replay", "a").stderr
    assert desk.json("replay", "a", "-j", "archive.db")["equal"]
    assert desk.json("replay", "b")["equal"], "an open run is as it was"
    again = desk.json("run", "team:team", "look", "--id", "a", code=1)
    assert desk.seen == ["look"], "its key is kept: nothing is done twice"
    assert {line["id"]: line["status"] for line in again["runs"]} == {"a": "erased", "b": "waiting"}
    assert desk.json("journal", "verify")["whole"]
