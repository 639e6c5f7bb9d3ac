"""Reminders that come again: when, across crashes and failures, and what becomes of ticks for which nobody was there."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import understudy as us
from understudy.actors.cell import read_record
from understudy.actors.reminders import MADE_UP
from understudy.protocols.codec import encode
from understudy.supervisor.calendar import CronCalendar
from understudy.supervisor.journal.sqlite import SqliteJournal
from understudy.supervisor.parked import Letters, parked
from understudy.supervisor.replay.verify import replay
from understudy.testing import Faults, Simulated, take


class Begin(us.Request[str]):
    cron: str = "*/5 * * * *"
    tz: str = "UTC"
    missed: str = "once"
    at: float | None = None


class End(us.Message):
    reminder: str


class Tick(us.Message):
    fail: str = ""


class Ticked(us.Event):
    at: float


class Called(us.Event):
    series: str


class Clock(us.Actor):
    class State(us.State):
        ticks: tuple[float, ...] = ()

    @us.handles(Begin)
    def begin(self, turn: us.Turn[State], msg: Begin) -> str:
        missed: object = msg.missed
        if msg.at is not None:
            return turn.remind(Tick(), at=msg.at, missed=missed)  # type: ignore[arg-type]
        return turn.remind(Tick(), cron=msg.cron, tz=msg.tz, missed=missed)  # type: ignore[arg-type]

    @us.handles(Tick)
    def tick(self, turn: us.Turn[State], msg: Tick) -> None:
        turn.emit(Ticked(turn.now))

    @us.handles(End)
    def end(self, turn: us.Turn[State], msg: End) -> None:
        turn.forget(msg.reminder)

    @us.applies(Ticked)
    def ticked(self, state: State, event: Ticked) -> State:
        return state.evolve(ticks=(*state.ticks, event.at))


def node(actor: type[us.Actor] = Clock, **options: object) -> Simulated:
    return Simulated(us.Child("clock", actor), **options)  # type: ignore[arg-type]


def begun(board: Simulated, **what: object) -> str:
    sent = board.ask("clock", Begin(**what))  # type: ignore[arg-type]
    board.rest()
    assert sent.reply is not None
    assert sent.reply.failure is None, sent.reply.failure
    return str(bytes(sent.reply.value).decode().strip('"'))


def ticks(board: Simulated) -> list[str]:
    """When it ticked, to the minute."""
    state = board.actor("clock").state
    assert isinstance(state, Clock.State)
    return [f"{datetime.fromtimestamp(at, UTC):%H:%M}" for at in state.ticks]


def test_a_reminder_with_cron_comes_again_and_again_until_it_is_forgotten() -> None:
    board = node()  # virtual time begins at 22:13:20
    reminder = begun(board)
    assert ticks(board) == [], "and rest does not wait for what never ends"
    board.pass_time(900)
    assert ticks(board) == ["22:15", "22:20", "22:25"]
    board.tell("clock", End(reminder))
    board.pass_time(10_000)
    assert len(ticks(board)) == 3
    assert not board.kernel.sets.timers


def test_the_row_that_takes_a_tick_sets_the_next_one() -> None:
    board = node()
    begun(board)
    for _ in range(10):
        board.pass_time(150)
        board.crash(down=10.0)
        board.rest()
        assert len(board.kernel.sets.timers) == 1
    assert len(ticks(board)) in range(5, 9)
    assert len(set(ticks(board))) == len(ticks(board)), "a tick is delivered once, also over crashes"


def test_forgotten_by_the_very_tick_it_comes_no_more() -> None:
    class Once(us.Actor):
        class State(us.State):
            ticks: int = 0
            series: str = ""

        @us.handles(Begin)
        def begin(self, turn: us.Turn[State], msg: Begin) -> str:
            return turn.emit(Called(turn.remind(Tick(), cron=msg.cron))).series

        @us.handles(Tick)
        def tick(self, turn: us.Turn[State], msg: Tick) -> None:
            turn.emit(Ticked(turn.now))
            turn.forget(turn.state.series)

        @us.applies(Called)
        def called(self, state: State, event: Called) -> State:
            return state.evolve(series=event.series)

        @us.applies(Ticked)
        def ticked(self, state: State, event: Ticked) -> State:
            return state.evolve(ticks=state.ticks + 1)

    board = node(Once)
    begun(board)
    board.pass_time(5_000)
    assert not board.kernel.sets.timers
    state = board.actor("clock").state
    assert isinstance(state, Once.State)
    assert state.ticks == 1


def test_a_tick_that_fails_does_not_end_its_series() -> None:
    class Stumbles(Clock):
        @us.handles(Tick)
        def tick(self, turn: us.Turn[Clock.State], msg: Tick) -> None:
            if turn.now < 1_700_001_000:
                raise RuntimeError("not yet")
            turn.emit(Ticked(turn.now))

    board = Simulated(us.Supervisor("s", [us.Child("clock", Stumbles)]))
    begun(board)
    board.pass_time(2_000)
    assert ticks(board) == ["22:30", "22:35", "22:40", "22:45"]
    kinds = [row.kind for row in board.journal.stream(board.actor("clock").address)]
    assert kinds.count("failed") == 3


def test_a_refused_tick_does_not_end_its_series_either() -> None:
    class Refuses(Clock):
        @us.handles(Tick)
        def tick(self, turn: us.Turn[Clock.State], msg: Tick) -> None:
            raise us.Rejected("busy")

    board = node(Refuses)
    begun(board)
    board.pass_time(1_000)
    assert len(board.kernel.sets.timers) == 1


def test_a_series_ends_with_its_actor() -> None:
    class Stops(Clock):
        @us.handles(Tick)
        def tick(self, turn: us.Turn[Clock.State], msg: Tick) -> None:
            turn.stop()

    board = node(Stops)
    begun(board)
    board.pass_time(5_000)
    assert not board.kernel.sets.timers
    assert board.actor("clock").memory.life == "finished"


# -- nobody was there ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("missed", "found"),
    [
        ("once", ["22:15", "late", "23:10"]),
        ("all", ["22:15", *["late"] * 10, "23:10"]),
        ("skip", ["22:15", "23:10"]),
    ],
)
def test_ticks_missed_while_the_process_was_down_come_once_all_or_not(missed: str, found: list[str]) -> None:
    board = node()
    begun(board, missed=missed)
    board.pass_time(150)  # 22:15
    board.crash(down=1_700_000_000 + 3_200 - board.now)  # 23:06:40
    board.pass_time(230)
    assert [at if at[-1] in "05" else "late" for at in ticks(board)] == found


def test_of_very_many_missed_ticks_the_newest_are_made_up_for() -> None:
    board = node()
    begun(board, cron="* * * * *", missed="all")
    board.crash(down=90 * 86_400.0)
    board.pass_time(1)
    late = len(ticks(board))
    assert MADE_UP <= late <= MADE_UP + 5, "making up for them takes some virtual time, too"
    board.pass_time(600)
    assert 9 <= len(ticks(board)) - late <= 11, "and then it goes on in time"


def test_a_tick_that_comes_a_moment_late_is_not_missed() -> None:
    board = node()
    begun(board, missed="skip")
    board.now = 1_700_000_000 + 104.0  # 22:15:04
    board.pass_time(0)
    assert ticks(board) == ["22:15"]


def test_one_time_can_be_skipped_too() -> None:
    for missed, found in (("skip", 0), ("once", 1), ("all", 1)):
        board = node()
        begun(board, at=1_700_000_100.0, missed=missed)
        assert len(ticks(board)) == 1, "rest waits for it"
        board = node()
        sent = board.ask("clock", Begin(at=1_700_000_100.0, missed=missed))
        while sent.reply is None:
            assert board.step()
        board.crash(down=7_200.0)
        board.rest()
        assert len(ticks(board)) == found, missed
        assert not board.kernel.sets.timers


def test_a_tick_left_out_is_a_row() -> None:
    board = node()
    begun(board, missed="skip")
    board.now += 3_600
    board.pass_time(0)
    assert [row.kind for row in board.journal.stream(board.actor("clock").address)][-1] == "expired"
    assert ticks(board) == []
    assert len(board.kernel.sets.timers) == 1


@pytest.mark.parametrize("seed", range(20))
def test_under_faults_each_tick_counts_once(seed: int) -> None:
    faults = Faults(crash=0.03, commit_fails=0.1, commit_unknown=0.1)
    board = node(seed=seed, faults=faults)
    while not board.kernel.sets.timers:
        board.ask("clock", Begin(missed="all"), key="begin")
        board.rest()
    board.pass_time(7_200)
    board.faults = Faults()
    board.pass_time(600)
    state = board.actor("clock").state
    assert isinstance(state, Clock.State)
    stream = board.journal.stream(board.actor("clock").address)
    first = min(timer.at for row in stream for timer in read_record(row).timers)
    expected = (board.now - first) // 300 + 1
    assert abs(len(state.ticks) - expected) <= 1, (len(state.ticks), expected)
    assert len(board.kernel.sets.timers) == 1


# -- what is no time ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({"cron": "61 * * * *"}, "61 \\* \\* \\* \\*.*no cron expression: Bad minute"),
        ({"cron": "every day"}, "no cron expression: Wrong number of fields"),
        ({"cron": ""}, "no cron expression"),
        ({"cron": "0 0 30 2 *"}, "no cron expression: Bad day-of-month"),
        ({"cron": "0 0 */31 * 1#5"}, "never comes"),
        ({"tz": "Europe/Nowhere"}, "no time zone that this machine knows"),
        ({"tz": "../../etc/passwd"}, "no time zone"),
        ({"tz": "/etc/passwd"}, "no time zone"),
        ({"tz": ""}, "no time zone"),
        ({"missed": "twice"}, "none of once, all, skip"),
    ],
)
def test_what_is_no_time_is_refused_where_it_is_written(what: dict[str, str], why: str) -> None:
    taken = take(Clock, Begin(**what))  # type: ignore[arg-type]
    assert taken.failure is not None
    assert taken.failure.message.startswith("ValueError")
    assert re.search(why, taken.failure.message), taken.failure.message


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "one of after="),
        ({"after": 1.0, "cron": "* * * * *"}, "one of after="),
        ({"at": 1.0, "after": 1.0}, "one of after="),
        ({"at": 1.0, "tz": "Europe/Oslo"}, "tz= goes with cron="),
    ],
)
def test_exactly_one_time_is_taken(options: dict[str, object], why: str) -> None:
    class Asks(us.Actor):
        @us.handles(Tick)
        def tick(self, turn: us.Turn[us.State], msg: Tick) -> None:
            turn.remind(msg, **options)  # type: ignore[arg-type]

    taken = take(Asks, Tick())
    assert taken.failure is not None
    assert why in taken.failure.message


def test_without_its_library_cron_names_the_line_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cronsim", None)
    taken = take(Clock, Begin())
    assert taken.failure is not None
    assert "MissingExtra" in taken.failure.message
    assert "pip install 'understudy[cron]'" in taken.failure.message


def test_a_series_whose_library_is_gone_fails_loudly_and_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    board = node()
    begun(board)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "cronsim", None)
        board.pass_time(110)  # one tick is due, and each minute it is tried again
        (timer,) = board.kernel.sets.timers.values()
        assert timer.at - board.now < 61
    failed = [row for row in board.journal.stream(board.actor("clock").address) if row.kind == "failed"]
    assert b"MissingExtra" in bytes(failed[0].payload)
    board.pass_time(1_000)
    assert ticks(board)[-1] == "22:30"


# -- daylight saving ----------------------------------------------------------------------------------------------------


def dates(cron: str, tz: str, begin: datetime, count: int) -> list[str]:
    calendar, at, found = CronCalendar(), begin.timestamp(), list[str]()
    for _ in range(count):
        before, at = at, calendar.next(cron, tz, at)
        assert at > before
        found.append(f"{datetime.fromtimestamp(at, UTC):%d %H:%M}")
    return found


def test_a_time_that_does_not_exist_comes_at_the_next_one_that_does() -> None:
    assert dates("30 2 * * *", "Europe/Oslo", datetime(2026, 3, 27, 12, tzinfo=UTC), 3) == [
        "28 01:30",
        "29 01:00",  # 02:30 local is skipped: 03:00 local
        "30 00:30",
    ]


def test_a_time_that_comes_twice_counts_once() -> None:
    assert dates("30 2 * * *", "Europe/Oslo", datetime(2026, 10, 24, 12, tzinfo=UTC), 2) == ["25 00:30", "26 01:30"]
    second = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # 02:10 local for the second time: 02:30 was an hour before
    assert dates("30 2 * * *", "Europe/Oslo", second, 1) == ["26 01:30"]


def test_every_so_many_minutes_goes_on_through_both_changes() -> None:
    for day in (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)):
        assert len(set(dates("*/30 * * * *", "Europe/Oslo", day, 48))) == 48
        assert dates("*/30 * * * *", "Europe/Oslo", day, 48)[-1].endswith("00:00"), "no gap and no double"


def test_the_newest_ticks_are_counted_back_from_now() -> None:
    calendar = CronCalendar()
    at = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
    assert calendar.newest("* * * * *", "UTC", at - 600, at, 5) == at - 240
    assert calendar.newest("* * * * *", "UTC", at - 120, at, 5) == at - 120
    assert calendar.newest("* * * * *", "UTC", at - 600, at + 59.9, 5) == at - 240


# -- replay -------------------------------------------------------------------------------------------------------------


def test_a_replay_says_when_it_came_as_recorded_without_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time zones change their rules, and the library may be gone: what a row set is what came due."""
    path = tmp_path / "clock.db"
    board = Simulated(TEAM, journal=SqliteJournal(path))  # type: ignore[arg-type]
    begun(board, tz="Europe/Oslo", missed="all")
    board.pass_time(1_000)
    board.now += 5_000
    board.pass_time(0)
    board.journal.close()
    monkeypatch.setitem(sys.modules, "cronsim", None)
    report = replay(path, "clock", f"{__name__}:TEAM")
    assert report.difference is None
    assert report.turns > 10


