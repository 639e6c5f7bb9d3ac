"""A plan that is given up: what its earlier steps did is undone, the last call first, each once, whatever crashes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

import understudy as us
from tests.supervisor.team.crew import fetcher, result, rows, see_through
from understudy.actors.cell import read_record
from understudy.protocols.effects import Effect
from understudy.protocols.model import ModelReply, ModelRequest, ToolCall
from understudy.supervisor.team.dispatch import TeamActor
from understudy.supervisor.team.events import TeamState
from understudy.testing import Faults, Sent, Simulated
from understudy.tools.models.scripted import call


class Booking(msgspec.Struct):
    """What is booked."""

    number: str = ""


class Desk:
    """A team whose workers book by an agent's tool, and rent by a worker's function; what was done, in order."""

    def __init__(
        self, *, lasting: bool = True, trusted: bool = True, room: str = "sold_out", seats: int = 2, **options: Any
    ) -> None:
        """``lasting``: cars can be given back. ``trusted``: what the booking of seats says. ``room``: how the last step fails, or empty."""
        self.log: list[str] = []

        @us.tool(effect="idempotent", kind="write", trusted=trusted)
        def book(seat: str) -> Booking:
            """Book a seat."""
            if f"book {seat}" not in self.log:
                self.log.append(f"book {seat}")
            return Booking(f"no-{seat}")

        @book.compensate
        @us.tool(effect="idempotent", kind="write")
        def cancel(call: us.Call, seat: str, result: Booking) -> None:
            """Give a seat back."""
            assert result.number == f"no-{seat}"
            if f"cancel {seat} {call.key}" not in self.log:
                self.log.append(f"cancel {seat} {call.key}")

        @us.tool(effect="once", kind="write", trusted=True)
        def rent(objective: str) -> str:
            """Rent a car."""
            self.log.append(f"rent {objective}")
            return objective.upper()

        @rent.compensate
        def give_back(result: str) -> None:
            """Give it back."""
            if not lasting:
                raise us.Failed(us.Failure("abandon", "gone", "the garage is closed"))
            self.log.append(f"return {result}")

        def stay(task: us.Task) -> str:
            """Take a room."""
            if room:
                raise us.Failed(us.Failure("abandon", room, "nothing left"))
            return "a room"

        said = [call("book", seat=str(n + 1)) for n in range(seats)]
        agent = us.Agent("clerk", "Book seats.", model=us.Scripted(*said, "Booked."), tools=[book])
        workers: list[us.Agent[Any] | us.Worker[Any]] = [
            agent,
            us.Worker("cars", rent),
            us.Worker("host", stay, effect="read"),
            fetcher(),
        ]
        self.book, self.rent = book, rent
        self.team = us.Supervisor("desk", workers, **options)

    @property
    def did(self) -> list[str]:
        """Without keys."""
        return [" ".join(line.split()[:2]) for line in self.log]


TRIP = us.Plan(
    (
        us.Step("car", "cars", "car"),
        us.Step("seats", "clerk", "two seats", after=("car",)),
        us.Step("room", "host", "a room", after=("seats",)),
    )
)
DONE = ["rent car", "book 1", "book 2"]
UNDONE = ["cancel 2", "cancel 1", "return CAR"]


def begin(node: Simulated, plan: us.Plan = TRIP) -> Sent:
    sent = node.ask("desk/r", us.Task("go", plan=plan), key="r")
    see_through(node, sent)
    return sent


def give_up(node: Simulated, plan: us.Plan = TRIP) -> Sent:
    """Run it; a step that fails is stopped."""
    sent = begin(node, plan)
    for item in node.inbox():
        node.answer(item.id, "stop", reason="no use")
    see_through(node, sent)
    return sent


def effects(node: Simulated, stream: str) -> list[Effect]:
    return [e for row in rows(node) if row.stream == stream for e in read_record(row).effects]


def test_when_a_later_step_is_given_up_what_earlier_ones_did_is_undone_the_last_call_first() -> None:
    desk = Desk()
    node = Simulated(desk.team, seed=1)
    sent = begin(node)
    assert desk.did == DONE, "as long as a person may still mend it nothing is undone"
    (item,) = node.inbox()
    node.answer(item.id, "stop", reason="no use")
    see_through(node, sent)
    end = result(sent)
    assert end.status == "cannot"
    assert end.parts["room"].status == "failed"
    assert desk.did == DONE + UNDONE
    assert [(u.call, u.tool, u.status, u.by) for u in end.undone] == [
        ("book", "cancel", "undone", "desk/r/clerk/seats"),
        ("book", "cancel", "undone", "desk/r/clerk/seats"),
        ("rent", "rent.undo", "undone", "desk/r/cars/car"),
    ]
    made = effects(node, "desk/r/undo")
    assert [(e.name, e.effect, bytes(e.args)) for e in made] == [
        ("cancel", "idempotent", b'{"seat":"2","result":{"number":"no-2"}}'),
        ("cancel", "idempotent", b'{"seat":"1","result":{"number":"no-1"}}'),
        ("rent.undo", "once", b'{"result":"CAR"}'),
    ]
    assert all("permission" in {v.check for v in e.verdicts} for e in made), "they pass the gate"
    assert node.inbox() == ()


@pytest.mark.parametrize("seed", range(12))
def test_whatever_crashes_each_call_is_undone_once(seed: int) -> None:
    desk = Desk()
    node = Simulated(desk.team, seed=seed, faults=Faults(crash=0.03, commit_fails=0.02, commit_unknown=0.02))
    sent = node.ask("desk/r", us.Task("go", plan=TRIP), key="r")
    for _ in range(100):
        see_through(node, sent)
        if not node.inbox():
            break
        for item in node.inbox():  # what is in doubt is looked up, as people do; a step that failed is stopped
            if item.kind == "in_doubt":
                made = any(line.startswith("return" if "undo" in item.text else "rent") for line in desk.log)
                given = None if "undo" in item.text or not made else "CAR"
                node.answer(item.id, "happened" if made else "run_again", value=given)
            else:
                node.answer(item.id, "stop", reason="no use")
    assert result(sent).status == "cannot"
    keys = [line for line in desk.log if line.startswith("cancel")]
    assert len(keys) == len(set(keys)) == 2, "with one key each"
    assert desk.did == DONE + UNDONE


def test_the_control_with_crashes_the_process_does_die_while_it_undoes() -> None:
    node = Simulated(Desk().team, seed=1)
    sent = begin(node)
    (item,) = node.inbox()
    node.answer(item.id, "stop", reason="no use")
    while not effects(node, "desk/r/undo"):
        node.step()
    node.crash()
    see_through(node, sent)
    assert node.crashes == 1
    assert [u.status for u in result(sent).undone] == ["undone"] * 3


def test_a_plan_that_is_done_keeps_what_it_did_and_nobody_waits_to_undo_it() -> None:
    desk = Desk(room="")
    node = Simulated(desk.team, seed=1)
    assert result(give_up(node)).status == "done"
    assert desk.did == DONE
    assert node.actor("desk/r/undo").memory.life == "finished"


def test_a_step_that_is_optional_or_skipped_by_a_person_is_no_reason_to_undo_the_others() -> None:
    optional = us.Plan((*TRIP.steps[:2], us.Step("room", "host", "a room", after=("seats",), optional=True)))
    desk = Desk()
    assert result(give_up(Simulated(desk.team, seed=1), optional)).status == "done"
    assert desk.did == DONE
    desk = Desk()
    node = Simulated(desk.team, seed=1)
    sent = begin(node)
    node.answer(node.inbox()[0].id, "skip")
    see_through(node, sent)
    assert result(sent).status == "done"
    assert desk.did == DONE


def test_a_team_may_say_that_nothing_is_undone() -> None:
    desk = Desk(undo=False)
    node = Simulated(desk.team, seed=1)
    end = result(give_up(node))
    assert (end.status, end.undone) == ("cannot", ())
    assert desk.did == DONE
    assert not [row for row in rows(node) if row.stream == "desk/r/undo"]
    with pytest.raises(us.DefinitionError, match="undo='yes'"):
        Desk(undo="yes")


def test_a_run_that_is_cancelled_is_answered_at_once_and_undone_after_that() -> None:
    desk = Desk()
    node = Simulated(desk.team, seed=1)
    sent = begin(node)
    node.tell("desk/r", us.Cancel("changed my mind"))
    see_through(node, sent)
    assert result(sent).status == "failed"
    assert desk.did == DONE + UNDONE


def test_a_call_in_doubt_is_not_undone_before_somebody_has_said_that_it_happened() -> None:
    for decision, undone in (("happened", ["return AUTO"]), ("not_happened", [])):
        desk = Desk()
        node = Simulated(desk.team, seed=1, faults=Faults(hangs=1.0))
        sent = node.ask("desk/r", us.Task("go", plan=TRIP), key="r")
        node.pass_time(1_000)
        (item,) = node.inbox()
        assert item.kind == "in_doubt"
        node.faults = Faults()
        node.tell("desk/r", us.Cancel("changed my mind"))
        see_through(node, sent)
        assert result(sent).status == "failed"
        before = list(desk.did)
        assert "return AUTO" not in before
        node.answer(item.id, decision, value="AUTO" if decision == "happened" else None)  # type: ignore[arg-type]
        see_through(node, sent)
        assert desk.did == before + undone


def test_what_cannot_be_undone_is_put_before_a_person() -> None:
    desk = Desk(lasting=False)
    node = Simulated(desk.team, seed=1)
    sent = give_up(node)
    (item,) = node.inbox()
    assert sent.reply is None
    assert re.search(r"rent \(.*\) of desk/r/cars/car is not undone by rent\.undo: the garage is closed", item.text)
    node.answer(item.id, "retry")
    see_through(node, sent)
    (item,) = node.inbox()
    node.answer(item.id, "skip", reason="the garage fetches it", by="ada")
    see_through(node, sent)
    end = result(sent)
    assert [(u.status, u.reason) for u in end.undone] == [
        ("undone", ""),
        ("undone", ""),
        ("left", "ada: the garage fetches it"),
    ]


def test_a_person_may_leave_all_that_is_not_undone_yet() -> None:
    desk = Desk()
    assert desk.book.compensation is not None
    desk.book.compensation.approve_if(_always)
    node = Simulated(desk.team, seed=1)
    sent = give_up(node)
    (item,) = node.inbox()
    assert "is not undone by cancel: nobody answered in time" in item.text, "a compensation has its own approval rule"
    node.answer(item.id, "stop", reason="keep all of it")
    see_through(node, sent)
    assert [u.status for u in result(sent).undone] == ["left"] * 3
    assert desk.did == DONE


def _always(seat: str, result: Booking) -> bool:
    """Seats are given back by hand."""
    return True


def test_what_the_failed_step_itself_did_is_undone_too() -> None:
    desk = Desk(trusted=False)
    plan = us.Plan((us.Step("seats", "clerk", "two seats"),))
    clerk = desk.team.workers[0]
    assert isinstance(clerk, us.Agent)
    clerk.models = (us.Scripted([call("book", seat="1")], call("cannot_complete", reason="no second seat")),)
    node = Simulated(desk.team, seed=1)
    assert result(give_up(node, plan)).status == "cannot"
    assert desk.did == ["book 1", "cancel 1"]
    assert node.inbox() == (), "a call may be undone with what it gave itself, whoever wrote that"


def test_what_a_colleague_did_to_whom_a_worker_handed_something_on_is_undone_too() -> None:
    desk = Desk()
    clerk = desk.team.workers[0]
    assert isinstance(clerk, us.Agent)
    chief = us.Agent(
        "chief",
        "Have it done.",
        model=us.Scripted(call("hand_over", to="clerk", objective="two seats"), "Done."),
        tools=[us.hand_over],
    )
    team = us.Supervisor("desk", [chief, *desk.team.workers])
    plan = us.Plan((us.Step("seats", "chief", "seats"), us.Step("room", "host", "a room", after=("seats",))))
    node = Simulated(team, seed=1)
    assert result(give_up(node, plan)).status == "cannot"
    assert desk.did == ["book 1", "book 2", "cancel 2", "cancel 1"]


class Falls:
    """A model whose second answer is too large for a row."""

    name = "falls"

    def __init__(self) -> None:
        book = [ToolCall(f"c{n}", "book", f'{{"seat":"{n}"}}') for n in (1, 2)]
        self.says = [
            ModelReply("", (book[0],), "tool_calls"),
            ModelReply("x" * 600_000),
            ModelReply("", (book[1],), "tool_calls"),
            ModelReply("Booked."),
        ]

    async def complete(self, request: ModelRequest, on_delta: Callable[[str], None]) -> ModelReply:
        return self.says.pop(0)


def test_what_a_worker_did_before_and_after_it_was_restarted_is_undone() -> None:
    desk = Desk()
    clerk = desk.team.workers[0]
    assert isinstance(clerk, us.Agent)
    clerk.models = (Falls(),)
    node = Simulated(desk.team, seed=1)
    give_up(node)
    assert node.actor("desk/r/clerk/seats").memory.incarnation > 0, "the control: it was restarted"
    assert desk.did == DONE + UNDONE


def test_the_same_call_made_twice_is_undone_twice() -> None:
    desk = Desk()
    plan = us.Plan(
        (us.Step("a", "cars", "car"), us.Step("b", "cars", "car"), us.Step("c", "host", "x", after=("a", "b")))
    )
    node = Simulated(desk.team, seed=1)
    give_up(node, plan)
    assert desk.did == ["rent car", "rent car", "return CAR", "return CAR"]


def _to_clerk(task: us.Task) -> str:
    return "clerk"


def test_a_task_that_is_no_plan_has_nothing_noted() -> None:
    desk = Desk(route=_to_clerk)
    node = Simulated(desk.team, seed=1)
    sent = node.ask("desk/r", us.Task("two seats"), key="r")
    see_through(node, sent)
    assert not [row for row in rows(node) if row.stream == "desk/r/undo"]


def test_where_no_tool_has_a_compensation_nobody_is_told_of_anything() -> None:
    node = Simulated(us.Supervisor("desk", [fetcher()]), seed=1)
    sent = node.ask("desk/r", us.Task("go", plan=us.Plan((us.Step("a", "fetcher", "x"),))), key="r")
    see_through(node, sent)
    assert b"undo" not in b"".join(bytes(row.payload) for row in rows(node))
    assert not any("undo" in mount.template for mount in node.tree.directory.mounts())


async def test_on_a_real_node_it_is_the_same() -> None:
    desk = Desk()
    async with us.System(desk.team) as system:
        waits = await system.run(desk.team, TRIP, id="r", timeout=20)
        await system.answer(waits.waiting[0].id, "stop", reason="no use")
        ended = await system.run(desk.team, TRIP, id="r", timeout=20)
    assert ended.result is not None
    assert ended.result.status == "cannot"
    assert [u.status for u in ended.result.undone] == ["undone"] * 3
    assert desk.did == DONE + UNDONE


# -- a team that was given up itself -------------------------------------------------------------------------------------


@pytest.fixture
def stumbling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Teams fail when their plans end, however often they are restarted."""

    def fails(self: TeamActor, turn: us.Turn[TeamState], plan: us.Plan) -> None:
        raise RuntimeError("lost its head")

    monkeypatch.setattr(TeamActor, "_end", fails)


