"""Texts of models, tools, strangers and people, as commands print them: nothing of them reaches the terminal as an order."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.supervisor.cli.entry import run as command
from understudy.supervisor.cli.plain import plain, plain_json

EVIL = "\x1b[31mred\x07 \x1b]0;title\x07 \x9b2J \u202egnorw [bold]x[/bold] \x7f"
ORDERS = ("\x1b", "\x07", "\x9b", "\u202e", "\x7f", "\r")

PROGRAM = """
import understudy as us
from understudy.protocols.failures import Failure

EVIL = THE_TEXT

def fetch(task: us.Task) -> str:
    '''Fetch.'''
    if "fail" in task.objective:
        raise ValueError(EVIL)
    return EVIL

class Falls:
    name = "falls"
    async def complete(self, request, on_delta):
        return us.ModelReply("x" * 600_000)

def first(task):
    return task.objective.split()[0]

fetcher = us.Worker("fetcher", fetch, effect="read")
plain = us.Agent("plain", "Answer.", model=us.Scripted(Failure("abandon", "down", EVIL), repeat=True))
falls = us.Agent("falls" + "\\x9b", "Answer.", model=Falls())
desk = us.Supervisor("desk", [fetcher, plain, falls], route=first, intensity=us.Intensity(max_restarts=0))
""".replace("THE_TEXT", repr(EVIL))

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command in a folder where strangers have left their texts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "strange_program", raising=False)
    (tmp_path / "strange_program.py").write_text(PROGRAM)

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = command(list(words))
        out, err = capsys.readouterr()
        return code, out, err

    tasks = [("a", "fetcher"), ("b", "fetcher fail"), ("c", "plain"), ("d", "falls\x9b"), ("e\x9b", "fetcher fail")]
    lines = [
        json.dumps({"id": id, "objective": f"{what} {EVIL}", "inputs": {EVIL: EVIL}, "user": EVIL})
        for id, what in tasks
    ]
    (tmp_path / "tasks.jsonl").write_text("\n".join(lines))
    run("run", "strange_program:desk", "--input", "tasks.jsonl")
    return run


def words(cli: Cli) -> list[tuple[str, ...]]:
    """Every command that shows something of them, and some that are refused in their words."""
    items = json.loads(cli("inbox", "--json")[1])
    assert len(items) >= 4
    shown = [("show", item["id"]) for item in items]
    first = items[0]["id"]
    cli("answer", first, "--stop", "--reason", EVIL, "--by", EVIL)
    return [
        ("run", "strange_program:desk", "--input", "tasks.jsonl"),
        ("inbox",),
        *shown,
        *(("show", f"desk/{id}") for id in ("a", "b", "c", "d", "e\x9b")),
        ("runs",),
        ("stuck",),
        ("tree",),
        ("tree", "--all"),
        ("tree", "--decisions"),
        ("parked", "list"),
        ("journal", "stats"),
        ("replay", "desk/a"),
        ("answer", first, "--retry"),
        ("show", "nobody\x9b"),
    ]


def test_no_command_prints_an_order_to_the_terminal(cli: Cli) -> None:
    seen = ""
    for what in words(cli):
        for asked in (what, (*what, "--json")):
            _, out, err = cli(*asked)
            found = [
                order for order in ORDERS if order in out + err and not ("--json" in asked and order in "\u202e\x7f")
            ]
            assert not found, (asked, found)
            seen += out + err
    assert seen.count("\\x1b[31mred") > 10, "the texts are shown, written out"
    assert "[bold]x[/bold]" in seen


def test_what_is_no_order_stays_as_it_is() -> None:
    for text in ("Grüße", "a\tb\nc", "می\u200cخواهم", "👩\u200d🔬", "１\u3000２", "no\u00a0break"):
        assert plain(text) == text
    assert plain("a\x1bb\rc\u2028d") == "a\\x1bb\\rc\\u2028d"
    assert json.loads(plain_json('["\x9bü"]')) == ["\x9bü"]
    assert "\x9b" not in plain_json('["\x9bü"]')


def test_a_story_has_no_event_in_raw_json(cli: Cli) -> None:
    _, out, _ = cli("show", "desk/c")
    assert "asks a person" in out
    assert "agent." not in out
