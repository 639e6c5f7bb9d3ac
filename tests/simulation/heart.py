"""Hearts of the bank: reminders that come again each quarter of an hour, one for each choice of what becomes of missed ticks.

What must be true of a series, whatever happens around it: once it has begun, exactly one tick of it is ahead until it is forgotten;
its ticks follow one another in time; with ``all`` none is left out, and otherwise the next one is never one that is over.
"""

from __future__ import annotations

from collections.abc import Collection

import understudy as us
from understudy.actors.reminders import MADE_UP
from understudy.protocols.journal import Missed, Record, Row, Timer

PERIOD = 900.0


class Begin(us.Request[str]):
    id: str
    missed: str


class Beat(us.Message):
    missed: str


class End(us.Request[bool]):
    id: str


class Began(us.Event):
    series: str


class HeartBeat(us.Event):
    at: float


class Ended(us.Event):
    series: str


class Heart(us.Actor):
    """It stumbles now and then, as all actors of the bank do; a failed tick ends no series."""

    class State(us.State):
        series: str = ""
        beats: int = 0

    @us.handles(Begin)
    def begin(self, turn: us.Turn[State], msg: Begin) -> str:
        if turn.state.series:
            return turn.state.series
        missed: Missed = "all" if msg.missed == "all" else "skip" if msg.missed == "skip" else "once"
        return turn.emit(Began(turn.remind(Beat(msg.missed), cron="*/15 * * * *", missed=missed))).series

    @us.handles(Beat)
    def beat(self, turn: us.Turn[State], msg: Beat) -> None:
        from tests.simulation import bank

        turn.emit(HeartBeat(turn.now))
        if turn.random.random() < bank.world.raising:
            raise RuntimeError("missed a beat")

    @us.handles(End)
    def end(self, turn: us.Turn[State], msg: End) -> bool:
        turn.forget(turn.state.series)
        turn.emit(Ended(turn.state.series))
        return True

    @us.applies(Began)
    def began(self, state: State, event: Began) -> State:
        return state.evolve(series=event.series)

    @us.applies(HeartBeat)
    def has_beaten(self, state: State, event: HeartBeat) -> State:
        return state.evolve(beats=state.beats + 1)

    @us.applies(Ended)
    def ended(self, state: State, event: Ended) -> State:
        return state.evolve(series="")


class Pulse:
    """What the committed rows say of one series."""

    def __init__(self) -> None:
        self.ticks: list[tuple[float, Timer]] = []
        self.ended = False

    def take(self, row: Row, record: Record) -> None:
        self.ticks += [(row.at, timer) for timer in record.timers if timer.schedule is not None]
        self.ended = self.ended or any(event.wire == "Ended" for event in record.events)

    def compare(self, open: Collection[str]) -> None:
        """Raises AssertionError where something is not true. ``open``: ids of timers and mail that the journal holds; a tick that had
        rung when the process died is mail."""
        if not self.ticks:
            return
        schedule = self.ticks[0][1].schedule
        assert schedule is not None
        ahead = [timer for _, timer in self.ticks if timer.id in open]
        assert len(ahead) == (0 if self.ended else 1), f"{len(ahead)} ticks of a heart are ahead"
        for (_, before), (at, after) in zip(self.ticks, self.ticks[1:], strict=False):
            assert after.at > before.at, f"a tick at {after.at} follows one at {before.at}"
            if schedule.missed != "all":
                assert after.at > at, f"{schedule.missed}: a tick was set that was over"
            else:
                late = at - before.at > MADE_UP * PERIOD
                assert late or after.at == before.at + PERIOD, f"ticks between {before.at} and {after.at} were left out"
