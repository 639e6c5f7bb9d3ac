"""Escalations from the command line, on a journal that nobody owns and while a process owns it; and through kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import understudy as us
from tests.actors.crew import Actor, Add, Break, nobody_settles
from understudy.protocols.failures import Failure
from understudy.supervisor.cli.entry import run as command
from understudy.supervisor.journal.reader import read_only

PROGRAM = """
import understudy as us
from understudy.protocols.failures import Failure

EVIL = "no \\x1b[31mred\\x07 [bold]network[/bold]"

clerk = us.Agent(
    "clerk",
    "Answer.",
    model=us.Scripted(Failure("abandon", "down", EVIL), repeat=True),
    output=int,
    people=us.People(ask=("ada", "bob"), remind=0.2, next_after=0.5, deadline=2.0),
)
patient = us.Agent("patient", "Answer.", model=us.Scripted(Failure("abandon", "down", EVIL), repeat=True), output=int)
"""

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command in a folder of its own, and gives its exit code, output and messages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "stuck_program", raising=False)
    (tmp_path / "stuck_program.py").write_text(PROGRAM)

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = command(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def item(cli: Cli) -> str:
    """The id of an escalation in a journal that nobody owns."""
    code, out, _ = cli("run", "stuck_program:patient", "How many?", "--id", "a", "--json")
    assert code == 3
    found: str = json.loads(out)["runs"][0]["waiting"][0]["id"]
    return found


def test_an_item_is_shown_with_all_that_led_to_it_and_the_commands_that_answer_it(cli: Cli, item: str) -> None:
    code, out, _ = cli("show", item)
    assert code == 0
    for words in (
        "How many?",
        "Cost so far",
        "What went wrong, the first failure first",
        "1. down",
        "Known and not known",
        "A result is JSON of this schema",
        "Where it stands",
        f"understudy answer {item} --retry --journal understudy.db",
        f"understudy answer {item} --result '…' --journal understudy.db",
        f"understudy answer {item} --stop --reason '…' --journal understudy.db",
    ):
        assert words in out
    whole = json.loads(cli("show", item, "--json")[1])
    assert whole["item"]["answers"] == ["retry", "change", "result", "stop"]
    assert whole["chain"][0]["code"] == "down"
    assert whole["task"]["objective"] == "How many?"


def test_nothing_of_a_strangers_text_reaches_the_terminal_as_a_command(cli: Cli, item: str) -> None:
    for words in (("show", item), ("inbox",)):
        _, out, _ = cli(*words)
        assert "\x1b" not in out
        assert "\x07" not in out
        assert "\\x1b[31mred" in out
        assert "[bold]network[/bold]" in out


def test_a_result_of_another_type_is_refused_on_the_file_too_and_stays_open(cli: Cli, item: str) -> None:
    code, _, err = cli("answer", item, "--result", '"many"')
    assert code == 2
    assert "does not fit: Expected `int`, got `str`" in err
    assert [one["id"] for one in json.loads(cli("inbox", "--json")[1])] == [item]
    assert cli("answer", item, "--result", "3", "--by", "eve")[0] == 0
    code, out, _ = cli("run", "stuck_program:patient", "--json")
    assert (code, json.loads(out)["runs"][0]["output"]) == (0, 3)


def test_whoever_comes_second_is_told_who_was_first(cli: Cli, item: str) -> None:
    assert cli("answer", item, "--stop", "--reason", "enough", "--by", "eve")[0] == 0
    code, _, err = cli("answer", item, "--retry")
    assert code == 2
    assert "it was answered before, stop, by eve (enough)" in err
    assert cli("run", "stuck_program:patient", "--json")[0] == 1
    code, _, err = cli("answer", item, "--retry")
    assert code == 2
    assert "stop, by eve" in err
    code, _, err = cli("show", item)
    assert code == 2
    assert "waits for no answer any more: stop, by eve (enough)" in err


@pytest.mark.parametrize(
    "words",
    [(), ("--retry", "--skip"), ("7", "--retry"), ("--stop",), ("--result", "1", "--change", "{}")],
    ids=["none", "two", "a value and a way", "stop without a reason", "two values"],
)
def test_not_exactly_one_answer_is_bad_usage(cli: Cli, item: str, words: tuple[str, ...]) -> None:
    assert cli("answer", item, *words)[0] == 2
    assert [one["id"] for one in json.loads(cli("inbox", "--json")[1])] == [item]


@pytest.mark.parametrize("words", [("--skip",), ("--replace", "bob")])
def test_an_answer_that_the_item_does_not_take_is_refused_with_those_that_it_takes(
    cli: Cli, item: str, words: tuple[str, ...]
) -> None:
    code, _, err = cli("answer", item, *words)
    assert code == 2
    assert "it takes: retry, change, result, stop" in err


def test_the_task_may_be_changed_from_a_file(cli: Cli, item: str, tmp_path: Path) -> None:
    (tmp_path / "task.json").write_text('{"objective": "How many in all?"}')
    assert cli("answer", item, "--edit", "task.json")[0] == 0
    assert cli("run", "stuck_program:patient", "--json")[0] == 3
    assert "How many in all?" in cli("show", "a")[1]


def test_the_inbox_is_paged_oldest_first_and_read_for_one_person(cli: Cli) -> None:
    tasks = "".join(json.dumps({"id": f"t{n}", "objective": "How many?"}) + "\n" for n in range(60))
    Path("tasks.jsonl").write_text(tasks)
    cli("run", "stuck_program:patient", "--input", "tasks.jsonl", "--json")
    everything = [one["id"] for one in json.loads(cli("inbox", "--json")[1])]
    assert len(everything) == 60
    first = [one["id"] for one in json.loads(cli("inbox", "--json", "--limit", "20")[1])]
    rest = [one["id"] for one in json.loads(cli("inbox", "--json", "--after", first[-1])[1])]
    assert first + rest == everything
    _, out, _ = cli("inbox")
    assert f"10 more: understudy inbox --after {everything[49]}" in out
    assert cli("inbox", "--after", "x")[0] == 2
    assert len(json.loads(cli("inbox", "--json", "--for", "ada")[1])) == 60, "asked of nobody in particular"


def _rows(path: Path, kind: str) -> list[Any]:
    with read_only(path) as reader:
        return [json.loads(bytes(row.payload)) for row in reader.rows(limit=10_000) if row.kind == kind]


def _until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_reminder_next_person_and_default_come_with_nobody_connected_and_once_through_kill_9(
    cli: Cli, tmp_path: Path
) -> None:
    """A daemon without a client, killed in the middle of an escalation and started again: ada, bob, the deadline; each once."""
    path = tmp_path / "understudy.db"
    words = [sys.executable, "-m", "understudy", "serve", "stuck_program:clerk"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def begun() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            words, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    process = begun()
    try:
        _until(lambda: path.exists() and path.with_name("understudy.db-sock").exists())
        assert cli("submit", "clerk", "How many?", "--id", "a")[0] == 0
        _until(lambda: any("addressed" in str(row) for row in _rows(path, "attempt")))
        process.send_signal(signal.SIGKILL)
        process.wait()
        before = len(_rows(path, "attempt"))
        process = begun()
        _until(lambda: len(_rows(path, "accepted")) > 0 and any("answer" in row for row in _rows(path, "accepted")))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process = begun()
        _until(lambda: "nobody answered in time" in cli("show", "a")[1])
    finally:
        process.kill()
        process.wait()
    said = [row["answer"] for row in _rows(path, "accepted") if "answer" in row]
    assert [(one["decision"], one["by"]) for one in said] == [("stop", "the deadline")]
    assert len(_rows(path, "attempt")) >= before


async def test_a_running_system_says_who_was_first_and_refuses_what_does_not_fit(tmp_path: Path) -> None:
    down = us.Scripted(Failure("abandon", "down", "no network"), repeat=True)
    clerk = us.Agent("clerk", "Answer.", model=down, output=int)
    async with us.System(clerk, journal=tmp_path / "a.db") as system:
        (item,) = (await system.run(clerk, "How many?", id="a", timeout=20)).waiting
        with pytest.raises(Exception, match="Expected `int`, got `str`"):
            await system.answer(item.id, "result", value="x")
        assert system.inbox() == (item,)
        await system.answer(item.id, "result", value=3, by="eve")
        assert (await system.run(clerk, "How many?", id="a", timeout=20)).output == 3
        with pytest.raises(Exception, match=r"was answered before: result, by eve"):
            await system.answer(item.id, "retry")


async def test_a_child_that_was_given_up_below_two_supervisors_is_shown_with_what_each_decided(
    cli: Cli, tmp_path: Path
) -> None:
    path = tmp_path / "understudy.db"
    inner = us.Supervisor("inner", [us.Child("a/{name}", Actor, tools=[nobody_settles])])
    outer = us.Supervisor("outer", [inner], people=us.People(ask=("ada",)))
    async with us.System(outer, journal=path) as system:
        for _ in range(4):
            with pytest.raises(us.AskFailed):
                await system.ask("a/ada", Break("raise"), timeout=20)
        await system.rest()
        (item,) = system.inbox()
    assert (item.about, item.to, item.answers) == ("a/ada", "ada", ("retry", "change", "skip", "stop"))
    code, out, _ = cli("show", item.id)
    assert code == 0
    for words in ("asked: ada since", "About", "1. crashed", "2. budget_exhausted (inner)", "gives up on", "restarts"):
        assert words in out
    code, _, err = cli("answer", item.id, "--change", '{"how": 7}')
    assert code == 2
    assert "journal names no program" in err
    assert cli("answer", item.id, "--skip", "--by", "eve", "--reason", "of no use")[0] == 0
    dropped = json.loads(cli("parked", "list", "--json")[1])
    assert item.message not in [one["item"] for one in dropped]
    async with us.System(outer, journal=path) as system:
        await system.rest()
        assert system.inbox() == ()
        assert await system.ask("a/ada", Add(1), timeout=20) == 1
    assert (
        "eve (who was not asked) answers" in cli("show", item.run)[1] or "eve decides about" in cli("show", item.run)[1]
    )
