"""``understudy tools check``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from understudy.supervisor.cli.entry import run

MODULE = '''
from typing import Annotated
import understudy as us


@us.tool(effect="read", trusted=False, private=False)
def look(where: Annotated[str, "A town."]) -> str:
    """Look somewhere."""
    return where


@us.tool()
def pay(to: str) -> str:
    return to


@us.tool(effect="reconcilable")
def book(what: str) -> str:
    """Book."""
    return what


clerk = us.Agent("clerk", "Looks.", model=us.Scripted("x"), tools=[look])
payer = us.Agent("payer", "Pays.", model=us.Scripted("x"), tools=[look, pay])
broken = us.Agent("broken", "Books.", model=us.Scripted("x"), tools=[book])
team = us.Supervisor("team", [clerk, payer])
nothing = us.Agent("nothing", "Talks.", model=us.Scripted("x"))
'''


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"linted_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return name


def checked(capsys: pytest.CaptureFixture[str], *typed: str) -> tuple[int, Any]:
    code = run(["tools", "check", *typed, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_tool_that_says_all_exits_with_0(desk: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(capsys, f"{desk}:look") == (0, {"tools": ["look"], "findings": []})
    assert checked(capsys, f"{desk}:clerk")[0] == 0


def test_what_is_missing_exits_with_1_and_names_tool_field_why_and_fix(
    desk: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = checked(capsys, f"{desk}:team")
    assert (code, said["tools"]) == (1, ["look", "pay"])
    assert {finding["tool"] for finding in said["findings"]} == {"pay"}
    assert {"description", "parameter to", "kind", "trusted"} <= {finding["field"] for finding in said["findings"]}
    assert all(finding["why"] and finding["fix"] for finding in said["findings"])


def test_a_module_is_looked_through_as_a_whole(desk: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Also with a tool that no agent could be given."""
    code, said = checked(capsys, desk)
    assert (code, said["tools"]) == (1, ["book", "look", "pay"])
    assert ("book", "reconcile") in {(finding["tool"], finding["field"]) for finding in said["findings"]}


def test_people_read_the_same(desk: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tools", "check", f"{desk}:payer"]) == 1
    text = capsys.readouterr().out
    assert "pay: kind (missing): " in text
    assert text.splitlines()[-1].startswith("2 tools: ")


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ("{desk}:nobody", "has no 'nobody'"),
        ("{desk}:nothing", "there are no tools in"),
        ("{desk}:", "names no tools"),
        (":pay", "names no tools"),
        ("there_is_no_such_module", "there is no module"),
        ("{desk}:broken", "has no reconcile function"),
    ],
)
def test_a_bad_target_exits_with_2(desk: str, target: str, named: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = checked(capsys, target.format(desk=desk))
    assert code == 2
    assert named in said["error"]["message"]
