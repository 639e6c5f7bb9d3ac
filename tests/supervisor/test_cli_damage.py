"""A journal in which bits have flipped: whoever looks is told what cannot be read, and never sees a traceback."""

from __future__ import annotations

import random
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.supervisor.cli import Desk
from understudy.protocols.errors import JournalError
from understudy.supervisor.cli.entry import run
from understudy.supervisor.journal.connect import uri

LOOKS = (["show", "a"], ["show", "a", "--json"], ["replay", "a"], ["runs"], ["inbox"], ["journal", "stats"])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A journal with a run that is done and one that waits for a person."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    assert desk.run("run", "team:team", "look", "--id", "a").returncode == 0
    assert desk.run("run", "team:team", "pay", "--id", "b").returncode == 3
    file = sqlite3.connect(desk.folder / "understudy.db")
    file.execute("PRAGMA journal_mode = DELETE")
    file.close()
    return (desk.folder / "understudy.db").read_bytes()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the team in it, where the commands look."""
    Desk(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path / "understudy.db"


def payloads(file: Path) -> dict[int, bytes]:
    """What the run's rows hold, by gid."""
    connection = sqlite3.connect(file)
    lines = connection.execute(
        "SELECT gid, CAST(payload AS BLOB) FROM rows JOIN streams s ON s.id = stream WHERE s.run = 'office/a'"
        " OR s.run LIKE '%/a'"
    ).fetchall()
    connection.close()
    return dict(lines)


def test_no_flipped_bit_in_a_run_comes_out_as_a_traceback_and_its_row_is_named(
    whole: bytes, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here.write_bytes(whole)
    rows = payloads(here)
    dice = random.Random(8)
    assert len(rows) > 3
    for look in LOOKS:
        assert run(look) == 0, look
    for _ in range(60):
        gid, payload = dice.choice(sorted(rows.items()))
        damaged = bytearray(payload)
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
        here.write_bytes(whole.replace(payload, bytes(damaged)))
        for look in LOOKS:
            capsys.readouterr()
            code = run(look)  # raises what would be a traceback
            said = "".join(capsys.readouterr())
            if look[0] in ("show", "replay"):
                assert (code, f"row {gid} " in said, "understudy journal verify" in said) == (4, True, True), said
            else:
                assert code in (0, 4), said


def test_no_flipped_bit_anywhere_in_the_file_comes_out_as_a_traceback(whole: bytes, here: Path) -> None:
    dice = random.Random(9)
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[dice.randrange(len(damaged))] ^= 1 << dice.randrange(8)
        here.write_bytes(damaged)
        for look in LOOKS:
            run(look)


@pytest.mark.parametrize("words", ["journal export", "journal verify --json", "runs", "show a"])
def test_a_closed_output_cannot_be_written_and_takes_nobody_elses_place(whole: bytes, here: Path, words: str) -> None:
    here.write_bytes(whole)
    line = f"{shlex.quote(sys.executable)} -m understudy {words} >&-"
    done = subprocess.run(line, shell=True, cwd=here.parent, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, "understudy: the output cannot be written: Bad file descriptor\n")
    assert here.read_bytes() == whole


@pytest.mark.parametrize("place", ["nowhere/rows.jsonl", "understudy.db/rows.jsonl"])
def test_an_export_into_no_folder_is_an_output_that_cannot_be_written(
    whole: bytes, here: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    here.write_bytes(whole)
    with capsys.disabled():
        done = Desk(here.parent).run("journal", "export", "-o", place)
    assert done.returncode == 1
    assert "the output cannot be written" in done.stderr
    assert place in done.stderr
    assert "Traceback" not in done.stderr


def test_a_head_that_is_no_file_is_told(whole: bytes, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here.write_bytes(whole)
    here.with_name(here.name + "-head").mkdir()
    for words in (["journal", "verify"], ["run", "team:team"]):
        assert run(words) == 4
        assert "-head cannot be read" in capsys.readouterr().err


def test_a_journal_that_cannot_be_reached_and_one_without_a_name_are_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for look in LOOKS:
        assert run([*look, "-j", "x" * 300 + ".db"]) == 4
        assert run([*look, "-j", "\udcff.db"]) == 2
        assert "Traceback" not in capsys.readouterr().err
    with pytest.raises(JournalError, match="UTF-8"):
        uri(Path("\udcff.db"), "ro")
