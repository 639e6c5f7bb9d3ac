"""A run that is cut off (cancelled, stopped, out of time) takes all that was begun for it along: work, and questions to people."""

from __future__ import annotations

from typing import Any

import pytest

import understudy as us
from tests.supervisor.team.crew import NEVER_AGAIN, clumsy, desk, result, writer
from understudy.actors.cell import read_record
from understudy.protocols.envelope import Envelope
from understudy.supervisor.team.dispatch import TeamActor
from understudy.testing import Faults, Simulated
from understudy.tools.models.scripted import call


def to_fetcher(task: us.Task) -> str:
    return "fetcher"


def to_nobody(task: us.Task) -> str:
    return "nobody"


def lame(**options: Any) -> us.Supervisor:
    """A team whose worker is given up at its first answer."""
    return us.Supervisor("desk", [clumsy("fetcher"), writer()], intensity=NEVER_AGAIN, route=to_fetcher, **options)


def life(node: Simulated, address: str) -> str:
    return node.actor(address).memory.life


@pytest.mark.parametrize("parallel", [None, 1])
@pytest.mark.parametrize("how", ["cancelled", "deadline"])
def test_the_question_about_a_given_up_worker_is_withdrawn_with_the_run(how: str, parallel: int | None) -> None:
    node = Simulated(lame(parallel=parallel), seed=1)
    due = node.now + 1_000 if how == "deadline" else None
    sent = node.ask("desk/r", us.Task("go", deadline=due), key="r")
    node.pass_time(100)
    if parallel is None:
        assert [item.about for item in node.inbox()] == ["desk/r/fetcher"]
    if how == "cancelled":
        node.tell("desk/r", us.Cancel("enough"))
    node.pass_time(2_000)
    told = result(sent)
    assert told.failure is not None
    assert told.failure.code == how
    assert node.inbox() == ()
    assert life(node, "desk/r/fetcher") in ("stopped", "finished")
    assert not node.stuck()


def test_a_worker_that_is_given_up_after_its_run_was_cancelled_asks_nobody() -> None:
    """The word that it is cancelled may come while its supervisor decides."""
    met = set[str]()
    for seed in range(60):
        node = Simulated(lame(), seed=seed)
        node.ask("desk/r", us.Task("go"), key="r")
        for _ in range(seed):
            node.step()
        node.tell("desk/r", us.Cancel("enough"))
        node.pass_time(100)
        assert node.inbox() == (), seed
        met.add(life(node, "desk/r/fetcher"))
    assert met >= {"stopped", "finished"}, "cancelled before it failed, and after it"


def test_a_consultation_with_one_who_was_given_up_asks_nobody_when_it_is_cancelled() -> None:
    team = us.Supervisor(
        "desk", [clumsy("fetcher"), writer()], intensity=NEVER_AGAIN, route=lambda _: ("fetcher", "writer")
    )
    node = Simulated(team, seed=1)
    node.ask("desk/r", us.Task("go"), key="r")
    node.pass_time(100)
    assert [item.about for item in node.inbox()] == ["desk/r/fetcher"]
    node.tell("desk/r", us.Cancel("enough"))
    node.pass_time(100)
    assert node.inbox() == ()


def test_what_a_cancelled_agent_handed_over_is_called_off_down_the_chain() -> None:
    """The colleague's colleague was given up: its question goes, too."""
    given = [us.Agent(name, "x", model=us.Scripted(call("hand_over", to=to, objective="go"), "done"), tools=[us.hand_over])
             for name, to in (("first", "second"), ("second", "third"))]  # fmt: skip
    team = us.Supervisor("desk", [*given, clumsy("third")], intensity=NEVER_AGAIN, route=lambda _: "first")
    node = Simulated(team, seed=1)
    sent = node.ask("desk/r", us.Task("go"), key="r")
    node.pass_time(100)
    (item,) = node.inbox()
    assert "third" in item.about
    node.tell("desk/r", us.Cancel("enough"))
    node.pass_time(100)
    assert result(sent).status == "failed"
    assert node.inbox() == ()
    second = next(line.address for line in node.journal.actors("desk/r") if "/second" in line.address)
    assert life(node, second) == "finished"
    assert not node.stuck()


def test_what_a_person_has_a_team_do_is_done_within_the_time_of_whoever_asked() -> None:
    """The deadline of the request goes down also from the turn in which a person's answer is taken."""
    node = Simulated(desk(route=to_nobody), faults=Faults(hangs=1.0), seed=1)
    sent = node.ask("desk/r", us.Task("go"), timeout=10_000.0)
    node.pass_time(100)
    (item,) = node.inbox()
    node.answer(item.id, "replace", value="writer")
    node.pass_time(100)
    asks = [s for row in node.journal.rows(limit=1_000) for s in read_record(row).sends if s.to == "desk/r/writer"]
    assert [ask.wire for ask in asks] == ["us.task"]
    back, mine = asks[0].reply_to, sent.thing
    assert back is not None
    assert isinstance(mine, Envelope)
    assert mine.reply_to is not None
    assert (back.request, back.deadline) == (mine.id, mine.reply_to.deadline)


def test_what_a_stopped_run_had_under_way_is_called_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(actor: TeamActor, turn: Any, failure: us.Failure) -> None:
        raise RuntimeError("a bug of the team's")

    monkeypatch.setattr(TeamActor, "cut_off", fails)
    node = Simulated(desk(route=to_fetcher, intensity=NEVER_AGAIN), faults=Faults(hangs=1.0), seed=1)
    sent = node.ask("desk/r", us.Task("go"), key="r")
    node.pass_time(1)
    assert [effect.stream for effect in node.kernel.sets.effects.values()] == ["desk/r/fetcher"]
    node.tell("desk/r", us.Cancel("enough"))
    node.pass_time(1)
    (item,) = node.inbox()
    assert item.about == "desk/r"
    assert life(node, "desk/r/fetcher") == "running", "nobody has decided yet"
    node.answer(item.id, "stop", reason="no")
    node.pass_time(1)
    assert life(node, "desk/r") == "stopped"
    assert life(node, "desk/r/fetcher") == "finished"
    assert sent.reply is not None
    assert sent.reply.failure is not None
    assert sent.reply.failure.code == "stopped"
    assert not [effect for effect in node.kernel.sets.effects.values() if effect.state != "started"]