TEAM = us.Supervisor("s", [us.Child("clock", Clock)])


def test_a_plain_reminder_is_stored_as_before() -> None:
    taken = take(Clock, Begin(at=5.0))
    assert taken.record.timers[0].schedule is None
    assert b"schedule" not in encode(taken.record)


# -- reminders that kill -------------------------------------------------------------------------------------------------


class Deadly(us.Actor):
    """Kills the process with each tick."""

    class State(us.State):
        ticks: tuple[float, ...] = ()

    dies = True

    @us.handles(Begin)
    def begin(self, turn: us.Turn[State], msg: Begin) -> str:
        if msg.at is not None:
            return turn.remind(Tick(), at=msg.at, missed=msg.missed)  # type: ignore[arg-type]
        return turn.remind(Tick(), cron=msg.cron, missed=msg.missed)  # type: ignore[arg-type]

    @us.handles(Tick)
    def tick(self, turn: us.Turn[State], msg: Tick) -> None:
        if self.dies:
            raise KeyboardInterrupt
        turn.emit(Ticked(turn.now))

    @us.applies(Ticked)
    def ticked(self, state: State, event: Ticked) -> State:
        return state.evolve(ticks=(*state.ticks, event.at))


def deaths(node: Simulated, most: int) -> int:
    """Let it live and die until it lives on."""
    for n in range(most):
        try:
            node.rest()
        except KeyboardInterrupt:
            node.crash(down=0.0)
        else:
            return n
    return most


