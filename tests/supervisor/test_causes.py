"""The audit of a run follows its work: to agents that are mounted elsewhere, to shared actors, and no further."""

from __future__ import annotations

from pathlib import Path

import pytest

import understudy as us
from understudy.actors.cell import read_record
from understudy.protocols.ids import Address
from understudy.supervisor.auditing import Audit, audited
from understudy.supervisor.causes import Causes
from understudy.testing import Faults, Simulated

made: list[str] = []


@us.tool(effect="once", kind="write", sinks=())
def write(text: str) -> str:
    """Write something down."""
    made.append(text)
    return text


class Note(us.Request[str]):
    text: str


class Clerk(us.Actor):
    """One for all: writes down what it is asked to."""

    class State(us.State):
        pass

    @us.handles(Note)
    def note(self, turn: us.Turn[State], msg: Note) -> us.Later[str]:
        later = turn.later(msg)
        turn.call(write, msg.text, tag=later)
        return later

    @us.settles(write)
    def written(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        turn.reply(outcome.tag, outcome.value)


class Boss(us.Actor):
    """Lives for one task: asks the clerk, and hands the rest on."""

    class State(us.State):
        pass

    @us.handles(us.Task)
    def begin(self, turn: us.Turn[State], task: us.Task) -> us.Later[us.Result]:
        later = turn.later(task)
        turn.ask("clerk", Note(task.objective), tag=task.objective)
        turn.ask(f"writer/of-{task.objective}", task, tag=later)
        return later

    @us.settles(Note)
    def noted(self, turn: us.Turn[State], outcome: us.Outcome[str]) -> None:
        pass

    @us.settles(us.Task)
    def done(self, turn: us.Turn[State], outcome: us.Outcome[us.Result]) -> None:
        turn.reply(outcome.tag, outcome.value)


def writer() -> us.Agent[str]:
    """Has somebody else look it up, and writes twice."""
    model = us.Rules("writer", [
        us.Rule(us.Use("delegate", {"to": "finder", "objective": "Find it."}), before=("delegate",)),
        us.Rule(us.Use("write", {"text": "found"}), after=("delegate",), before=("write",)),
        us.Rule(us.Say("Written."), after=("write",)),
    ])  # fmt: skip
    return us.Agent("writer", "Write.", model=model, tools=[us.builtin.delegate(["finder"]), write])


def finder() -> us.Agent[str]:
    model = us.Rules("finder", [
        us.Rule(us.Use("write", {"text": "looked"}), before=("write",)), us.Rule(us.Say("Here."), after=("write",)),
    ])  # fmt: skip
    return us.Agent("finder", "Find.", model=model, tools=[write])


def office(**options: object) -> Simulated:
    made.clear()
    boss = us.Child("boss/{run}", Boss)
    desk = us.Supervisor("desk", [us.Child("clerk", Clerk, tools=[write]), boss])
    return Simulated(desk, writer(), finder(), **options)  # type: ignore[arg-type]


def audit_of(node: Simulated, run: str) -> Audit:
    causes = Causes(Address(run), (line.address for line in node.journal.actors(run)))
    while wanted := causes.wanted():
        causes.take([row for address in wanted for row in node.journal.stream(address)])
    return audited(causes)


def calls(told: Audit) -> list[str]:
    return sorted(f"{one.agent.partition('/')[0]} {one.name}" for one in told.calls if one.verb == "call")


ALL = ["clerk write", "finder write", "writer delegate", "writer write"]


def _two_runs(node: Simulated) -> None:
    for name in ("a", "b"):
        node.ask(f"boss/{name}", us.Task(name), key=name)
    node.rest()


def test_the_audit_holds_what_was_done_for_a_run_wherever_and_nothing_of_the_other() -> None:
    node = office(seed=2)
    _two_runs(node)
    reports = [audit_of(node, f"boss/{name}") for name in ("a", "b")]
    assert [calls(told) for told in reports] == [ALL, ALL]
    assert not {one.id for one in reports[0].calls} & {one.id for one in reports[1].calls}
    assert all(told.complete for told in reports)
    (noted,) = [one for one in reports[0].calls if one.actor == "clerk"]
    assert b'"a"' in bytes(noted.arguments)
    assert sum(one.verb == "think" for one in reports[0].calls) == 5


def test_the_actors_below_its_address_alone_would_say_nothing_of_it() -> None:
    """The control."""
    node = office(seed=2)
    _two_runs(node)
    alone = Causes(Address("boss/a"), ())
    alone.take(node.journal.stream(Address("boss/a")))
    assert audited(alone).calls == ()


def test_what_a_run_answers_is_not_followed_to_whoever_asked() -> None:
    node = office(seed=2)
    _two_runs(node)
    run = next(one.actor for one in audit_of(node, "boss/a").calls if one.agent.startswith("finder"))
    assert calls(audit_of(node, run)) == ["finder write"]
    assert calls(audit_of(node, "writer/of-a")) == ["finder write", "writer delegate", "writer write"]


@pytest.mark.parametrize("seed", range(8))
def test_each_call_belongs_to_one_run_after_crashes_and_failed_commits(seed: int) -> None:
    node = office(seed=seed, faults=Faults(commit_fails=0.05, commit_unknown=0.05))
    _two_runs(node)
    node.crash()
    node.rest()
    rows = [(row.stream, read_record(row)) for row in node.journal.rows(limit=10_000)]
    there = {effect.id for _, record in rows for effect in record.effects if effect.verb in ("call", "think")}
    one, other = ({call.id for call in audit_of(node, f"boss/{name}").calls} for name in ("a", "b"))
    assert (one | other, one & other) == (there, set())


async def test_a_system_and_the_command_line_follow_it_too(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with us.System(writer(), finder(), journal=path) as system:
        await system.run(writer(), "Write of it.", id="w")
        told = await system.audit("writer/w")
    assert calls(told) == ["finder write", "writer delegate", "writer write"]
