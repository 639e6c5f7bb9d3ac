"""``understudy serve`` in this process, where its loop can be looked at."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

import understudy as us
from understudy.supervisor.cli import source
from understudy.supervisor.cli.work import Job, serve
from understudy.supervisor.program import Program


@us.tool(effect="once", kind="money", approve=True)
def pay(usd: float) -> str:
    """Pay."""
    return f"{usd}"


clerk = us.Agent(
    "clerk", "", model=us.Rules("pays", [us.Rule(us.Use("pay", {"usd": 1.0}), before=("pay",))]), tools=[pay]
)
porter = us.Agent("porter", "", model=us.Rules("greets", [us.Rule(us.Say("Hello."))]))


async def test_what_it_has_to_say_of_other_runs_is_asked_of_its_own_socket_while_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A question to oneself that blocks the loop is answered by nobody, until its time is over."""
    journal = tmp_path / "desk.db"
    async with us.System(clerk, journal=str(journal)) as system:
        await system.run(clerk, "Pay.", id="a")
    asked: list[type[object]] = []
    target_of = source.target_of

    def noted(found: source.Source, run: str) -> object:
        asked.append(type(found))
        return target_of(found, run)

    monkeypatch.setattr(source, "target_of", noted)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        signal.raise_signal(signal.SIGTERM)  # it has said it: that is all that is wanted of it

    await serve(Job(Program("desk:porter", porter), journal), lambda _: None, say)
    assert "1 unfinished run is not of desk:porter" in said[0]
    assert [kind.__name__ for kind in asked] == ["Remote"]
