"""What a user's code, tool or person says ends what it concerns, and never the whole node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import understudy as us
from understudy.protocols.approvals import Question
from understudy.protocols.errors import Failed, JournalError, TooLarge
from understudy.protocols.failures import Failure
from understudy.protocols.ids import Address
from understudy.protocols.journal import Batch, Row
from understudy.supervisor import pump

HALF = "\udcff"
ODD = Failure("zzz", f"odd{HALF}", HALF, after=float("nan"), cause=Failure("abandon", HALF, HALF))  # type: ignore[arg-type]


class Go(us.Message):
    """Grow."""


class Ask(us.Request[int]):
    """Are you there?"""


class Grew(us.Event):
    """One level more."""


class Tree(us.Actor):
    class State(us.State):
        n: int = 0
        tree: Any = None

    @us.handles(Go)
    def go(self, turn: us.Turn[State], msg: Go) -> None:
        for _ in range(600):
            turn.emit(Grew())

    @us.applies(Grew)
    def grew(self, state: State, event: Grew) -> State:
        return state.evolve(n=state.n + 1, tree=[state.tree])

    @us.handles(Ask)
    def ask(self, turn: us.Turn[State], msg: Ask) -> int:
        return turn.state.n


async def test_a_state_too_deep_for_a_snapshot_has_none_and_ends_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "SNAPSHOTS_EVERY", 0.0)
    async with us.System(us.Child("a", Tree), us.Child("b", Tree), journal=tmp_path / "a.db") as system:
        await system.tell("a", Go())
        kernel = system._shell.kernel
        kernel._aging.cells["a"] = kernel.residents.cells[Address("a")]
        while kernel._aging.cells:
            await anyio.lowlevel.checkpoint()
        assert await system.ask("a", Ask(), timeout=20) == 600
        assert await system.ask("b", Ask(), timeout=20) == 0


async def test_a_fault_while_snapshots_are_taken_ends_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "SNAPSHOTS_EVERY", 0.0)
    async with us.System(us.Child("a", Tree), journal=tmp_path / "a.db") as system:
        tried: list[str] = []

        def taken() -> None:
            tried.append("")
            raise RuntimeError("planted")

        monkeypatch.setattr(system._shell.kernel, "take_snapshots", taken)
        while len(tried) < 2:
            await anyio.lowlevel.checkpoint()
        assert await system.ask("a", Ask(), timeout=20) == 0


async def test_a_read_that_fails_while_the_kernel_is_rebuilt_is_one_more_rebuild(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with us.System(us.Child("a", Tree), journal=tmp_path / "a.db") as system:
        await system.tell("a", Go())
        journal = system._shell.journal
        failed: list[str] = []
        append, rows = journal.append, journal.rows

        async def append_fails_once(batch: Batch) -> None:
            if not failed:
                failed.append("append")
                raise JournalError("planted")
            await append(batch)

        async def read_fails_once(after: int = 0, limit: int = 1_000) -> tuple[Row, ...]:
            if len(failed) == 1:
                failed.append("read")
                raise JournalError("planted")
            return await rows(after, limit)

        monkeypatch.setattr(journal, "append", append_fails_once)
        monkeypatch.setattr(journal, "rows", read_fails_once)
        assert await system.ask("a", Ask(), timeout=20) == 600
        assert failed == ["append", "read"]


# -- sizes and words ------------------------------------------------------------------------------------------------


@us.tool(effect="read")
def look(what: str) -> str:
    """Gives much."""
    return "y" * 200_000


@us.tool(effect="once")
def refuse(what: str) -> str:
    """Says no in words that nobody can store."""
    raise Failed(ODD)


class Do(us.Request[str]):
    how: str = ""
    size: int = 0


class Heard(us.Message):
    text: str = ""


class Doer(us.Actor):
    class State(us.State):
        n: int = 0

    @us.handles(Do)
    def do(self, turn: us.Turn[State], msg: Do) -> us.Later[str]:
        later, much = turn.later(msg), "x" * msg.size
        match msg.how:
            case "call":
                turn.call(look, much, tag=later)
            case "refused":
                turn.call(refuse, much, tag=later)
            case "tag":
                turn.ask("memory", Do(), tag=much)
            case "ask":
                turn.ask("memory", Do(), tag=later)
            case "person":
                turn.escalate(Question("escalation", much), tag=later)
            case "nowhere":
                turn.tell("n" * 200, Heard(much))
                turn.reply(later, "sent")
            case _:
                turn.reply(later, "here")
        return later

    @us.settles(look)
    def looked(self, turn: us.Turn[State], out: us.Outcome[str]) -> None:
        turn.reply(out.tag, f"{len(out.value):,}")

    @us.settles(refuse)
    def refused(self, turn: us.Turn[State], out: us.Outcome[str]) -> None:
        turn.reply(out.tag, out.value)

    @us.settles(Do)
    def did(self, turn: us.Turn[State], out: us.Outcome[str]) -> None:
        turn.reply(out.tag, out.value)

    @us.settles(us.PERSON)
    def said(self, turn: us.Turn[State], out: us.Outcome[Any]) -> None:
        turn.reply(out.tag, "said")

    @us.handles(us.Undelivered)
    def undelivered(self, turn: us.Turn[State], msg: us.Undelivered) -> None:
        turn.tell("memory", Heard(msg.reason))


class Memory(us.Actor):
    """Refuses in words that no journal holds."""

    durable = False

    class State(us.State):
        n: int = 0

    @us.handles(Do)
    def do(self, turn: us.Turn[State], msg: Do) -> us.Later[str]:
        later = turn.later(msg)
        turn.refuse(later, ODD)
        return later

    @us.handles(Heard)
    def heard(self, turn: us.Turn[State], msg: Heard) -> None:
        heard.append(msg.text)


heard: list[str] = []


def doers(path: Path) -> us.System:
    heard.clear()
    return us.System(
        us.Child("a", Doer, tools=[look, refuse]),
        us.Child("b", Doer),
        us.Child("memory", Memory),
        journal=path / "a.db",
    )


async def test_more_is_intended_than_fits_into_the_rows_about_it_and_only_that_turn_fails(tmp_path: Path) -> None:
    async with doers(tmp_path) as system:
        with pytest.raises(us.AskFailed, match="what is intended is 900,0"):
            await system.ask("a", Do("call", 900_000), timeout=20)
        assert await system.ask("b", Do(), timeout=20) == "here"
        with pytest.raises(us.AskFailed, match="the tag is"):
            await system.ask("b", Do("tag", 100_000), timeout=20)
    async with doers(tmp_path) as system:
        assert await system.ask("a", Do("call", 450_000), timeout=20) == "200,000"


async def test_what_settles_a_large_call_does_not_say_again_what_was_asked(tmp_path: Path) -> None:
    async with doers(tmp_path) as system:
        await system.ask("a", Do("call", 450_000), timeout=20)
        rows = await system.rows("a")
        assert [len(row.payload) > 400_000 for row in rows if row.kind == "turn"] == [True, False]


async def test_a_failure_in_words_that_no_journal_holds_is_its_askers(tmp_path: Path) -> None:
    for life in range(2):
        async with doers(tmp_path) as system:
            with pytest.raises(us.AskFailed) as told:
                await system.ask("a", Do("ask" if life else "refused"), timeout=20)
            failure = told.value.failure
            assert (failure.kind, failure.code, failure.message, failure.after) == ("abandon", "odd?", "?", None)
            assert failure.cause is not None
            assert failure.cause.message == "?"
            assert await system.ask("b", Do(), timeout=20) == "here"


async def test_an_answer_that_does_not_fit_is_refused_and_the_question_stays_open(tmp_path: Path) -> None:
    answers: list[str] = []
    async with doers(tmp_path) as system:
        async with anyio.create_task_group() as tasks:

            async def ask() -> None:
                answers.append(await system.ask("a", Do("person", 200_000), timeout=20))

            tasks.start_soon(ask)
            while not system.inbox():
                await anyio.lowlevel.checkpoint()
            item = system.inbox()[0].id
            with pytest.raises(TooLarge):
                await system.answer(item, "answer", value="x" * 450_000)
            await system.answer(item, "answer", value="x" * 350_000)
        assert answers == ["said"]


async def test_word_of_a_message_that_hardly_fitted_into_a_row_fits_too(tmp_path: Path) -> None:
    async with doers(tmp_path) as system:
        assert await system.ask("a", Do("nowhere", 999_000), timeout=20) == "sent"
        while not heard:
            await anyio.lowlevel.checkpoint()
        assert heard == ["no_such_actor"]


async def test_names_have_bounds(tmp_path: Path) -> None:
    async with doers(tmp_path) as system:
        with pytest.raises(ValueError, match="2,000,000 characters"):
            await system.ask("a", Do(), key="x" * 2_000_000, timeout=20)
        assert await system.ask("a", Do(), timeout=20) == "here"
