"""Memory-only actors that never come to rest: everybody else goes on beside them."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

import understudy as us
from tests.actors.crew import Add, Note
from tests.actors.fleet import Listed, cell, node, team
from understudy.supervisor import shell as shells


class Ball(us.Message):
    to: str


class Player(us.Actor):
    """Throws every ball on, for ever."""

    durable = False

    @us.handles(Ball)
    def throw(self, turn: us.Turn[us.State], msg: Ball) -> None:
        turn.tell(msg.to, Ball(turn.me))


class Toiler(Player):
    """The same, with a row for each of its turns."""

    durable = True


def playing(path: Path | None, drain: float = 0.0) -> us.System:
    players = [us.Child("p/{name}", Player), us.Child("t/{name}", Toiler)]
    return us.System(team(), *players, journal=path, control=False, drain=drain)


@pytest.fixture(params=["file", "memory"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "j.db" if request.param == "file" else None


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction]
    monkeypatch.setattr(shells, "CUT_OFF", 0.0)


@pytest.mark.parametrize("other", ["p/a", "p/b"])
async def test_durable_work_is_done_beside_memory_only_actors_that_never_rest(path: Path | None, other: str) -> None:
    async with playing(path) as system:
        await system.tell("p/a", Ball(other))
        assert await system.ask("d/x", Add(1), timeout=10) == 1
        with anyio.fail_after(10):
            await system.tell("d/x", Note("durable"))
        assert await system.ask("d/x", Listed(), timeout=10) == ("durable", "1")


async def test_durable_work_is_done_beside_callers_that_never_stop_telling(path: Path | None) -> None:
    async def tell() -> None:
        while True:
            await system.tell("m/sink", Note("x"))

    async with playing(path) as system, anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(tell)
        assert await system.ask("d/x", Add(1), timeout=10) == 1
        assert await system.ask("d/x", Add(1), timeout=10) == 2
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("actors", [1, 1_000_000])
async def test_a_task_that_tells_and_never_waits_for_anything_else_can_be_cancelled(actors: int) -> None:
    told = 0

    async def tell() -> None:
        nonlocal told
        while told < 5_000_000:
            told += 1
            await system.tell(f"m/{told % actors}", Note("x"))

    async with playing(None) as system, anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(tell)
        while told < 5_000:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert told < 50_000


@pytest.mark.parametrize("who", ["p/a", "t/a"])
async def test_turns_that_never_end_are_cut_off_when_the_system_closes(tmp_path: Path, who: str) -> None:
    with anyio.fail_after(4.0):  # at 5 s the drain gives up
        async with playing(tmp_path / "j.db") as system:
            await system.tell(who, Ball(who))
            assert await system.ask("d/x", Add(1)) == 1
    async with playing(tmp_path / "j.db") as system:
        assert system.opened.clean
        assert await system.ask("d/x", Add(1)) == 2


def test_a_step_ends_when_it_was_long_enough_also_between_memory_only_turns() -> None:
    board = node()
    for _ in range(200):
        board.kernel.memory.put(cell(board, "m/a"), (Note("x"), "", None, None))  # type: ignore[arg-type]
    asked = 0

    def enough() -> bool:
        nonlocal asked
        asked += 1
        return asked >= 3

    assert board.kernel.step(0.0, enough=enough)
    assert len(cell(board, "m/a").state.notes) == 1 + 2 + 4  # type: ignore[attr-defined]
    board.kernel.step(0.0)
    assert len(cell(board, "m/a").state.notes) == 200  # type: ignore[attr-defined]
