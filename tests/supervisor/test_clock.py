"""Journal time never goes back and never stands still, whatever the wall clock does; and what it did is a row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

import understudy as us
from understudy.protocols.ids import SYSTEM
from understudy.protocols.journal import Row
from understudy.supervisor.clock import JUMP, Clock
from understudy.supervisor.journal.batch import record_of
from understudy.supervisor.journal.reader import read_only

HOUR = 3_600.0


class Machine:
    """The clocks of a machine, set by hand."""

    def __init__(self, wall: float) -> None:
        self.time, self.running = wall, 500.0

    def wall(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.running

    def passes(self, seconds: float) -> None:
        self.time += seconds
        self.running += seconds


def clock(machine: Machine) -> Clock:
    return Clock(machine.wall, machine.monotonic)


# -- the clock ----------------------------------------------------------------------------------------------------------


def test_time_passes_as_on_the_wall() -> None:
    machine = Machine(1_000.0)
    ours = clock(machine)
    machine.passes(7.0)
    assert (ours.now(), ours.jumped()) == (1_007.0, 0.0)


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_jump_of_the_wall_clock_moves_nothing_and_is_told_once(jump: float) -> None:
    machine = Machine(1_000.0)
    ours = clock(machine)
    machine.time += jump
    machine.passes(1.0)
    assert (ours.now(), ours.jumped(), ours.jumped()) == (1_001.0, jump, 0.0)
    machine.time -= jump
    assert (ours.now(), ours.jumped(), ours.jumped()) == (1_001.0, -jump, 0.0)


def test_a_clock_that_is_pulled_slowly_is_told_when_it_is_a_second_off() -> None:
    machine = Machine(1_000.0)
    ours = clock(machine)
    told: list[float] = []
    for _ in range(40):
        machine.passes(60.0)
        machine.time += 0.0625
        told += [jump] if (jump := ours.jumped()) else []
    assert told == [JUMP, JUMP]


def test_a_journal_that_ends_in_the_future_goes_on_from_there() -> None:
    machine = Machine(1_000.0)
    ours = clock(machine)
    ours.follow(1_000.0 + HOUR)
    machine.passes(5.0)
    assert (ours.now(), ours.jumped()) == (1_005.0 + HOUR, -HOUR)
    ours.follow(900.0)
    assert (ours.now(), ours.jumped()) == (1_005.0 + HOUR, 0.0)


# -- the system ---------------------------------------------------------------------------------------------------------


class Wake(us.Message):
    """Comes after a while."""


class Set(us.Request[str]):
    """Set an alarm."""

    after: float


class Rang(us.Event):
    """It came."""


class Clockwork(us.Actor):
    class State(us.State):
        rang: int = 0

    @us.handles(Set)
    def set(self, turn: us.Turn[State], msg: Set) -> str:
        turn.remind(Wake(), after=msg.after)
        return "set"

    @us.handles(Wake)
    def wake(self, turn: us.Turn[State], msg: Wake) -> None:
        turn.emit(Rang())

    @us.applies(Rang)
    def rang(self, state: State, event: Rang) -> State:
        return state.evolve(rang=state.rang + 1)


TEAM = us.Supervisor("tower", [us.Child("clock", Clockwork)])


def system(path: Path, wall: Callable[[], float]) -> us.System:
    """A system whose wall clock shows something else; its monotonic one is the machine's."""
    made = us.System(TEAM, journal=path, control=False)
    made._shell.clock = Clock(wall)
    return made


async def rings(running: us.System, times: int) -> None:
    with anyio.fail_after(20.0):
        while sum(b"Rang" in bytes(row.payload) for row in await running.rows("clock")) < times:
            await anyio.lowlevel.checkpoint()


def rows(path: Path) -> tuple[Row, ...]:
    with read_only(path) as reader:
        return reader.rows()


def jumps(path: Path) -> list[float]:
    notes = [record_of(row).note for row in rows(path) if row.stream == SYSTEM]
    return [float(note["clock"]) for note in notes if "clock" in note]


async def test_a_clock_set_back_between_two_lives_stops_no_timer(tmp_path: Path) -> None:
    path, machine = tmp_path / "clock.db", Machine(2_000_000_000.0)
    async with system(path, machine.wall) as running:
        await running.ask("clock", Set(0.2))
    machine.time -= HOUR
    async with system(path, machine.wall) as running:  # would ring in an hour, if time stood still until then
        await rings(running, 1)
        await running.ask("clock", Set(0.01))
        await rings(running, 2)
    found = [row.at for row in rows(path)]
    assert found == sorted(found)
    assert found[-1] < machine.time + HOUR + 60.0
    (jump,) = jumps(path)
    assert jump == pytest.approx(-HOUR, abs=30.0)


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_a_jump_within_a_life_moves_no_timer_and_is_a_row(tmp_path: Path, jump: float) -> None:
    path, machine = tmp_path / "clock.db", Machine(2_000_000_000.0)
    async with system(path, machine.wall) as running:
        await running.ask("clock", Set(HOUR / 2))
        machine.time += jump
        await running.ask("clock", Set(0.01))
        await rings(running, 1)
    assert jumps(path) == [pytest.approx(jump, abs=30.0)]
    found = [row.at for row in rows(path)]
    assert found == sorted(found)
    assert found[-1] - found[0] < 60.0
    with read_only(path) as reader:
        assert len(reader.timers()) == 1
