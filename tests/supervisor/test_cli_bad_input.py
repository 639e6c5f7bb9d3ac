"""What is typed wrong, missing, broken or in use is said in words that help, with an exit code; what was good runs."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.supervisor.cli import Desk, command, environment
from tests.supervisor.journal.process import AS_NOBODY, public_folder

GOOD = {"id": "good", "objective": "hello"}
MILLION = ",".join(f'"{n}":0' for n in range(1_000_000))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": "x", "objective": "hel', "line 2: it is no JSON"),
        ('["x"]', "line 2: it is of the type array; expected the type object"),
        ('{"objective": "hello"}', "line 2, field 'id': it is missing; expected some text"),
        ('{"id": "x"}', "line 2, field 'objective': it is missing; expected some text"),
        ('{"id": 7, "objective": "hello"}', "line 2, field 'id': it is of the type int; expected the type str"),
        ('{"id": "", "objective": "hello"}', "line 2, field 'id': it is empty"),
        ('{"id": "x", "objective": " "}', "line 2, field 'objective': it is empty"),
        ('{"id": "x", "objective": "hello", "inputs": [1]}', "line 2, field 'inputs': it is of the type array; expected the type object"),
        ('{"id": "x", "objective": "hello", "tags": ["a", 1]}', "line 2, field 'tags[1]': it is of the type int"),
        ('{"id": "x", "objective": "hello", "colour": 1}', "line 2, field 'colour': there is no such field; expected id, obj"),
        ('{"id": "x", "objective": "hello", "inputs": {"a": ' + "[" * 100_000, "line 2: it is nested deeper than 100 levels; expected"),
        ('{"id": "x", "objective": "hello", "inputs": {' + MILLION + "}}", "line 2: it is 10,888,936 bytes, more than 500,000"),
    ],
)  # fmt: skip
def test_a_bad_line_is_told_with_number_field_and_what_was_expected_and_the_others_run(
    desk: Desk, line: str, said: str
) -> None:
    done = desk.run("run", "team:clerk", "--input", desk.lines(GOOD, line, GOOD | {"id": "last"}), "--json")
    assert done.returncode == 2
    assert f"tasks.jsonl: {said}" in done.stderr
    assert '"line": 2' in done.stdout
    assert done.stdout.count('"status": "done"') == 2


def test_a_line_that_is_no_utf_8_is_told(desk: Desk) -> None:
    (desk.folder / "tasks.jsonl").write_bytes(b'{"id": "x", "objective": "\xff\xfe"}\n')
    done = desk.run("run", "team:clerk", "--input", "tasks.jsonl")
    assert done.returncode == 2
    assert "line 1: it is no JSON" in done.stderr


def test_a_duplicate_id_names_both_lines_and_the_first_runs(desk: Desk) -> None:
    done = desk.run("run", "team:clerk", "--input", desk.lines(GOOD, "", {"id": "good", "objective": "look"}))
    assert done.returncode == 2
    assert "line 3, field 'id': 'good' is the id of line 1 already" in done.stderr
    assert desk.seen == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run"], "Missing argument 'TARGET'"),
        (["run", "team:clerk", "hello", "--input", "team.py"], "not both"),
        (["run", "team:clerk", "--input", "nowhere.jsonl"], "nowhere.jsonl"),
        (["run", "team:clerk", " "], "the TASK is empty"),
        (["run", "team:clerk", "--id", "x", "--input", "team.py"], "ids of their own"),
        (["run", "team:clerk", "hello", "--id", ""], "the id is empty"),
        (["run", "team:clerk", "hello", "--id", "\udcff"], r"\udcff is no text"),
        (["run", "team:clerk", "hello", "--drain", "nan"], "'nan' is no number of seconds"),
        (["run", "team:clerk"], "there is no journal understudy.db"),
        (["run", "team:clerk", "hello", "--at-once", "0"], "--at-once"),
        (["inbox"], "there is no journal understudy.db"),
        (["show", "x"], "there is no journal understudy.db"),
        (["reject", "1.0"], "--reason"),
        (["settle", "1.0"], "--happened, --not-happened or --run-again"),
        (["settle", "1.0", "--happened", "--not-happened"], "only one of them"),
        (["stop"], "there is no journal understudy.db"),
        (["dance"], "No such command 'dance'"),
    ],
)
def test_what_is_typed_wrong_is_said_and_makes_no_journal(desk: Desk, words: list[str], said: str) -> None:
    done = desk.run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert not list(desk.folder.glob("*.db*"))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("team", "'team' names nothing that can run"),
        ("nowhere:clerk", "there is no module 'nowhere'"),
        ("team:nobody", "what can run there: team:clerk, team:team"),
        ("team:look", "team:look is a SyncTool"),
        ("broken:clerk", "broken could not be imported: KeyError: 'price'\n  at {folder}/broken.py, line 2"),
        ("needy:clerk", "needy could not be imported: ModuleNotFoundError: No module named 'not_there'\n  at {folder}/needy.py, line 1"),
        ("typo:clerk", "typo could not be imported: SyntaxError"),
        ("leaver:clerk", "leaver could not be imported: SystemExit: 3"),
    ],
)  # fmt: skip
def test_a_target_that_cannot_run_is_told_with_its_cause(desk: Desk, target: str, said: str) -> None:
    (desk.folder / "broken.py").write_text("prices = {}\nprint(prices['price'])\n")
    (desk.folder / "needy.py").write_text("import not_there\n")
    (desk.folder / "typo.py").write_text("def (:\n")
    (desk.folder / "leaver.py").write_text("raise SystemExit(3)\n")
    done = desk.run("run", target, "hello")
    assert done.returncode == 2
    assert said.format(folder=desk.folder) in done.stderr
    assert not list(desk.folder.glob("*.db*"))


def test_a_missing_key_names_its_variable_before_anything_runs(desk: Desk) -> None:
    done = desk.run("run", "team:clerk", "hello", "--model", "openai:gpt-5-mini")
    assert done.returncode == 2
    assert "OPENAI_API_KEY" in done.stderr
    assert not list(desk.folder.glob("*.db*"))


def test_a_missing_sdk_names_the_line_that_installs_it(desk: Desk) -> None:
    (desk.folder / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "found = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'openai' else found(name, *rest)\n"
    )
    paths = os.pathsep.join([str(desk.folder), str(Path(__file__).parents[2] / "src")])
    done = desk.run("run", "team:clerk", "hello", "--model", "openai:gpt-5-mini", env={"PYTHONPATH": paths})
    assert done.returncode == 2
    assert "pip install 'understudy[openai]'" in done.stderr


def test_an_unknown_model_provider_is_told(desk: Desk) -> None:
    done = desk.run("run", "team:clerk", "hello", "--model", "acme:x")
    assert done.returncode == 2
    assert "unknown model provider 'acme'" in done.stderr


def test_a_journal_that_another_process_holds_is_refused_and_the_process_named(desk: Desk) -> None:
    with desk.held("run", "team:clerk", "look", "--id", "a") as (process, let_go):
        done = desk.run("run", "team:clerk", "hello")
        assert done.returncode == 4
        assert f"is held by process {process.pid}" in done.stderr
        let_go()
        assert process.wait(30) == 0


def test_a_journal_of_a_newer_version_is_refused_and_untouched(desk: Desk) -> None:
    assert desk.run("run", "team:clerk", "hello", "--id", "a").returncode == 0
    file = desk.folder / "understudy.db"
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = file.read_bytes()
    for words in (["run", "team:clerk", "hello", "--id", "a"], ["inbox"], ["show", "a"], ["approve", "1.0"]):
        done = desk.run(*words)
        assert done.returncode == 4, done.stderr
        assert "has format 99" in done.stderr
    assert file.read_bytes() == before


def test_a_file_that_is_no_journal_is_refused(desk: Desk) -> None:
    (desk.folder / "understudy.db").write_text("dear diary, " * 1_000)
    for words in (["run", "team:clerk", "hello"], ["inbox"]):
        done = desk.run(*words)
        assert done.returncode == 4, done.stderr
    assert (desk.folder / "understudy.db").read_text().startswith("dear diary")


# Everything is imported first: whoever the program becomes may not be able to read the folder that the library is in.
LIMITED = """
import contextlib, importlib, io, os, pkgutil, sys
import anyio, understudy
for package in (understudy, anyio):
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.endswith(("__main__", "_trio", "pytest_plugin")):
            importlib.import_module(found.name)
