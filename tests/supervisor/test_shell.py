"""The shell around the kernel: draining, waiting for runs, and what is turned away at the door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import understudy as us
from tests.actors.crew import Actor, Add
from understudy.actors.kernel import Kernel
from understudy.actors.taken import NEVER
from understudy.protocols.envelope import Envelope
from understudy.protocols.errors import JournalError
from understudy.protocols.ids import Address
from understudy.protocols.journal import Batch, Found, Known, Want
from understudy.supervisor import loading, recalling
from understudy.tools.models.scripted import call

ran: list[str] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    ran.clear()


@us.tool(effect="once")
async def send(to: str) -> str:
    """Send a letter."""
    ran.append(f"begun {to}")
    await anyio.lowlevel.checkpoint()
    ran.append(f"sent {to}")
    return "sent"


@us.tool(effect="once", approve=True)
def pay(to: str) -> str:
    """Pay somebody."""
    return f"paid {to}"


def sender() -> us.Agent[str]:
    return us.Agent("clerk", "Sends.", model=us.Scripted(call("send", to="ada"), "It is sent."), tools=[send])


def payer(runs: int = 1) -> us.Agent[str]:
    return us.Agent("clerk", "Pays.", model=us.Scripted(*[call("pay", to="ada")] * runs), tools=[pay])


async def test_a_drain_lets_a_call_end_whose_start_was_not_durable_yet_when_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with us.System(sender(), journal=tmp_path / "a.db", drain=60.0) as system:
        append, reached, draining = system._shell.journal.append, anyio.Event(), anyio.Event()

        async def held(batch: Batch) -> None:
            if any(row.kind == "started" for row in batch.rows):
                reached.set()
                await draining.wait()
            await append(batch)

        monkeypatch.setattr(system._shell.journal, "append", held)
        await system.submit("clerk", us.Task("write"), id="a")
        await reached.wait()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(system.drain, 60.0)
            while not system._shell._draining:
                await anyio.lowlevel.checkpoint()
            draining.set()
    assert ran == ["begun ada", "sent ada"]
    clerk = us.Agent("clerk", "Sends.", model=us.Scripted("It is sent."), tools=[send])
    async with us.System(clerk, journal=tmp_path / "a.db") as system:
        result = await system.run(clerk, us.Task("write"), id="a", timeout=20)
    assert (result.status, result.waiting) == ("done", ())
    assert ran == ["begun ada", "sent ada"], "and it is not in doubt"


async def test_a_drain_lets_nothing_new_begin_that_may_as_well_begin_in_the_next_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = us.Scripted("Hello.")
    clerk = us.Agent("clerk", "Greets.", model=model)
    async with us.System(clerk, journal=tmp_path / "a.db", drain=60.0) as system:
        append, reached, draining = system._shell.journal.append, anyio.Event(), anyio.Event()

        async def held(batch: Batch) -> None:
            if any(row.stream == "clerk/a" for row in batch.rows):
                reached.set()
                await draining.wait()
            await append(batch)

        monkeypatch.setattr(system._shell.journal, "append", held)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: system.submit("clerk", us.Task("greet"), id="a"))
            await reached.wait()
            tasks.start_soon(system.drain, 60.0)
            while not system._shell._draining:
                await anyio.lowlevel.checkpoint()
            draining.set()
    assert not model.requests
    async with us.System(clerk, journal=tmp_path / "a.db") as system:
        assert (await system.run(clerk, us.Task("greet"), id="a", timeout=20)).output == "Hello."


async def test_an_address_that_no_definition_owns_is_refused_at_the_door_and_burns_no_id(tmp_path: Path) -> None:
    clerk, stranger = payer(), us.Agent("stranger", "Helps.", model=us.Scripted("Hello."))
    async with us.System(clerk, us.Child("a/{name}", Actor), journal=tmp_path / "a.db") as system:
        tries = (
            lambda: system.tell("b/ada", Add(1), key="k"),
            lambda: system.ask("b/ada", Add(1), key="k", timeout=20),
            lambda: system.run(stranger, "help", id="1", timeout=20),
            lambda: system.submit("stranger", us.Task("help"), id="1"),
        )
        for attempt in tries:
            with pytest.raises(us.AskFailed) as caught:
                await attempt()
            failure = caught.value.failure
            assert (failure.kind, failure.code) == ("change_arguments", "no_such_actor")
            assert failure.hint == "mounted: clerk/{run}, a/{name}"
        assert [line.address for line in await system.actors() if line.address != "system"] == []
    async with us.System(stranger, us.Child("b/{name}", Actor), journal=tmp_path / "a.db") as system:
        assert (await system.run(stranger, "another task", id="1", timeout=20)).output == "Hello."
        assert await system.ask("b/ada", Add(2), key="k", timeout=20) == 2


async def test_whoever_waits_for_a_run_that_waits_for_people_already_is_told_at_once() -> None:
    clerk = payer()
    async with us.System(clerk) as system:
        first = await system.run(clerk, "pay", id="a", timeout=20)
        again = await system.run(clerk, "pay", id="a", timeout=20)
    assert [item.text for item in first.waiting] == [item.text for item in again.waiting] != []


async def test_a_run_that_waits_shows_its_own_questions_only() -> None:
    clerk = payer(runs=2)
    async with us.System(clerk) as system:
        await system.run(clerk, "pay", id="a", timeout=20)
        other = await system.run(clerk, "pay", id="b", timeout=20)
        assert [item.run for item in other.waiting] == ["clerk/b"]
        assert {item.run for item in system.inbox()} == {"clerk/a", "clerk/b"}


async def test_only_runs_that_changed_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    going, release = anyio.Event(), anyio.Event()

    @us.tool(effect="read")
    async def linger() -> str:
        """Take long."""
        going.set()
        await release.wait()
        return "rested"

    slow = us.Agent("slow", "Waits.", model=us.Scripted(call("linger"), "Rested."), tools=[linger])
    quick = us.Agent("quick", "Greets.", model=us.Scripted(*["Hello."] * 5))
    async with us.System(slow, quick) as system, anyio.create_task_group() as tasks:

        async def wait() -> None:
            assert (await system.run(slow, "rest", id="a", timeout=20)).output == "Rested."

        tasks.start_soon(wait)
        await going.wait()
        await system.run(quick, "greet", id="0", timeout=20)
        looked, standing = list[str](), system._shell.kernel.standing

        def watched(run: Address) -> object:
            looked.append(run)
            return standing(run)

        monkeypatch.setattr(system._shell.kernel, "standing", watched)
        for n in range(1, 5):
            await system.run(quick, "greet", id=str(n), timeout=20)
        assert "quick/1" in looked
        assert "slow/a" not in looked
        release.set()


async def test_a_load_that_takes_long_holds_up_nobody_else_and_passive_actors_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew = us.Supervisor("crew", [us.Child("a/{name}", Actor)])
    async with us.System(crew, journal=tmp_path / "a.db", in_memory=1) as system:
        assert await system.ask("a/ada", Add(1)) == 1
        assert await system.ask("a/bob", Add(1)) == 1
        find, gate, begun = system._shell.journal.find, anyio.Event(), anyio.Event()

        async def slow(wants: tuple[Want, ...]) -> tuple[Found, ...]:
            if any(want.address == "a/cyd" for want in wants):
                begun.set()
                await gate.wait()
            return await find(wants)

        monkeypatch.setattr(system._shell.journal, "find", slow)
        answers: list[int] = []

        async def ask(name: str) -> None:
            answers.append(await system.ask(f"a/{name}", Add(1)))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, "cyd")
            await begun.wait()
            assert system.stats().loading == 1
            assert await system.ask("a/bob", Add(1), timeout=20) == 2, (
                "bob comes in and has his turn while cyd is being read"
            )
            assert answers == []
            gate.set()
        assert answers == [1]
        assert await system.ask("a/ada", Add(1), timeout=20) == 2
        stats = system.stats()
        assert (stats.actors <= 2, stats.loading, stats.passivated >= 1) == (True, 0, True)


async def test_a_journal_that_cannot_be_read_for_now_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "FIRST_WAIT", 0.0)
    crew = us.Supervisor("crew", [us.Child("a/{name}", Actor)])
    async with us.System(crew, journal=tmp_path / "a.db") as system:
        find = system._shell.journal.find

        async def away(wants: tuple[Want, ...]) -> tuple[Found, ...]:
            raise JournalError("the disk is away")

        async def one_bad(wants: tuple[Want, ...]) -> tuple[Found, ...]:
            if any(want.address == "a/bob" and want.after < loading.BEHIND_EVERYTHING for want in wants):
                raise JournalError("a bad sector")
            return await find(wants)

        assert await system.ask("a/bob", Add(1)) == 1
        monkeypatch.setattr(system._shell.journal, "find", away)
        with pytest.raises(us.AskFailed, match="cannot be brought into memory") as refused:
            await system.ask("a/ada", Add(1), timeout=20)
        assert refused.value.failure.kind == "retry_later"
        system._shell.kernel.rest(1e12)
        monkeypatch.setattr(system._shell.journal, "find", one_bad)
        assert await system.ask("a/ada", Add(1), timeout=20) == 1
        with pytest.raises(us.AskFailed, match="cannot be read by this code") as parked:
            await system.ask("a/bob", Add(1), timeout=20)
        assert parked.value.failure.code == "unreadable"
        monkeypatch.setattr(system._shell.journal, "find", find)
        system._shell.kernel.rest(1e12)
        assert await system.ask("a/bob", Add(1), timeout=20) == 2


async def test_messages_from_outside_wait_while_twice_as_many_as_wanted_are_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew = us.Supervisor("crew", [us.Child("a/{name}", Actor)])
    async with us.System(crew, journal=tmp_path / "a.db", in_memory=2) as system:
        most = 0
        deliver = Kernel.deliver

        def counted(self: Kernel, envelope: Envelope, input: str, *more: Known | None) -> None:
            nonlocal most
            deliver(self, envelope, input, *more)
            most = max(most, len(self.residents.cells))

        monkeypatch.setattr(Kernel, "deliver", counted)
        async with anyio.create_task_group() as tasks:
            for n in range(50):
                tasks.start_soon(system.tell, f"a/{n}", Add(1))
        assert most == 4
        assert len(await system.actors("a")) == 50


@pytest.mark.parametrize(("options", "complaint"), [({"idle": -1.0}, "idle"), ({"in_memory": 0}, "in_memory")])
def test_bounds_that_make_no_sense_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(us.DefinitionError, match=complaint):
        us.System(sender(), **options)


async def test_keys_are_looked_up_together_and_what_one_caller_sends_keeps_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew = us.Supervisor("crew", [us.Child("a/{name}", Actor)])
    async with us.System(crew, journal=tmp_path / "a.db") as system:
        recall, looks, gate = system._shell.journal.recall, list[int](), anyio.Event()

        async def counted(pairs: tuple[tuple[Address, str], ...]) -> tuple[Known | None, ...]:
            looks.append(len(pairs))
            await gate.wait()
            return await recall(pairs)

        monkeypatch.setattr(system._shell.journal, "recall", counted)
        answers: dict[int, int] = {}

        async def ask(n: int, key: str) -> None:
            answers[n] = await system.ask("a/ada", Add(1), key=key)

        async with anyio.create_task_group() as tasks:
            for n in range(20):
                tasks.start_soon(ask, n, "" if n % 5 == 4 else f"k{n}")
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
            assert await system.ask("a/bob", Add(1), timeout=20) == 1, "others do not wait"
            gate.set()
        assert answers == {n: n + 1 for n in range(20)}
        assert len(looks) <= 2
        assert sum(looks) == 16
        assert await system.ask("a/ada", Add(1), key="k0") == 1
        assert await system.ask("a/ada", Add(1)) == 21
        assert system._shell._recalling.floor == NEVER
    async with us.System(crew, journal=tmp_path / "a.db") as system:
        assert await system.ask("a/ada", Add(1), key="k7") == 8
        with pytest.raises(us.AskFailed, match="another message") as refused:
            await system.ask("a/ada", Add(2), key="k7")
        assert refused.value.failure.code == "other_payload"


async def test_a_look_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recalling, "FIRST_WAIT", 0.0)
    crew = us.Supervisor("crew", [us.Child("a/{name}", Actor)])
    async with us.System(crew, journal=tmp_path / "a.db") as system:
        recall, failures = system._shell.journal.recall, [JournalError("away"), JournalError("away")]

        async def flaky(pairs: tuple[tuple[Address, str], ...]) -> tuple[Known | None, ...]:
            if failures:
                raise failures.pop()
            return await recall(pairs)

        monkeypatch.setattr(system._shell.journal, "recall", flaky)
        assert await system.ask("a/ada", Add(1), key="k", timeout=20) == 1
        assert not failures
