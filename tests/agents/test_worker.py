"""``us.Worker``: a function with a durable inbox. What is tried again, and what a person is asked, follows from its effect class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

import understudy as us
from understudy.actors.cell import read_record
from understudy.protocols.ids import Address
from understudy.testing import Faults, Simulated


class Page(msgspec.Struct):
    url: str
    words: int


async def fetch(task: us.Task) -> Page:
    """Fetch a web page and count its words."""
    return Page(task.objective, msgspec.json.decode(task.inputs["words"], type=int))


def shout(objective: str) -> str:
    """Say it loud."""
    return objective.upper()


async def test_an_async_function_takes_the_task_and_its_result_comes_back_in_its_type() -> None:
    worker = us.Worker("fetcher", fetch, effect="read")
    async with us.System(worker) as system:
        result = await system.run(worker, us.Task("example.org", {"words": msgspec.Raw(b"7")}), timeout=20)
    assert result.output == Page("example.org", 7)
    assert result.result is not None
    assert result.result.by.startswith("fetcher/")


def test_a_plain_function_takes_the_objective_and_the_recorded_answer_is_given_again(tmp_path: Path) -> None:
    calls: list[str] = []

    def count(objective: str) -> int:
        calls.append(objective)
        return len(calls)

    worker = us.Worker("counter", count)
    journal = tmp_path / "work.db"
    first = us.run(worker, "go", id="one", journal=journal)
    again = us.run(worker, "go", id="one", journal=journal)
    assert (first.output, again.output, calls) == (1, 1, ["go"])


async def test_a_team_hands_tasks_to_workers_as_to_agents() -> None:
    agent = us.Agent("writer", "Write poems.", model=us.Scripted("A poem."))
    desk = us.Supervisor("desk", [us.Worker("shouter", shout), agent])
    async with us.System(desk) as system:
        assert (await system.run(desk, "say it loud", timeout=20)).output == "SAY IT LOUD"
        assert (await system.run(desk, "write a poem", timeout=20)).output == "A poem."


async def test_the_call_says_how_the_world_should_know_it() -> None:
    seen: list[us.Call] = []

    async def send(call: us.Call, objective: str) -> str:
        seen.append(call)
        return call.key

    worker = us.Worker("sender", send, effect="idempotent", timeout=7.0)
    async with us.System(worker) as system:
        result = await system.run(worker, "hello", id="x", timeout=20)
    assert result.output == seen[0].key
    assert (seen[0].deadline, seen[0].run) == (7.0, "sender/x")


async def test_a_read_that_fails_by_chance_is_tried_again_and_a_once_is_put_before_a_person() -> None:
    tries: list[str] = []

    def flaky(objective: str) -> str:
        tries.append(objective)
        if len(tries) < 3:
            raise us.RetryNow("not yet")
        return "done"

    reader = us.Worker("reader", flaky, effect="read", retry=us.Retry(attempts=5, base=0.0))
    async with us.System(reader) as system:
        assert (await system.run(reader, "go", timeout=20)).output == "done"
    assert len(tries) == 3

    def explode(objective: str) -> str:
        raise ValueError("half way")

    payer = us.Worker("payer", explode)
    async with us.System(payer) as system:
        result = await system.run(payer, "go", timeout=20)
        (item,) = result.waiting
        await system.answer(item.id, "not_happened", reason="looked it up")
        ended = await system.run(payer, "go", id=result.id, timeout=20)
    assert item.kind == "in_doubt"
    assert ended.status == "failed"


async def test_a_tool_with_its_own_options_can_be_the_function() -> None:
    @us.tool(effect="reconcilable")
    def book(objective: str) -> str:
        return f"booked {objective}"

    with pytest.raises(us.DefinitionError, match="no reconcile function"):
        us.System(us.Worker("booker", book))

    @book.reconcile
    def happened(key: str) -> str | us.NotDone:
        return us.NOT_DONE

    worker = us.Worker("booker", book)
    async with us.System(worker) as system:
        assert (await system.run(worker, "a table", timeout=20)).output == "booked a table"
    with pytest.raises(us.DefinitionError, match="has its options already"):
        us.Worker("booker", book, effect="read")


def _none() -> str:
    return ""


def _two(a: str, b: str) -> str:
    return a + b


def _number(n: int) -> int:
    return n


WRONG: list[tuple[Any, str]] = [(_none, "takes nothing"), (_two, "takes a: str, b: str"), (_number, "takes n: int")]


@pytest.mark.parametrize(("function", "says"), WRONG)
def test_other_parameters_are_refused_at_definition(function: Any, says: str) -> None:
    with pytest.raises(us.DefinitionError, match=says):
        us.Worker("w", function)


@pytest.mark.parametrize("name", ["", "a/b", "a b"])
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(us.DefinitionError, match="worker"):
        us.Worker(name, shout)


async def test_a_cancelled_task_fails_at_once_and_says_why() -> None:
    def never(objective: str) -> str:
        return objective

    @us.tool(effect="once", approve=True)
    def ask_first(objective: str) -> str:
        return never(objective)

    worker = us.Worker("careful", ask_first)
    async with us.System(worker) as system:
        waiting = await system.run(worker, "go", id="x", timeout=20)
        assert waiting.status == "waiting"
        await system.tell("careful/x", us.Cancel("not wanted any more"))
        ended = await system.run(worker, "go", id="x", timeout=20)
    assert ended.result is not None
    assert (ended.status, ended.result.reason) == ("failed", "not wanted any more")


@pytest.mark.parametrize("seed", range(20))
def test_a_task_survives_crashes_and_failed_commits_and_a_once_is_never_called_twice(seed: int) -> None:
    calls: list[str] = []

    @us.tool(effect="once")
    def send(objective: str) -> str:
        calls.append(objective)
        return "sent"

    node = Simulated(us.Worker("sender", send), seed=seed, faults=Faults(crash=0.03, commit_fails=0.1, hangs=0.1))
    sent = [node.ask(f"sender/{n}", us.Task(f"letter {n}"), key=f"k{n}") for n in range(5)]
    for _ in range(200):
        node.step()
    node.faults = Faults()
    while waiting := [task for task in sent if task.reply is None]:
        for task in waiting:
            if task.lost:
                node.again(task)
        node.rest()
        for item in node.inbox():
            node.answer(item.id, "happened", value="sent")
        node.rest()
    assert len(calls) == len(set(calls))
    assert {task.reply.failure for task in sent if task.reply is not None} == {None}


def test_the_rows_of_its_call_name_the_version_of_its_function() -> None:
    @us.tool(effect="once", kind="write", sinks=(), version="2")
    def print_it(objective: str) -> str:
        """Print something."""
        return objective

    node = Simulated(us.Worker("printer", print_it))
    node.ask("printer/1", us.Task("a page"))
    node.rest()
    records = [read_record(row) for row in node.journal.stream(Address("printer/1"))]
    versions = [effect.version for record in records for effect in (*record.effects, *record.changes)]
    assert versions == ["2", "2", "2"]
