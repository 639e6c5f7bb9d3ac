"""Breakers from the command line: on the file of a journal that nobody owns, and over the socket of the process that owns it."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

import understudy as us
from tests.supervisor.cli import Desk
from understudy.actors.releases import Switch
from understudy.protocols.errors import BadArgument, UnknownItem
from understudy.supervisor.remote import reach


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_on_a_journal_that_nobody_owns(desk: Desk) -> None:
    assert desk.json("run", "team:clerk", "look", "--id", "a")["runs"][0]["output"] == "It rains."
    assert desk.run("breakers").stdout == "All breakers are closed, and nothing fails.\n"
    why = desk.run("breakers", "open", "look")
    assert (why.returncode, "--reason" in why.stderr) == (2, True)

    said = desk.json("breakers", "open", "look", "--by", "ada", "--reason", "\x1b[2Jstrike")
    assert said == {"opened": "look", "by": "ada", "seconds": None, "owner": False}
    (one,) = desk.json("breakers")
    assert (one["name"], one["state"], one["by"], one["reason"]) == ("look", "open", "ada", "\x1b[2Jstrike")
    shown = desk.run("breakers").stdout
    assert "until somebody closes it, by ada: \\x1b[2Jstrike" in shown

    wrong = desk.run("breakers", "open", "lok", "--reason", "typo")
    assert wrong.returncode == 2
    assert "no tool and no model 'lok'" in wrong.stderr
    assert desk.run("breakers", "open", "look", "--reason", "x", "--seconds", "0").returncode == 2
    for what in ("open", "close"):
        unsaid = desk.run("breakers", what, "look", "--reason", " ")
        assert (unsaid.returncode, "it is empty" in unsaid.stderr) == (2, True)

    done = desk.run("breakers", "close", "look", "--by", "bob", "--reason", "over")
    assert (done.returncode, done.stdout) == (0, "look: closed, by bob\n")
    again = desk.run("breakers", "close", "look", "--reason", "over")
    assert again.returncode == 2
    assert "is not open" in again.stderr
    assert desk.json("run", "team:clerk", "look", "--id", "b")["runs"][-1]["output"] == "It rains."


def test_a_journal_that_is_not_there_is_not_made(desk: Desk) -> None:
    assert desk.run("breakers", "open", "look", "--reason", "x").returncode == 2
    assert desk.run("breakers").returncode == 2
    assert not (desk.folder / "understudy.db").exists()


@us.tool(effect="read")
def look(where: str) -> str:
    """Look."""
    return "rain"


class Look(us.Request[str]):
    where: str = "Oslo"


class Looker(us.Actor):
    @us.handles(Look)
    def take(self, turn: us.Turn[us.State], msg: Look) -> us.Later[str]:
        later = turn.later(msg)
        turn.call(look, msg.where, tag=later)
        return later

    @us.settles(look)
    def looked(self, turn: us.Turn[us.State], outcome: us.Outcome[str]) -> None:
        turn.reply(outcome.tag, outcome.value)


async def test_over_the_socket_a_call_that_waits_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    def there(thing: Switch | None) -> object:
        remote = reach(path)
        assert remote is not None
        with remote:
            if thing is not None:
                remote.switch(thing)
            return remote.breakers()

    async def other(thing: Switch | None = None) -> object:
        return await anyio.to_thread.run_sync(there, thing)

    child = us.Child("looker", Looker, tools=[look])
    async with us.System(child, journal=path) as system, anyio.create_task_group() as tasks:
        await other(Switch("look", True, "ada", "strike", 3_600.0))
        assert await other() == system.breakers()
        await other(Switch("look", True, "ada", "strike"))
        answers: list[str] = []

        async def ask() -> None:
            answers.append(await system.ask("looker", Look(), timeout=300.0))

        tasks.start_soon(ask)
        while not any(effect.state == "waiting" for effect in system._shell.kernel.sets.effects.values()):
            await anyio.lowlevel.checkpoint()
        with anyio.fail_after(2.0):  # the first look of its own would be after 2.5 s
            await other(Switch("look", False, "bob", "over"))
            while not answers:
                await anyio.lowlevel.checkpoint()
        assert (answers, system.breakers()) == (["rain"], ())
        with pytest.raises(UnknownItem, match="is not open"):
            await other(Switch("look", False, "bob"))
        with pytest.raises(UnknownItem, match="no tool and no model"):
            await other(Switch("x", True))
        with pytest.raises(BadArgument, match="seconds"):
            await other(Switch("look", True, seconds=-1.0))
