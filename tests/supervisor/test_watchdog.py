"""A turn that blocks the loop is named, shown, broken off and failed; whoever waited meanwhile is not blamed for it."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import understudy as us
from understudy.protocols.watch import Blocked, Watch
from understudy.supervisor.clock import Clock
from understudy.supervisor.lag import AT_MOST, Lag
from understudy.supervisor.replay.verify import replay
from understudy.supervisor.watchdog import Watchdog

LIMIT = 0.3
"""Seconds: short, so that the tests are; the watchdog looks five times in it."""


class Spin(us.Request[int]):
    """Never ends; ``how`` says what it does about being told to."""

    how: str = ""


class Ping(us.Request[int]):
    pass


class Spun(us.Event):
    pass


class Spinner(us.Actor):
    class State(us.State):
        spun: int = 0

    @us.handles(Spin)
    def spin(self, turn: us.Turn[State], msg: Spin) -> int:
        turn.emit(Spun())
        if msg.how == "sleeps":
            time.sleep(4.0)
        elif msg.how == "swallows":
            try:
                spin_for_ever()
            except BaseException:  # noqa: BLE001 - what it is for
                return 7
        elif msg.how == "raises another":
            try:
                spin_for_ever()
            finally:
                raise RuntimeError("in its cleanup")
        elif msg.how == "is stubborn":
            stubborn()
        else:
            spin_for_ever()
        return 1

    @us.handles(Ping)
    def ping(self, turn: us.Turn[State], msg: Ping) -> int:
        return turn.state.spun

    @us.applies(Spun)
    def spun(self, state: State, event: Spun) -> State:
        return state.evolve(spun=state.spun + 1)


class Fleeting(Spinner):
    durable = False


def spin_for_ever() -> None:
    while True:
        pass


def stubborn() -> None:
    for _ in range(2):
        with contextlib.suppress(BaseException):
            spin_for_ever()
    spin_for_ever()


def team(*more: us.Child, actor: type[us.Actor] = Spinner) -> us.Supervisor:
    return us.Supervisor("floor", [us.Child("spinner", actor), us.Child("other", Spinner), *more])


@pytest.mark.parametrize("how", ["", "swallows", "raises another", "is stubborn"])
@pytest.mark.parametrize("actor", [Spinner, Fleeting])
async def test_a_turn_that_never_ends_fails_and_everybody_else_goes_on(actor: type[us.Actor], how: str) -> None:
    failed: list[us.Failure] = []
    async with us.System(team(actor=actor), watchdog=LIMIT) as system:
        with anyio.fail_after(15.0):
            async with anyio.create_task_group() as group:

                async def spin() -> None:
                    try:
                        await system.ask("spinner", Spin(how))
                    except us.AskFailed as error:
                        failed.append(error.failure)

                group.start_soon(spin)
                assert await system.ask("other", Ping()) == 0
        if actor is Fleeting and how == "swallows":  # it returned, and nobody decides its turns again
            assert not failed
        else:
            (failure,) = failed
            assert failure.code == ("crashed" if actor is Fleeting and how == "raises another" else "blocked")
        assert system.stats().blocked["spinner"] >= 1
        assert list(system.stats().blocked) == ["spinner"]
        await system.rest()
        assert await system.ask("spinner", Ping()) == (1 if actor is Fleeting and how == "swallows" else 0)


async def test_the_failure_names_actor_message_function_line_and_stack() -> None:
    async with us.System(team(), watchdog=LIMIT) as system:
        with pytest.raises(us.AskFailed) as raised:
            await system.ask("spinner", Spin())
        failure = raised.value.failure
        assert failure.where == "spinner"
        assert "the turn of spinner with Spin held the loop for" in failure.message
        assert "spin_for_ever" in failure.message
        assert __file__ in failure.message
        assert failure.cause is not None
        assert failure.cause.code == "stack"
        assert "in spin\n" in failure.cause.message
        assert "in spin_for_ever\n" in failure.cause.message


async def test_its_message_is_parked_and_its_supervisor_decides() -> None:
    async with us.System(team(), watchdog=LIMIT) as system:
        with pytest.raises(us.AskFailed, match="held the loop"):
            await system.ask("spinner", Spin())
        await system.rest()
        (row,) = [row for row in await system.rows("spinner") if row.kind == "failed"]
        assert b'"code":"blocked"' in bytes(row.payload)
        (parked,) = await system.parked()
        assert parked.to == "spinner"
        assert any(b"supervisor.restarting" in bytes(row.payload) for row in await system.rows("floor"))


async def test_a_message_that_blocks_again_and_again_is_tried_no_more_than_its_actor_allows() -> None:
    class Patient(Spinner):
        poison_after = 2

    async with us.System(team(actor=Patient), watchdog=LIMIT) as system:
        with pytest.raises(us.AskFailed):
            await system.ask("spinner", Spin(), timeout=20.0)
        await system.rest()
        assert system.stats().blocked == {"spinner": 2}
        assert len(await system.parked()) == 1


async def test_what_no_exception_reaches_is_reported_at_once_and_fails_when_it_comes_back(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("understudy.supervisor.watchdog.REACHED", 0.2)
    async with us.System(team(), watchdog=LIMIT) as system:
        with caplog.at_level(logging.ERROR, "understudy"), pytest.raises(us.AskFailed) as raised:
            await system.ask("spinner", Spin("sleeps"))
    assert "no exception reached it there" in raised.value.failure.message
    said = capsys.readouterr().err
    assert "the turn of spinner with Spin has held the loop for" in said
    assert "time.sleep(4.0)" in said
    assert [r.levelname for r in caplog.records if "held the loop" in r.getMessage()] == ["ERROR", "CRITICAL"]


async def test_a_turn_within_the_limit_is_left_alone_however_often_it_comes() -> None:
    class Slow(Spinner):
        @us.handles(Ping)
        def ping(self, turn: us.Turn[Any], msg: Ping) -> int:
            end = time.perf_counter() + 0.1
            while time.perf_counter() < end:
                pass
            return 1

    async with us.System(team(actor=Slow), watchdog=LIMIT) as system:
        for _ in range(8):
            assert await system.ask("spinner", Ping()) == 1
        assert system.stats().blocked == {}


async def test_without_a_watchdog_there_is_no_thread_and_with_one_it_ends_with_the_system() -> None:
    def dogs() -> int:
        return sum(thread.name == "understudy watchdog" for thread in threading.enumerate())

    async with us.System(team(), watchdog=None):
        assert dogs() == 0
    async with us.System(team()) as system:
        await system.ask("other", Ping())
        assert dogs() == 1
    assert dogs() == 0


@pytest.mark.parametrize("bad", [0, -1, "5", True])
def test_a_limit_that_is_none_is_refused(bad: Any) -> None:
    with pytest.raises(us.DefinitionError, match="watchdog"):
        us.System(team(), watchdog=bad)


@pytest.mark.parametrize("kind", [Spinner, Fleeting])
async def test_who_waits_meanwhile_is_not_told_that_nobody_answered(kind: type[us.Actor]) -> None:
    """Limits that were over only because the loop was blocked."""

    class Waits(us.Actor):
        class State(us.State):
            pass

        @us.handles(Ping)
        def ping(self, turn: us.Turn[State], msg: Ping) -> us.Later[int]:
            later = turn.later(msg)
            turn.call(nap, tag=later)
            return later

        @us.settles(us.ANY_TOOL)
        def done(self, turn: us.Turn[State], outcome: us.Outcome[Any]) -> None:
            turn.reply(outcome.tag, 5 if outcome.failure is None else -1)

    begun = anyio.Event()

    @us.tool(effect="once", timeout=0.5)
    async def nap() -> int:
        """Takes a while, but not as long as it may."""
        begun.set()
        await anyio.sleep(0.3)
        return 1

    async with us.System(team(us.Child("waits", Waits, tools=[nap]), actor=kind), watchdog=0.8) as system:
        answers: list[int] = []

        async def wait() -> None:
            answers.append(await system.ask("waits", Ping(), timeout=0.6))

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await begun.wait()
            with pytest.raises(us.AskFailed, match="held the loop"):
                await system.ask("spinner", Spin(), timeout=0.6)
        assert answers == [5]


async def test_control_the_same_wait_is_over_where_the_loop_was_free() -> None:
    class Never(us.Actor):
        class State(us.State):
            pass

        @us.handles(Ping)
        def ping(self, turn: us.Turn[State], msg: Ping) -> us.Later[int]:
            return turn.later(msg)

    async with us.System(team(us.Child("never", Never)), watchdog=LIMIT) as system:
        began = time.perf_counter()
        with pytest.raises(us.AskFailed, match="no answer"):
            await system.ask("never", Ping(), timeout=0.3)
        assert time.perf_counter() - began < 2.0


async def test_a_rule_that_blocks_is_broken_off_where_a_call_is_to_begin() -> None:
    @us.tool(effect="read")
    def look(n: int) -> int:
        """Looks."""
        return n

    @look.approve_if
    def never_ends(n: int) -> bool:
        """Never says anything."""
        spin_for_ever()
        return False

    class Calls(Spinner):
        @us.handles(Ping)
        def ping(self, turn: us.Turn[Any], msg: Ping) -> us.Later[int]:
            later = turn.later(msg)
            turn.call(look, 1, tag=later)
            return later

        @us.settles(us.ANY_TOOL)
        def done(self, turn: us.Turn[Any], outcome: us.Outcome[Any]) -> None:
            turn.reply(outcome.tag, outcome.value)

    async with us.System(team(us.Child("calls", Calls, tools=[look])), watchdog=LIMIT) as system:
        with pytest.raises(us.AskFailed) as raised:
            await system.ask("calls", Ping())
        assert "in never_ends\n" in raised.value.failure.chain()[-1].message


async def test_a_coroutine_tool_that_blocks_is_broken_off_and_its_effect_class_counts() -> None:
    async def hangs(objective: str) -> str:
        await anyio.lowlevel.checkpoint()
        spin_for_ever()
        return objective

    worker = us.Worker("worker", hangs, effect="once")
    async with us.System(worker, team(), watchdog=LIMIT) as system:
        result = await system.run(worker, "x")
        (item,) = result.waiting
        assert item.kind == "in_doubt"
        assert item.failure is not None
        assert item.failure.code == "blocked"
        assert "worker of worker/" in item.failure.message
        assert "a coroutine must await" in item.failure.hint
        assert await system.ask("other", Ping()) == 0


async def test_code_of_the_program_that_blocks_is_told_of_and_is_nobodys_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with us.System(team(), watchdog=LIMIT) as system:
        await system.ask("other", Ping())
        time.sleep(1.0)  # noqa: ASYNC251 - what it is for
        await anyio.sleep(0.2)
        assert set(system.stats().blocked) == {""}
    assert "code outside of every actor holds the loop" in caplog.text
    assert "time.sleep(1.0)" in caplog.text


async def test_an_actor_whose_events_cannot_be_applied_in_time_is_parked_when_it_is_loaded(tmp_path: Path) -> None:
    path, slow = tmp_path / "us.db", [False]

    class Folds(Spinner):
        @us.applies(Spun)
        def spun(self, state: Any, event: Spun) -> Any:
            if slow[0]:
                spin_for_ever()
            return state.evolve(spun=state.spun + 1)

        @us.handles(Ping)
        def ping(self, turn: us.Turn[Any], msg: Ping) -> int:
            return 0 if slow[0] else turn.emit(Spun()).spun

    async with us.System(team(actor=Folds), journal=path, watchdog=LIMIT) as system:
        await system.ask("spinner", Ping())
    slow[0] = True
    calm = us.Supervisor("calm", [us.Child("elsewhere", Spinner)])
    async with us.System(team(actor=Folds), calm, journal=path, watchdog=LIMIT) as system:
        with pytest.raises(us.AskFailed) as raised:
            await system.ask("spinner", Ping())
        assert raised.value.failure.code == "unreadable"
        assert any("spin_for_ever" in failure.message for failure in raised.value.failure.chain())
        assert await system.ask("elsewhere", Ping()) == 0


async def test_replay_passes_over_a_turn_that_was_broken_off(tmp_path: Path) -> None:
    path = tmp_path / "us.db"
    async with us.System(team(), journal=path, watchdog=LIMIT) as system:
        with pytest.raises(us.AskFailed):
            await system.ask("spinner", Spin())
        await system.rest()
        assert await system.ask("spinner", Ping()) == 0
    report = replay(path, "spinner", "tests.supervisor.test_watchdog:replayed")
    assert report.difference is None
    assert report.turns >= 3


replayed = team()
"""The definitions as replay imports them."""


# -- without a loop -----------------------------------------------------------------------------------------------------


def test_an_exception_that_comes_too_late_is_taken_back() -> None:
    """The race that matters: it ends in the very moment in which the watchdog decides. Nothing outside of user code is hit."""
    watch = Watch()
    dog = Watchdog(watch, 1e-9, Lag())
    dog._thread = threading.get_ident()
    stop, shots = threading.Event(), [0]

    def shoot() -> None:
        while not stop.is_set():
            on = watch.on
            block = dog._name(on) if on is not None else None
            if on is not None and block is not None:
                shots[0] += dog._break(on, block, time.perf_counter())

    thread = threading.Thread(target=shoot, daemon=True)
    thread.start()
    broken = ended = 0
    until = time.perf_counter() + 3.0
    while time.perf_counter() < until:
        try:
            watch.run(object(), lambda: sum(range(500)))
            ended += 1
        except Blocked:
            broken += 1
        for _ in range(50):  # here nothing may come
            pass
    stop.set()
    thread.join()
    assert ended
    assert broken
    assert shots[0]


def test_time_that_nobody_had_does_not_count_and_journal_time_catches_up_with_the_wall() -> None:
    at = [100.0]
    clock = Clock(wall=lambda: 1_000.0 + at[0], monotonic=lambda: at[0])
    before = clock.now()
    at[0] += 5.0
    clock.hold(5.0)
    assert clock.now() == pytest.approx(before)
    assert clock.jumped() == 0.0
    at[0] += 50.0
    assert clock.now() == pytest.approx(before + 52.5)
    at[0] += 50.0
    assert clock.now() == pytest.approx(before + 105.0)
    at[0] += 50.0
    assert clock.now() == pytest.approx(before + 155.0)


def test_a_loop_that_is_always_blocked_makes_no_limit_endless() -> None:
    lag, heard = Lag(), list[float]()
    lag.listen(heard.append)
    start = lag._counted
    for n in range(10):
        lag.lost(start + n, start + n + 1)
    assert sum(heard) == pytest.approx(AT_MOST * 10)
    lag.lost(start + 3, start + 10)  # known already
    assert len(heard) == 10


# -- in a process of its own --------------------------------------------------------------------------------------------


def test_in_a_real_process_the_others_answer_soon_and_the_culprit_is_named(tmp_path: Path) -> None:
    """Also a regular expression that keeps the interpreter to itself: nothing can be said of it before it is over, but then it is."""
    program = Path(__file__).parent.parent / "crash" / "programs" / "blocking.py"
    command = [sys.executable, str(program), str(tmp_path / "us.db")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    told = json.loads(ran.stdout)
    assert told["answers"] == 20
    assert told["took"] < 4.0
    assert told["code"] == "blocked"
    assert "the turn of culprit with Hang held the loop for 1." in told["message"]
    assert f"Sleeper.hang ({program}:" in told["message"]
    assert told["matching"] == 0
    assert set(told["blocked"]) == {"culprit"}
    assert "the turn of culprit with Hang held the loop for 1." in ran.stderr
    assert "in hang\n" in ran.stderr
    assert "a turn of culprit held the loop and the interpreter for" in ran.stderr