from understudy.supervisor.cli import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(SystemExit):
    main(["run", "no:target", "hello"])
anyio.run(anyio.sleep, 0)
sys.path.insert(0, os.getcwd())
import team
"""


def _limited(desk: Desk, code: str, *words: str) -> tuple[int, str]:
    program = f"{LIMITED}{code}\nsys.exit(main({list(words)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=desk.folder, env=environment(None), capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_folder_that_cannot_be_written_is_said_so() -> None:
    with public_folder() as folder:
        desk = Desk(folder)
        folder.chmod(0o555)
        code, said = _limited(desk, AS_NOBODY, "run", "team:clerk", "hello")
    assert code == 4, said
    assert "must be writable by this user" in said
    assert "Traceback" not in said


def test_a_full_disk_is_said_so_nothing_is_lost_and_with_room_it_goes_on(desk: Desk) -> None:
    tasks = desk.lines(*({"id": f"t{n}", "objective": "send"} for n in range(40)))
    full = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (160_000, resource.RLIM_INFINITY))"
    code, said = _limited(desk, full, "run", "team:clerk", "--input", tasks)
    assert code == 4, said
    assert "make room on the device" in said
    assert "Traceback" not in said
    done = desk.run("run", "team:clerk", "--input", tasks, "--json")
    assert done.returncode in {0, 3}, done.stdout + done.stderr
    runs = json.loads(done.stdout)["runs"]
    doubts = [item["kind"] for line in runs for item in line.get("waiting", ())]
    assert len(runs) == 40
    assert set(doubts) <= {"in_doubt"}
    assert [line["status"] for line in runs].count("done") == 40 - len(doubts)
    assert 40 - len(doubts) <= len(desk.seen) <= 40  # no letter was sent twice


def test_errors_are_json_where_json_was_asked_for(desk: Desk) -> None:
    said = desk.json("show", "x", code=2)
    assert said["exit"] == 2
    assert "there is no journal" in said["error"]["message"]


@pytest.mark.parametrize("words", [["runs"], ["runs", "--json"], ["run", "team:clerk", "hello", "--id", "a"]])
def test_output_that_cannot_be_written_is_said_so(desk: Desk, words: list[str]) -> None:
    assert desk.run("run", "team:clerk", "hello", "--id", "a").returncode == 0
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command(words), cwd=desk.folder, env=environment(None), stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (
        1,
        b"understudy: the output cannot be written: No space left on device\n",
    )
