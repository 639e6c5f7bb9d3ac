"""A task that goes round in a circle: named when it closes, with the chain, and broken as declared."""

from __future__ import annotations

from typing import Any

import pytest

import understudy as us
from tests.supervisor.conflicts.experts import resolved, state
from understudy.protocols.codec import decode
from understudy.supervisor.conflicts.resolver import Resolver
from understudy.testing import Faults, Sent, Simulated
from understudy.tools.models.scripted import call


class Pass(us.Message):
    """From now on hand tasks on to this one; empty: do them."""

    to: str
    how: str = "ask"


class Desk(us.Actor):
    """Hands every task on, or does it."""

    class Set(us.Event, wire="desk.set"):
        to: str
        how: str

    class State(us.State):
        to: str = ""
        how: str = "ask"

    @us.handles(Pass)
    def set(self, turn: us.Turn[State], msg: Pass) -> None:
        turn.emit(Desk.Set(msg.to, msg.how))

    @us.handles(us.Task)
    def work(self, turn: us.Turn[State], task: us.Task) -> us.Result | us.Later[us.Result]:
        if not turn.state.to:
            return us.Result("done", by=turn.me)
        if turn.state.how == "forward":
            return turn.forward(turn.state.to, task)
        if turn.state.how == "tell":
            turn.tell(turn.state.to, task)
            return us.Result("done", by=turn.me)
        later = turn.later(task)
        turn.ask(turn.state.to, us.Task(task.objective + turn.state.how.removeprefix("ask")), tag=later)
        return later

    @us.settles(us.Task)
    def done(self, turn: us.Turn[State], outcome: us.Outcome[us.Result]) -> None:
        turn.reply(outcome.tag, outcome.value)

    @us.applies(Set)
    def was_set(self, state: State, event: Set) -> State:
        return state.evolve(to=event.to, how=event.how)


def node(delegation: Resolver | None = None, seed: int = 0, faults: Faults | None = None, **to: str) -> Simulated:
    """Desks in a team; each keyword says to whom one hands tasks on."""
    team = us.Supervisor("team", [us.Child("desks/{name}", Desk)], conflicts=us.Conflicts(delegation=delegation))
    board = Simulated(team, seed=seed, faults=faults)
    for name, other in to.items():
        whom, _, how = other.partition(" ")
        board.tell(f"desks/{name}", Pass(f"desks/{whom}" if whom else "", how or "ask"))
    board.pass_time(1)
    return board


def task(board: Simulated, to: str = "a", seconds: float = 5.0) -> Sent:
    sent = board.ask(f"desks/{to}", us.Task("Count the sheep"), key=f"task {board.now}")
    board.pass_time(seconds)
    return sent


def failure(sent: Sent) -> us.Failure:
    assert sent.reply is not None
    assert sent.reply.failure is not None
    return sent.reply.failure


def by(sent: Sent) -> str:
    assert sent.reply is not None
    assert sent.reply.failure is None, sent.reply.failure
    found: us.Result = decode(sent.reply.value, us.Result)
    return found.by


def loops(board: Simulated) -> list[Any]:
    return [one for line in board.journal.actors("team/shared/conflict") for one in resolved(board, line.address)]


@pytest.mark.parametrize("how", ["", " ask again", " forward"], ids=["asked", "asked in other words", "forwarded"])
def test_ping_pong_is_named_at_once_with_the_chain_and_refused_by_default(how: str) -> None:
    board = node(a="b", b=f"a{how}")
    sent = task(board)
    why = failure(sent)
    assert why.code == "delegation_cycle"
    assert "desks/a -> desks/b -> desks/a" in why.message
    (event,) = loops(board)
    assert [claim.run for claim in event.conflict.claims] == ["desks/a", "desks/b"]
    assert event.decided.by == "refuse()"


def test_a_longer_circle_is_found_when_it_closes_wherever_it_begins() -> None:
    board = node(start="a", a="b", b="c", c="a")
    why = failure(task(board, "start"))
    assert "desks/a -> desks/b -> desks/c -> desks/a" in why.message
    assert "start" not in why.message


def test_a_chain_that_does_not_close_is_none_and_neither_is_the_same_errand_twice() -> None:
    board = node(a="b", b="c", c="")
    assert [by(task(board)) for _ in range(3)] == ["desks/c"] * 3
    assert loops(board) == []


def test_one_who_is_chosen_does_it_after_all() -> None:
    board = node(us.first_come(), a="b", b="a")
    assert failure(task(board)).code == "delegation_cycle", "a would hand it on again, and that is once too often"
    assert sorted(event.decided.by for event in loops(board)) == ["first_come()", "the limit"]


def test_a_person_says_who_does_it_and_that_one_does() -> None:
    board = node(us.person(), a="b", b="a")
    sent = task(board)
    assert sent.reply is None
    (item,) = board.inbox()
    assert item.options == ("desks/a", "desks/b")
    board.tell("desks/b", Pass(""))
    board.pass_time(1)
    board.crash(down=5)
    board.answer(item.id, "answer", value="desks/b", reason="b has time")
    board.again(sent)
    board.pass_time(5)
    assert by(sent) == "desks/b"
    (event,) = loops(board)
    assert event.decided.winner == 1


def test_nobody_answers_and_it_is_refused() -> None:
    board = node(us.person(within=60), a="b", b="a")
    sent = task(board, seconds=100)
    assert failure(sent).code == "delegation_cycle"


def test_a_task_that_was_told_in_a_circle_is_a_dead_letter() -> None:
    board = node(a="b tell", b="a tell")
    sent = board.ask("desks/a", us.Task("Count the sheep"))
    board.pass_time(5)
    assert by(sent) == "desks/a"
    (letter,) = board.parked()
    assert letter.failure.code == "delegation_cycle"


