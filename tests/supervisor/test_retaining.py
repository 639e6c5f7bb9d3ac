"""Retention in a running system: it erases what is over, and everybody else goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

import understudy as us
from tests.crash.programs.forgetful import Do, Job
from tests.supervisor.cli import Desk, interrupt, until
from tests.telling import Tell
from understudy.protocols.ids import Address
from understudy.supervisor import retaining
from understudy.supervisor.journal import retention
from understudy.supervisor.journal.audit import audit
from understudy.supervisor.journal.driver import Connection
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.retention import Erasure, Old, Retained

ROOT = Path(__file__).parents[2]


class Add(us.Request[int]):
    """Counts."""


class Added(us.Event):
    """Counted."""


class Counter(us.Actor):
    class State(us.State):
        n: int = 0

    @us.handles(Add)
    def add(self, turn: us.Turn[State], msg: Add) -> int:
        return turn.emit(Added()).n

    @us.applies(Added)
    def added(self, state: State, event: Added) -> State:
        return state.evolve(n=state.n + 1)


@asynccontextmanager
async def system_of(path: Path, jobs: int) -> AsyncGenerator[us.System]:
    """A system with so many jobs that are done."""
    async with us.System(us.Child("job/{n}", Job), us.Child("counter", Counter), journal=path) as system:
        for n in range(jobs):
            await system.ask(f"job/{n}", Do(f"secret {n}"), key="do")
        yield system


def texts(path: Path) -> int:
    """Rows of jobs that still say something."""
    with read_only(path) as reader:
        sql = "SELECT COUNT(*) FROM rows r JOIN streams s ON s.id = r.stream WHERE s.address LIKE 'job/%' AND payload IS NOT NULL"
        return int(reader.query(sql)[0][0])


def whole(path: Path) -> bool:
    with read_only(path) as reader:
        return audit(reader).whole


async def test_what_is_over_is_erased_under_load_and_everything_else_goes_on(tmp_path: Path, tell: Tell) -> None:
    path, slowest, asked, over, took = tmp_path / "desk.db", 0.0, 0, False, 0.0
    done = Retained(0.0, 0, 0, 0, 0)
    async with system_of(path, 150) as system:

        async def load() -> None:
            nonlocal slowest, asked
            while not over:
                began = time.perf_counter()
                asked += 1
                assert await system.ask("counter", Add()) == asked
                slowest = max(slowest, time.perf_counter() - began)

        async with anyio.create_task_group() as group:
            group.start_soon(load)
            began = time.perf_counter()
            done = await system.retain(days=0)
            took, over = time.perf_counter() - began, True
        assert (done.runs, done.kept, texts(path)) == (150, 0, 0)
        assert whole(path), "also while the owner goes on"
        for n in (0, 149):
            with pytest.raises(us.AskFailed, match="erased"):
                await system.ask(f"job/{n}", Do("again"))
            with pytest.raises(us.AskFailed, match="retention has erased"):
                await system.ask(f"job/{n}", Do(f"secret {n}"), key="do")
        assert await system.ask("counter", Add()) == asked + 1
    assert whole(path)
    tell(f"150 runs erased in {took:.2f} s beside {asked} asks, the slowest {slowest * 1e3:.0f} ms")


async def test_open_runs_and_those_of_which_anything_is_under_way_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    async with system_of(path, 3) as system:
        await system.ask("job/open", Do("wait"))
        await system.ask("counter", Add())
        assert (await system.retain(days=0)).runs == 3
        assert (await system.retain(days=0)).runs == 0
        assert await system.ask("job/open", Do("now")) == "now"
        assert await system.ask("counter", Add()) == 2
        assert (await system.retain(days=1)).runs == 0, "it is over, and not a day old"
        assert (await system.retain(days=0)).runs == 1


async def test_mail_to_a_run_that_is_being_erased_waits_and_finds_it_erased(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, go, prepare = threading.Event(), threading.Event(), retaining._prepare

    def slowly(path: Path, some: list[Old], near: set[Address]) -> list[Erasure]:
        found = prepare(path, some, near)
        reading.set()
        assert go.wait(30.0)
        return found

    monkeypatch.setattr(retaining, "_prepare", slowly)
    failures: list[us.Failure] = []
    async with system_of(tmp_path / "desk.db", 2) as system, anyio.create_task_group() as group:

        async def ask() -> None:
            with pytest.raises(us.AskFailed) as failed:
                await system.ask("job/1", Do("meanwhile"))
            failures.append(failed.value.failure)

        group.start_soon(system.retain, 0)
        await anyio.to_thread.run_sync(reading.wait)
        group.start_soon(ask)
        assert await system.ask("counter", Add()) == 1, "others do not wait"
        assert system._shell.kernel.residents.counts().loading == 1
        assert not failures
        go.set()
    assert [failure.code for failure in failures] == ["erased"]
    assert whole(tmp_path / "desk.db")


async def test_a_run_that_has_gone_on_since_it_was_looked_at_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    async with system_of(path, 1) as system:
        with read_only(path) as reader:
            (old,) = reader.read(lambda connection: retention.erasable(connection, 9e9 * 100))
            erasure = reader.read(lambda connection: retention.prepare(connection, old, set(old.addresses)))
        with pytest.raises(us.AskFailed, match="finished"):
            await system.ask("job/0", Do("more"))
        assert len(erasure.rows) == 1
        assert not await system._shell.journal.maintain(lambda connection: retention.erase(connection, erasure))
        assert texts(path) == 2


async def test_a_retention_that_is_cancelled_leaves_each_run_whole_or_erased_and_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, erase, calls = tmp_path / "desk.db", retention.erase, 0
    async with system_of(path, 40) as system:
        with anyio.CancelScope() as scope:

            def third(connection: Connection, erasure: Erasure) -> bool:
                nonlocal calls
                calls += 1
                if calls == 3:
                    anyio.from_thread.run_sync(scope.cancel, token=token)
                return erase(connection, erasure)

            token = anyio.lowlevel.current_token()
            monkeypatch.setattr(retention, "erase", third)
            await system.retain(days=0)
        assert scope.cancelled_caught
        assert texts(path) == 37
        with pytest.raises(us.AskFailed, match="finished"):
            await system.ask("job/39", Do("again"))
        assert (await system.retain(days=0)).runs == 37
    assert whole(path)


async def test_what_is_no_time_and_a_system_without_a_file_are_refused(tmp_path: Path) -> None:
    async with us.System(us.Child("counter", Counter)) as system:
        with pytest.raises(us.UnderstudyError, match="no journal file"):
            await system.retain()
        for days in (-1.0, float("nan"), "7"):
            with pytest.raises(us.UnderstudyError, match="is no time"):
                await system.retain(days)  # type: ignore[arg-type]
    with pytest.raises(us.UnderstudyError):
        await system.retain()


def test_a_kill_in_the_middle_leaves_each_run_whole_or_erased_and_the_next_life_goes_on(tmp_path: Path) -> None:
    path, jobs = tmp_path / "desk.db", 20

    def life() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tests.crash.programs.forgetful", str(path), str(jobs)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert life().returncode == -signal.SIGKILL
    assert texts(path) == jobs - (jobs // 2 - 1)
    assert whole(path)
    again = life()
    assert (again.returncode, again.stdout) == (0, f"{jobs // 2 + 1}\n"), again.stderr
    assert texts(path) == 0
    assert whole(path)


def test_the_command_has_the_owner_do_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.json("run", "team:team", "look", "--id", "a")
    desk.json("run", "team:team", "pay", "--id", "b", code=3)
    with desk.running("serve", "team:team") as process:
        until(lambda: desk.run("inbox").returncode == 0 and (tmp_path / "understudy.db-sock").exists(), process)
        refused = desk.run("journal", "retain", "--days", "0", "--compact")
        assert (refused.returncode, "leave --compact out" in refused.stderr) == (2, True), refused.stderr
        done = desk.json("journal", "retain", "--days", "0", "--archive", "archive.db")
        assert (done["retained"]["runs"], done["archive"]["rows"] > 5) == (1, True)
        assert desk.json("journal", "retain", "--days", "0")["retained"]["runs"] == 0
        assert desk.json("show", "a")["status"] == "erased"
        assert [item["tool"] for item in desk.json("inbox")] == ["pay"], "what waits for people is kept"
        interrupt(process)
        process.wait(30.0)
    assert desk.json("journal", "verify")["whole"]
    assert desk.json("replay", "a", "-j", "archive.db")["equal"]
    assert desk.json("replay", "b")["equal"]