def test_a_tick_that_kills_is_put_aside_and_the_series_goes_on() -> None:
    actor = Deadly()
    node = Simulated(us.Child("c/{name}", actor), seed=1)
    node.ask("c/ada", Begin())
    node.rest()
    with pytest.raises(KeyboardInterrupt):
        node.pass_time(301.0)
    node.crash(down=0.0)
    assert deaths(node, 9) == 2, "the third mark puts it aside"
    (timer,) = node.journal._timers.values()
    assert timer.at > node.now
    assert not node.journal._mail
    (put,) = parked(Letters(node.journal.rows()))
    assert (put.to, put.wire, put.failure.code) == ("c/ada", "Tick", "poison")
    actor.dies = False
    node.pass_time(900.0)
    state = node.actor("c/ada").state
    assert isinstance(state, Deadly.State)
    assert len(state.ticks) == 3


def test_a_tick_for_which_nobody_was_there_is_left_out_also_where_the_process_had_died_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stand_still(node: Simulated) -> None:
        """Time passes only where nothing else is to be done."""

    monkeypatch.setattr(Simulated, "_tick", stand_still)
    actor = Deadly()
    node = Simulated(us.Child("c/{name}", actor), seed=1)
    node.ask("c/ada", Begin(at=node.now + 10.0, missed="skip"))
    with pytest.raises(KeyboardInterrupt):
        node.rest()
    node.crash(down=1.0)
    with pytest.raises(KeyboardInterrupt):
        node.rest()
    ((id, mail),) = node.journal._mail.items()
    assert (mail.marks, id in node.journal._timers) == (1, False), "it is mail, with a mark"
    node.crash(down=3_600.0)
    node.rest()
    assert not node.journal._mail
    assert node.journal.rows()[-1].kind == "expired"
