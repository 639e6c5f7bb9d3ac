"""Starting the same program again: what is answered from the journal, what goes on, what is put aside."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from unittest.mock import patch

import anyio
import anyio.lowlevel
import pytest

import understudy as us
from tests.crash.programs.deadly import deadly_journal, records
from tests.crash.programs.exiting_tool import BOUND
from tests.crash.programs.poison import STATUS
from tests.crash.programs.world import World
from understudy.actors.releases import Start
from understudy.protocols.effects import Attempt
from understudy.protocols.errors import JournalFull
from understudy.protocols.journal import Batch, Mail, Row
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.shell import Shell
from understudy.tools.models.scripted import call

ROOT = Path(__file__).parents[2]
ROWS = 1_000


def life(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of the programs until it ends or dies."""
    command = [sys.executable, "-m", f"tests.crash.programs.{program}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def rows_of(journal: Path) -> tuple[Row, ...]:
    with read_only(journal) as reader:
        return reader.rows(limit=ROWS)


def mail_of(journal: Path) -> tuple[Mail, ...]:
    with read_only(journal) as reader:
        return reader.mail()


# -- the same id again --------------------------------------------------------------------------------------------------


@us.tool(effect="read")
def weather(city: str) -> str:
    """The weather."""
    asked.append(city)
    return "rain"


asked: list[str] = []


@pytest.fixture
def no_cities() -> list[str]:
    """Cities that the tool was asked for in this test."""
    asked.clear()
    return asked


def forecaster(model: us.Scripted) -> us.Agent[str]:
    return us.Agent("forecaster", "Say what to take along.", model=model, tools=[weather])


async def test_the_same_id_gives_the_recorded_answer_without_any_call(tmp_path: Path, no_cities: list[str]) -> None:
    path = tmp_path / "journal.db"
    with us.Scripted(call("weather", city="Oslo"), "An umbrella.") as model:
        agent = forecaster(model)
        async with us.System(agent, journal=path) as system:
            first = await system.run(agent, "Oslo tomorrow?", id="trip")
            again = await system.run(agent, "Oslo tomorrow?", id="trip")
    before = rows_of(path)
    with us.Scripted() as silent:  # would fail if it were asked anything
        agent = forecaster(silent)
        async with us.System(agent, journal=path) as system:
            later = await system.run(agent, "Oslo tomorrow?", id="trip")
    assert (first.output, again.output, later.output) == ("An umbrella.",) * 3
    assert first.result == again.result == later.result
    assert no_cities == ["Oslo"]
    assert [row.kind for row in rows_of(path)[len(before) :]] == ["system", "system"]


async def test_the_same_id_with_another_task_is_refused(tmp_path: Path, no_cities: list[str]) -> None:
    path = tmp_path / "journal.db"
    with us.Scripted("An umbrella.") as model:
        agent = forecaster(model)
        async with us.System(agent, journal=path) as system:
            await system.run(agent, "Oslo tomorrow?", id="trip")
            with pytest.raises(us.AskFailed) as now:
                await system.run(agent, "Rome tomorrow?", id="trip")
        async with us.System(agent, journal=path) as system:
            with pytest.raises(us.AskFailed) as later:
                await system.run(agent, "Rome tomorrow?", id="trip")
            assert (await system.run(agent, "Oslo tomorrow?", id="trip")).output == "An umbrella."
    assert now.value.failure.code == later.value.failure.code == "other_payload"


async def test_another_task_is_refused_while_the_first_waits_for_a_person(tmp_path: Path) -> None:
    @us.tool(effect="once", approve=True)
    def pay(to: str) -> str:
        """Pay."""
        return "paid"

    with us.Scripted(call("pay", to="ada"), "done") as model:
        agent = us.Agent("payer", "Pay.", model=model, tools=[pay])
        async with us.System(agent, journal=tmp_path / "journal.db") as system:
            assert (await system.run(agent, "Pay ada.", id="run")).status == "waiting"
        async with us.System(agent, journal=tmp_path / "journal.db") as system:
            with pytest.raises(us.AskFailed) as refused:
                await system.run(agent, "Pay bob.", id="run")
            result = await system.run(agent, "Pay ada.", id="run")
            await system.approve(result.waiting[0].id)
            assert (await system.run(agent, "Pay ada.", id="run")).output == "done"
    assert refused.value.failure.code == "other_payload"


# -- approvals ----------------------------------------------------------------------------------------------------------


def test_a_run_that_waits_for_an_approval_survives_kill_9(tmp_path: Path) -> None:
    killed = [life("approval", str(tmp_path), "ask") for _ in range(3)]
    approved = life("approval", str(tmp_path), "approve")
    again = life("approval", str(tmp_path), "approve")
    assert [one.returncode for one in killed] == [-signal.SIGKILL] * 3
    item = killed[0].stdout.strip()
    assert item
    assert [one.stdout.strip() for one in killed] == [item] * 3
    assert (approved.returncode, approved.stdout.split()) == (0, [item, "done"])
    assert (again.returncode, again.stdout.split()) == (0, ["done"])
    assert World(tmp_path).count("ran", "pay") == 1


def test_an_approval_that_was_not_durable_is_asked_for_again(tmp_path: Path) -> None:
    lost = life("approval", str(tmp_path), "lost")
    assert lost.returncode == -signal.SIGKILL
    assert World(tmp_path).count("ran", "pay") == 0
    approved = life("approval", str(tmp_path), "approve")
    assert approved.stdout.split() == [lost.stdout.strip(), "done"]
    assert World(tmp_path).count("ran", "pay") == 1


# -- marks and poison ---------------------------------------------------------------------------------------------------


class Stumble(us.Message):
    """Fails its turn."""


class Note(us.Message):
    """Is taken note of."""


class Box(us.Actor):
    @us.handles(Stumble)
    def stumble(self, turn: us.Turn[us.State], msg: Stumble) -> None:
        raise RuntimeError("stumbled")

    @us.handles(Note)
    def note(self, turn: us.Turn[us.State], msg: Note) -> None:
        pass


def kinds(path: Path, stream: str) -> list[str]:
    """Kinds of an actor's rows, but those of who begins or ends to watch it."""
    rows = [row for row in rows_of(path) if row.stream == stream]
    return [row.kind for row in rows if b'watched":["root"]' not in bytes(row.payload)]


async def test_a_clean_stop_leaves_no_attempt_marks(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    team = us.Supervisor("team", [us.Child("box/{n}", Box)], intensity=us.Intensity(max_restarts=0))
    async with us.System(team, journal=path) as system:
        await system.tell("box/1", Stumble())  # now it is suspended until a person says otherwise
        await system.tell("box/1", Note())
    for _ in range(5):
        async with us.System(team, journal=path) as system:
            assert system.opened.clean
    assert [mail.marks for mail in mail_of(path)] == [0]
    assert "attempt" not in {row.kind for row in rows_of(path)}
    async with us.System(team, journal=path) as system:
        await system.approve(system.inbox()[0].id)
        await system.tell("box/1", Note())
    assert mail_of(path) == ()
    assert kinds(path, "box/1") == [
        "failed",
        "turn",
        "accepted",
        "turn",
        "turn",
        "turn",
    ]


def test_a_message_that_kills_the_process_three_times_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    deaths = [life("poison", str(path), "--send"), life("poison", str(path)), life("poison", str(path))]
    assert [one.returncode for one in deaths] == [STATUS] * 3
    assert [(mail.envelope.wire, mail.marks) for mail in mail_of(path) if mail.envelope.to == "box/bad"] == [
        ("Deadly", 2)
    ]
    survivor = life("poison", str(path))
    assert (survivor.returncode, survivor.stderr) == (0, "")
    good, question, bad = survivor.stdout.splitlines()
    assert (good, bad) == ("hello from box/good", "hello from box/bad")
    assert "the process died 3 times while this message was pending" in question
    assert mail_of(path) == ()
    # What was pending beside it three times is not put aside with it.
    assert kinds(path, "box/quiet") == [
        "failed",
        "turn",
        "accepted",
        "turn",
        "turn",
    ]


# -- a late outcome -----------------------------------------------------------------------------------------------------


class Slow:
    """A tool of class ``once`` that is slower than its timeout, and returns when the test says so."""

    def __init__(self) -> None:
        self.runs = 0
        self.go = threading.Event()

        @us.tool(effect="once", timeout=0.05)
        def ship(parcel: str) -> str:
            """Ship a parcel."""
            self.runs += 1
            assert self.go.wait(30.0)
            return f"{parcel} is on its way"

        model = us.Scripted(call("ship", parcel="p1"), "shipped")
        self.agent = us.Agent("shipper", "Ship.", model=model, tools=[ship])


def test_a_tool_that_kills_the_process_each_time_is_not_run_for_ever(tmp_path: Path) -> None:
    journal = str(tmp_path / "journal.db")
    for _ in range(BOUND + 1):
        assert life("exiting_tool", journal).returncode == STATUS
    spared = life("exiting_tool", journal)
    assert spared.returncode == 0, spared.stderr
    assert spared.stdout.startswith(f"in_doubt: Did fatal happen? the process died {BOUND} times")


async def test_a_late_outcome_settles_the_doubt(tmp_path: Path) -> None:
    slow = Slow()
    async with us.System(slow.agent, journal=tmp_path / "journal.db") as system:
        waiting = await system.run(slow.agent, "Ship p1.", id="run")
        assert waiting.status == "waiting"
        (doubt,) = waiting.waiting
        assert (doubt.kind, doubt.tool) == ("in_doubt", "ship")
        async with system.watch("shipper/run") as rows:
            slow.go.set()
            with anyio.fail_after(30.0):
                await rows.receive()
        result = await system.run(slow.agent, "Ship p1.", id="run", timeout=30.0)
        assert (result.output, system.inbox()) == ("shipped", ())
        with pytest.raises(us.UnderstudyError, match="nothing with the id"):
            await system.answer(doubt.id, "not_happened", reason="too late")
    assert slow.runs == 1
    observed = [row for row in rows_of(tmp_path / "journal.db") if b"p1 is on its way" in bytes(row.payload)]
    assert observed


async def test_an_outcome_that_comes_while_the_doubt_is_being_written_settles_it(tmp_path: Path) -> None:
    slow, arrived, taken = Slow(), threading.Event(), Shell._settle

    def settle(shell: Shell, start: Start, attempt: Attempt) -> None:
        taken(shell, start, attempt)
        if start.effect.name == "ship" and attempt.failure is None:
            arrived.set()

    def hold(batch: Batch) -> bool:
        if any(effect.state == "in_doubt" for record in records(batch) for effect in record.changes):
            slow.go.set()
            assert arrived.wait(30.0)
        return False

    with patch.object(Shell, "_settle", settle), deadly_journal(before=hold):
        async with us.System(slow.agent, journal=tmp_path / "journal.db") as system:
            result = await system.run(slow.agent, "Ship p1.", id="run", timeout=30.0)
            assert result.output == "shipped"
            assert system.inbox() == ()
    assert (slow.runs, "attempt" in {row.kind for row in rows_of(tmp_path / "journal.db")}) == (1, True)


async def test_a_failing_disk_is_not_taken_for_a_message_that_kills(tmp_path: Path) -> None:
    path, failures = tmp_path / "journal.db", 3

    def full(batch: Batch) -> bool:
        nonlocal failures
        note = any(
            row.stream == "box/1" and row.kind == "turn" and b'"took":"outside:' in bytes(row.payload)
            for row in batch.rows
        )
        if note and failures:
            failures -= 1
            raise JournalFull("no space left")
        return False

    team = us.Supervisor("team", [us.Child("box/{n}", Box)], intensity=us.Intensity(max_restarts=0))
    with deadly_journal(before=full):
        async with us.System(team, journal=path) as system:
            await system.tell("box/1", Stumble())
            await system.tell("box/1", Note())
            await system.rest()  # the supervisor has given up on it
            await system.approve(system.inbox()[0].id)
            with anyio.fail_after(30.0):
                while mail_of(path):
                    await anyio.lowlevel.checkpoint()
    assert failures == 0
    assert kinds(path, "box/1") == [
        "failed",
        "turn",
        "accepted",
        "turn",
        "turn",
    ]