def test_a_task_that_goes_through_too_many_hands_is_refused() -> None:
    board = node()
    for n in range(40):
        board.tell(f"desks/d{n}", Pass(f"desks/d{n + 1}"))
    board.pass_time(1)
    why = failure(task(board, "d0"))
    assert why.code == "delegation_too_deep"


@pytest.mark.parametrize("how", ["ask", "ask again", "forward"])
def test_who_asks_itself_for_ever_is_stopped(how: str) -> None:
    board = node(us.first_come(), a=f"a {how}")
    assert failure(task(board)).code == "delegation_too_deep"
    (event,) = loops(board)
    assert event.decided.by == "the limit", "nobody is given what went through so many hands"


def test_who_tells_itself_a_task_for_later_is_not() -> None:
    class Patient(us.Actor):
        class Done(us.Event, wire="patient.done"):
            pass

        class State(us.State):
            done: int = 0

        @us.handles(us.Task)
        def work(self, turn: us.Turn[State], task: us.Task) -> us.Result:
            if turn.emit(Patient.Done()).done < 100:
                turn.tell(turn.me, task)
            return us.Result("done")

        @us.applies(Done)
        def was_done(self, state: State, event: Done) -> State:
            return state.evolve(done=state.done + 1)

    board = Simulated(us.Supervisor("team", [us.Child("desks/{name}", Patient)]))
    task(board)
    assert state(board, "desks/a").done == 100


def test_whoever_crashes_in_the_middle_one_answer_comes() -> None:
    for seed in range(30):
        board = node(seed=seed, a="b", b="c", c="a")
        board.faults = Faults(crash=0.01, commit_fails=0.1, commit_unknown=0.1)
        sent = board.ask("desks/a", us.Task("Count the sheep"), key="once")
        board.pass_time(60)
        board.faults = Faults()
        if sent.lost:
            board.again(sent)
        board.pass_time(60)
        if sent.reply is None:
            board.again(sent)
            board.pass_time(60)
        assert failure(sent).code == "delegation_cycle", seed
        assert len(loops(board)) == 1


# -- agents that hand tasks over ---------------------------------------------------------------------------------------


def agent(name: str, instructions: str, *script: Any) -> us.Agent[str]:
    return us.Agent(name, instructions, model=us.Scripted(*script, name=name), tools=[us.hand_over])


async def test_an_agent_hands_a_task_over_to_a_colleague_and_gets_what_came_of_it() -> None:
    one = agent(
        "writer", "Write.", call("hand_over", to="counter", objective="Count the sheep"), "Seven, says the counter."
    )
    other = agent("counter", "Count.", "7")
    team = us.Supervisor("team", [one, other], route=lambda _: "writer")
    async with us.System(team) as system:
        assert (await system.run(team, "Write of sheep", id="r", timeout=20)).output == "Seven, says the counter."
        actors = [line.address for line in await system.actors("team/r")]
    assert actors[:2] == ["team/r", "team/r/counter" + actors[1].removeprefix("team/r/counter")]
    assert len(actors) == 3


@pytest.mark.parametrize("run", ["r", "conflict", "shared", "loop-1"])
async def test_agents_that_hand_a_task_back_and_forth_are_told_the_chain(run: str) -> None:
    one = agent("writer", "Write.", call("hand_over", to="counter", objective="Count the sheep"), "I could not.")
    other = agent("counter", "Count.", call("hand_over", to="writer", objective="You count them"), "They send it back.")
    team = us.Supervisor("team", [one, other], route=lambda _: "writer")
    async with us.System(team) as system:
        assert (await system.run(team, "Write of sheep", id=run, timeout=20)).output == "I could not."
        counter = next(line.address for line in await system.actors(f"team/{run}") if "counter" in line.address)
        rows = b"".join(bytes(row.payload) for row in await system.rows(counter))
        writers = [line.address for line in await system.actors(f"team/{run}") if "writer" in line.address]
        await system.rest()
    assert b"delegation_cycle" in rows
    assert f"team/{run}/writer -> team/{run}/counter".encode() in rows
    assert all(line.startswith(f"team/{run}/writer") for line in writers)


async def test_the_better_suited_one_does_it_where_that_is_declared() -> None:
    one = agent("writer", "Write poems.", call("hand_over", to="counter", objective="Count the sheep"), "Seven, then.")
    script = [call("hand_over", to="writer", objective="Count the sheep"), "It was done."], ["7"]
    other = agent("counter", "Count sheep and goats.", *script[0], *script[1])
    team = us.Supervisor(
        "team", [one, other], route=lambda _: "writer", conflicts=us.Conflicts(delegation=us.suited() | us.refuse())
    )
    async with us.System(team) as system:
        assert (await system.run(team, "Write of sheep", id="r", timeout=20)).output == "Seven, then."
        conflicts = [line.address for line in await system.actors("team/shared")]
        rows = b"".join(bytes(row.payload) for row in await system.rows(conflicts[0]))
    assert b"suited()" in rows
    assert b"counter" in rows


async def test_who_is_no_colleague_is_named() -> None:
    one = agent(
        "writer",
        "Write.",
        call("hand_over", to="nobody", objective="x"),
        call("hand_over", to="a/b", objective="x"),
        "Alone.",
    )
    team = us.Supervisor("team", [one])
    async with us.System(team) as system:
        assert (await system.run(team, "Write", id="r", timeout=20)).output == "Alone."
        rows = b"".join(bytes(row.payload) for row in await system.rows("team/r/writer"))
    assert b"nothing is mounted" in rows
    assert b"not the name of a colleague" in rows