@pytest.mark.usefixtures("stumbling")
@pytest.mark.parametrize("undo", [True, False])
def test_when_a_person_stops_a_team_that_was_given_up_what_it_did_is_undone(undo: bool) -> None:
    desk = Desk(room="", undo=undo)
    node = Simulated(desk.team, seed=1)
    sent = begin(node)
    (item,) = node.inbox()
    assert "desk/r" in item.text
    assert desk.did == DONE, "as long as a person may let it go on nothing is undone"
    node.answer(item.id, "stop", reason="no use")
    see_through(node, sent)
    assert sent.reply is not None
    assert sent.reply.failure is not None
    assert (sent.reply.failure.code, node.actor("desk/r").memory.life) == ("stopped", "stopped")
    assert desk.did == DONE + (UNDONE if undo else [])
    assert node.inbox() == ()
    assert node.stuck() == ()


def test_who_still_works_for_a_team_that_is_stopped_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: TeamActor, turn: us.Turn[TeamState], *_: object, **more: object) -> None:
        raise RuntimeError("lost its head")

    monkeypatch.setattr(TeamActor, "_done", fails)  # at its first step
    rent = Desk().rent
    asks = us.Agent(
        "asker", "Ask.", model=us.Scripted(call("ask_person", question="now?")), tools=[us.builtin.ask_person()]
    )
    team = us.Supervisor("desk", [us.Worker("cars", rent), asks])
    node = Simulated(team, seed=1)
    sent = begin(node, us.Plan((us.Step("car", "cars", "car"), us.Step("more", "asker", "when?"))))
    stop, other = sorted(node.inbox(), key=lambda item: item.actor != "root")
    assert (stop.actor, other.actor) == ("root", "desk/r/asker/more")
    node.answer(stop.id, "stop", reason="no use")
    see_through(node, sent)
    assert node.inbox() == (), "its question is of no use any more"
    assert {node.actor(f"desk/r/{who}").memory.life for who in ("asker/more", "cars/car")} <= {"finished", "stopped"}
    assert [(effect.name, bytes(effect.args)) for effect in effects(node, "desk/r/undo")] == [
        ("rent.undo", b'{"result":"CAR"}')
    ]
    assert node.stuck() == ()


@pytest.mark.usefixtures("stumbling")
@pytest.mark.parametrize("seed", range(6))
def test_whatever_crashes_each_call_of_a_team_that_is_stopped_is_undone_once(seed: int) -> None:
    desk = Desk(room="")
    node = Simulated(desk.team, seed=seed, faults=Faults(crash=0.03, commit_fails=0.02, commit_unknown=0.02))
    sent = node.ask("desk/r", us.Task("go", plan=TRIP), key="r")
    for _ in range(100):
        see_through(node, sent)
        if node.actor("desk/r").memory.life == "stopped":
            break
        for item in node.inbox():
            node.answer(item.id, "happened" if item.kind == "in_doubt" else "stop", reason="no use")
    node.faults = Faults()
    for _ in range(20):
        node.rest()
        for item in node.inbox():
            node.answer(item.id, "happened" if item.kind == "in_doubt" else "stop", reason="no use")
    assert node.actor("desk/r").memory.life == "stopped"
    assert [line for line in desk.did if line.startswith("cancel")] == ["cancel 2", "cancel 1"]
    assert desk.did.count("return CAR") <= 1
    assert node.stuck() == ()
