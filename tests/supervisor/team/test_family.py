"""What a run and all that it causes may hand on: models that hand on everything, at every level, end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import understudy as us
from tests.supervisor.team.crew import rows
from understudy.actors.cell import read_record
from understudy.actors.family import FAMILY, Family
from understudy.protocols.codec import decode
from understudy.supervisor.journal.sqlite import SqliteJournal
from understudy.supervisor.replay.verify import replay
from understudy.testing import Faults, Simulated

NAMES = ("anna", "bert", "cleo", "dora", "emil")


def everything(wide: int) -> us.Rules:
    """A model that does nothing itself: it hands on so many pieces of whatever it is given."""

    def hand_on(facts: us.Facts) -> tuple[us.Use, ...]:
        pieces = [f"{facts.text.strip()}/{n}" for n in range(wide)]
        return tuple(
            us.Use("delegate", {"to": NAMES[min(piece.count("/"), 4)], "objective": piece}) for piece in pieces
        )

    return us.Rules(
        "lazy", [us.Rule(hand_on, before=("delegate",)), us.Rule(us.Say("Others did it."), after=("delegate",))]
    )


def crew(wide: int = 3, *, depth: int = 4, family: int = 200) -> list[us.Agent[str]]:
    """Five of whom each gives everything to the next."""
    most = us.Limits(depth=depth, family=family)
    return [
        us.Agent(name, "Do it.", model=everything(wide), tools=[us.builtin.delegate(NAMES)], limits=most)
        for name in NAMES
    ]


def team(wide: int = 3, **limits: int) -> us.Supervisor:
    return us.Supervisor("desk", crew(wide, **limits), route=lambda _: "anna")


def begun(node: Simulated) -> int:
    """Runs of agents that were begun."""
    return len({row.stream for row in rows(node) if row.stream.count("/") > 1 and "/shared/" not in row.stream})


def handed(node: Simulated) -> int:
    """Tasks that were handed on."""
    return sum(
        effect.name == "delegate" and effect.state == "sent"
        for row in rows(node) for effect in read_record(row).effects
    )  # fmt: skip


def given(node: Simulated, run: str = "desk/r") -> us.Result:
    sent = node.ask(run, us.Task("x"), key=run)
    node.rest()
    while sent.lost:
        node.again(sent)
        node.rest()
    assert sent.reply is not None
    result: us.Result = decode(sent.reply.value, us.Result)
    return result


def test_a_family_hands_on_so_many_tasks_in_all_whoever_of_it_does() -> None:
    node = Simulated(team(family=20), seed=1)
    assert given(node).status == "done"
    assert (handed(node), begun(node)) == (20, 21)
    told = b"".join(bytes(row.payload) for row in rows(node))
    assert b"family_full" in told
    assert b"all who work on it" in told, "models are told"


def test_without_the_check_it_grows_with_every_level() -> None:
    """The control."""
    node = Simulated(team(family=20), seed=1, skip=frozenset({"limits.family"}))
    assert given(node).status == "done"
    assert handed(node) > 3 * 20


def test_no_configuration_means_200() -> None:
    node = Simulated(team(wide=7), seed=1)
    assert given(node).status == "done"
    assert handed(node) == us.Limits().family == 200


def test_the_exact_limit_is_let_through() -> None:
    node = Simulated(team(wide=3, depth=2, family=3 + 9), seed=1)
    assert given(node).status == "done"
    assert handed(node) == 12
    assert b"family_full" not in b"".join(bytes(row.payload) for row in rows(node))


def test_each_task_from_outside_begins_a_family_of_its_own() -> None:
    node = Simulated(team(family=5), seed=1)
    for run in ("desk/a", "desk/b"):
        given(node, run)
    assert handed(node) == 10
    lines = {
        key: decode(entry.value, Family).handed for key, entry in node.kernel.books.items() if key.startswith(FAMILY)
    }
    assert lines == {"family/desk/a": 5, "family/desk/b": 5}


def test_agents_without_a_team_are_a_family_too() -> None:
    node = Simulated(*crew(family=6), seed=1)
    given(node, "anna/r")
    assert handed(node) == 6


class Post(us.Actor):
    """Gives each thing that it is told to a run of its own, for ever."""

    class State(us.State):
        pass

    @us.handles(us.Task)
    def post(self, turn: us.Turn[State], task: us.Task) -> us.Later[us.Result]:
        later = turn.later(task)
        turn.ask(f"anna/{task.objective}", us.Task("x"), tag=later)
        return later

    @us.settles(us.Task)
    def done(self, turn: us.Turn[State], outcome: us.Outcome[us.Result]) -> None:
        turn.reply(outcome.tag, outcome.value)


def test_an_actor_that_lives_for_ever_is_no_family() -> None:
    node = Simulated(us.Child("post", Post), *crew(family=6), seed=1)
    for name in ("a", "b", "c"):
        node.ask("post", us.Task(name), key=name)
        node.rest()
    assert handed(node) == 18


@pytest.mark.parametrize("seed", range(12))
def test_it_holds_under_faults_and_crashes_and_the_books_are_what_the_rows_say(seed: int) -> None:
    node = Simulated(team(family=15), seed=seed, faults=Faults(crash=0.02, commit_fails=0.05, commit_unknown=0.05))
    sent = node.ask("desk/r", us.Task("x"), key="r")
    for _ in range(50):
        node.rest()
        if not sent.lost:
            break
        node.again(sent)
    assert sent.reply is not None
    assert handed(node) == 15
    (entry,) = [entry for key, entry in node.kernel.books.items() if key.startswith(FAMILY)]
    assert decode(entry.value, Family).handed == 15


def test_limits_that_are_none_are_refused() -> None:
    for bad in (-1, True, 1.5, "many"):
        limits: Any = us.Limits(family=bad)  # type: ignore[arg-type]
        with pytest.raises(us.DefinitionError, match="family"):
            us.Agent("a", "b", model="m", limits=limits)


twelve = team(family=12, depth=3)


def test_what_a_turn_was_told_of_its_family_is_known_in_replay(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    node = Simulated(twelve, seed=2, journal=SqliteJournal(path))  # type: ignore[arg-type]  # the same port
    given(node)
    assert b"family_full" in b"".join(bytes(row.payload) for row in rows(node))
    node.journal.close()
    report = replay(path, "desk/r", f"{__name__}:twelve")
    assert report.difference is None
    assert report.turns > 20
