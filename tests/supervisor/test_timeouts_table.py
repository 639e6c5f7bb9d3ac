"""The table of timeouts in docs/supervision.md says what the code says."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import understudy as us
from understudy.protocols.children import SHUTDOWN, START
from understudy.supervisor.shell import CUT_OFF
from understudy.supervisor.watchdog import LIMIT
from understudy.tools.tasks import GRACE

PAGE = Path(__file__).parents[2] / "docs" / "supervision.md"


def default(function: Any, name: str) -> Any:
    return inspect.signature(function).parameters[name].default


def job(objective: str) -> str:
    return objective


@us.tool(effect="read")
def look(where: str) -> str:
    """Look."""
    return where


DEFAULTS: dict[str, float | None] = {
    "a turn, a rule": LIMIT,
    "start of a fixed child": START,
    "end of a child": SHUTDOWN,
    "an ask from outside": default(us.System.ask, "timeout"),
    "an ask of an actor": default(us.Turn[us.State].ask, "within"),
    "a spawn from outside": default(us.System.spawn, "timeout"),
    "what is done with a supervisor": default(us.System.supervisor, "timeout"),
    "a tool's attempt": look.spec.timeout,
    "a worker's attempt": us.Worker("w", job).work.spec.timeout,
    "silence": look.spec.heartbeat,
    "a model's attempt": us.Limits().model,
    "a step of an agent": us.Limits().step,
    "a run of an agent": us.Limits().run,
    "an approval": us.Limits().approval,
    "an escalation": us.People(("ada",)).deadline,
    "a call in doubt": None,
    "a cancelled coroutine": GRACE,
    "closing a system: calls": default(us.System, "drain"),
    "closing a system: turns": CUT_OFF,
    "loading an actor": None,
    "an append": None,
}
"""What the code says, by how the row begins; None for no limit."""


def rows() -> list[list[str]]:
    text = PAGE.read_text().partition("## Timeouts")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if not set(line) <= set("| -")]


@pytest.mark.parametrize("what", DEFAULTS)
def test_the_default_in_the_table_is_the_one_in_the_code(what: str) -> None:
    (row,) = [row for row in rows() if row[0].startswith(what)]
    value = DEFAULTS[what]
    assert row[1] == ("none" if value is None else f"{value:g} s")


def test_no_row_is_without_a_check_and_every_option_that_is_named_is_there() -> None:
    assert len(rows()) == len(DEFAULTS)
    for row in rows():
        for name, option in re.findall(r"`(?:@?us\.)?(\w+(?:\.\w+)?)\((\w+)=\)`", row[2]):
            owner: Any = us.System if name.startswith("system.") else us.Turn if name.startswith("turn.") else us
            assert option in inspect.signature(getattr(owner, name.rpartition(".")[2])).parameters, f"{name}({option}=)"
