"""Replay: a recorded run decided again, under what it was decided under."""

from __future__ import annotations

from pathlib import Path

import pytest

import understudy as us
from understudy.protocols.errors import TargetError
from understudy.protocols.ids import Address
from understudy.supervisor.journal.sqlite import SqliteJournal
from understudy.supervisor.replay.verify import replay
from understudy.testing import Simulated
from understudy.tools.models.scripted import call


class Boom(us.Message):
    pass


class Box(us.Actor):
    """Takes what it is given."""

    @us.handles(Boom)
    def boom(self, turn: us.Turn[us.State], msg: Boom) -> None:
        pass


boxes = us.Supervisor("boxes", [us.Child("box/{name}", Box)])


@us.tool(effect="once", approve=True)
def pay(to: str) -> str:
    """Pay somebody."""
    return f"paid {to}"


payer = us.Agent("payer", "Pays.", model=us.Scripted(call("pay", to="ada")), tools=[pay])
clerk = us.Agent("clerk", "Greets.", model=us.Scripted("Hello.", repeat=True))
BOXES, CLERK = f"{__name__}:boxes", f"{__name__}:clerk"


def test_a_message_that_was_put_aside_because_it_may_kill_the_process_is_put_aside_in_replay_too(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.db"
    board = Simulated(boxes, journal=SqliteJournal(path))  # type: ignore[arg-type]  # the same port
    sent = board.tell("box/a", Boom())
    board._feed()
    while not sent.accepted:
        board._load() if board.kernel.loads else board._commit()
        board._let_out()
    for _ in range(3):
        board.crash()
        while board.kernel.loads:
            board._load()
        board.kernel.step(board.now)
        board._commit()
    board.crash()
    board.rest()
    assert [row.kind for row in board.journal.stream(Address("box/a"))][:2] == ["accepted", "failed"]
    board.journal.close()
    report = replay(path, "box/a", BOXES)
    assert report.difference is None
    assert report.turns >= 1


async def _life(path: Path, id: str = "", **options: str) -> None:
    async with us.System(clerk, journal=path, **options) as system:  # type: ignore[arg-type]
        if id:
            assert (await system.run(clerk, "greet", id=id, timeout=20)).output == "Hello."


async def test_a_later_life_under_another_model_changes_nothing_about_the_runs_before_it(tmp_path: Path) -> None:
    await _life(tmp_path / "a.db", "1", target=CLERK)
    await _life(tmp_path / "a.db", target=CLERK, model="openai:gpt-5")
    assert replay(tmp_path / "a.db", "clerk/1").difference is None


async def test_a_life_that_names_no_target_has_the_one_before_it(tmp_path: Path) -> None:
    await _life(tmp_path / "a.db", "1", target=CLERK)
    await _life(tmp_path / "a.db", "2")
    assert replay(tmp_path / "a.db", "clerk/1").difference is None
    assert replay(tmp_path / "a.db", "clerk/2").difference is None


async def test_a_journal_that_names_no_target_at_all_says_so(tmp_path: Path) -> None:
    await _life(tmp_path / "a.db", "1")
    with pytest.raises(TargetError):
        replay(tmp_path / "a.db", "clerk/1")
    assert replay(tmp_path / "a.db", "clerk/1", CLERK).difference is None


async def test_a_run_of_two_lives_is_decided_under_the_model_of_each(tmp_path: Path) -> None:
    """It asks a person in the first life, and goes on in the second, which has another model."""
    path = tmp_path / "a.db"
    async with us.System(payer, journal=path, target=f"{__name__}:payer") as system:
        (item,) = (await system.run(payer, "pay", id="1", timeout=20)).waiting
    other = us.Scripted("It is paid.", name="openai:gpt-5")
    second = us.System(payer, journal=path, target=f"{__name__}:payer", model=other)
    second._model = "openai:gpt-5"  # what it would note of --model
    async with second:
        await second.approve(item.id)
        assert (await second.run(payer, "pay", id="1", timeout=20)).output == "It is paid."
    assert replay(path, "payer/1").difference is None
