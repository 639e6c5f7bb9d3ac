"""Teams whose workers contradict each other on demand, and what stands in the journal about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

import understudy as us
from understudy.actors.cell import read_record
from understudy.protocols.codec import decode
from understudy.protocols.conflicts import ConflictResolved
from understudy.protocols.ids import Address
from understudy.supervisor.conflicts.resolver import Resolver
from understudy.testing import FaultPlan, Faults, Sent, Simulated


def says(name: str, value: object) -> us.Worker[Any]:
    """A worker that always gives this answer; one that raises, where it is an exception."""

    def work(task: us.Task) -> Any:  # whatever is to be said
        if isinstance(value, Exception):
            raise value
        return value

    return us.Worker(name, work, effect="read")


def team(
    *answers: object,
    route: Callable[[us.Task], Any] | None = None,
    compare: Callable[[Any], object] | None = None,
    answers_by: Resolver | None = None,
) -> us.Supervisor:
    """A team whose workers a, b, c … all do each task, and say this."""
    workers = [says(name, answer) for name, answer in zip("abcdefgh", answers, strict=False)]
    names = tuple(worker.name for worker in workers)

    def all_of_them(task: us.Task) -> Any:  # a tuple of names
        return names

    policy = us.Conflicts(answers=answers_by, compare=compare)
    return us.Supervisor("desk", workers, route=route or all_of_them, conflicts=policy)


def consult(
    definition: us.Supervisor, seed: int = 0, faults: Faults | None = None, plan: FaultPlan | None = None
) -> tuple[Simulated, Sent]:
    """A node on which the team was given a task, and a minute has passed."""
    node = Simulated(definition, seed=seed, faults=faults, plan=plan)
    sent = node.ask("desk/r", us.Task("What is it?"), key="task")
    node.pass_time(60)
    return node, sent


def result(sent: Sent) -> us.Result:
    """What the team answered."""
    assert sent.reply is not None, sent.error
    assert sent.reply.failure is None, sent.reply.failure
    answer: us.Result = decode(sent.reply.value, us.Result)
    return answer


def output(sent: Sent) -> Any:  # whatever was answered
    """The answer as plain Python."""
    found = result(sent)
    assert found.status == "done", found
    return msgspec.json.decode(found.output)


def resolved(node: Simulated, address: str = "desk/r/panel") -> list[ConflictResolved]:
    """The decisions that stand in an actor's rows."""
    return events(node, address, ConflictResolved)


def events(node: Simulated, address: str, kind: Any) -> list[Any]:  # a class of events, and some of them
    """An actor's events of one class."""
    found = [event for row in node.journal.stream(Address(address)) for event in read_record(row).events]
    return [decode(event.data, kind) for event in found if event.wire == kind.__wire__]


def with_a_crash_after_every_step(
    make: Callable[[], us.Supervisor], drive: Callable[[Simulated], Sent], check: Callable[[Simulated, Sent], None]
) -> int:
    """Tell a story to its end with a crash after its first step, then with one after its second, and so on. How often it crashed."""
    for steps in range(1, 5_000):
        node = Simulated(make(), seed=steps % 5)
        sent = drive(node)
        if not all(node.step() for _ in range(steps)):
            return steps - 1
        node.crash(down=0.0)
        if sent.lost:
            node.again(sent)
        node.rest()
        check(node, sent)
    raise AssertionError("the story has no end")


def state(node: Simulated, address: str) -> Any:  # the actor's own State
    """An actor's state, as its committed rows say."""
    return node.actor(address).state
