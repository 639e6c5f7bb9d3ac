"""Shadow mode: a gate that records and does not act. What is simulated never happens, whatever crashes and whoever goes on with it."""

from __future__ import annotations

from typing import Any

import pytest

import understudy as us
from tests.actors.crew import said
from tests.supervisor.team.crew import result
from tests.supervisor.team.test_undoing import DONE, Desk, begin, give_up
from understudy.actors.cell import read_record
from understudy.protocols.effects import Effect
from understudy.protocols.ids import Address
from understudy.protocols.journal import Record
from understudy.protocols.shadow import SHADOW
from understudy.supervisor.auditing import audit
from understudy.supervisor.telling.teller import tell
from understudy.testing import Faults, Sent, Simulated
from understudy.tools.models.scripted import call

world: list[str] = []
"""What happened."""


@us.tool(effect="read")
def look(what: str) -> str:
    """Look something up."""
    world.append(f"look {what}")
    return "seen"


@us.tool(effect="read", kind="egress")
def ping(what: str) -> str:
    """Ask another house."""
    world.append(f"ping {what}")
    return "pong"


@us.tool(effect="once", kind="money", amount="usd", sinks=["to"])
def pay(to: str, usd: float) -> str:
    """Pay somebody."""
    world.append(f"pay {to}")
    return f"{to} got {usd:g}"


@us.tool(effect="idempotent", kind="write")
def note(text: str) -> str:
    """Write something down."""
    world.append(f"note {text}")
    return text


@us.tool(effect="reconcilable", kind="write")
def book(seat: str) -> str:
    """Book a seat."""
    world.append(f"book {seat}")
    return seat


@book.reconcile
def booked(key: str) -> str:
    world.append("reconcile")
    return "booked"


@us.tool(effect="once", kind="write")
def by_post(text: str) -> str:
    """Write it down, by post."""
    world.append(f"post {text}")
    return text


@us.tool(effect="once", kind="write", fallback=[by_post])
def by_wire(text: str) -> str:
    """Write it down, by wire; this one does not say how it is simulated."""
    world.append(f"wire {text}")
    return text


@pay.simulate
def pretended(to: str, usd: float) -> str:
    return f"{to} would get {usd:g}"


@note.simulate
def not_written(text: str) -> str:
    if text == "full":
        raise us.RetryLater("the book is full", code="full")
    return f"({text})"


@book.simulate
def not_booked(seat: str) -> str:
    return f"({seat})"


@ping.simulate
def not_pinged(what: str) -> str:
    return f"({what})"


ALL: Any = [look, ping, pay, note, book, by_post, by_wire]


class Do(us.Request[str]):
    tool: str
    args: dict[str, object] = {}  # noqa: RUF012 - msgspec makes a new one for each


class Hand(us.Actor):
    """Does what it is told, and says what came of it."""

    @us.handles(Do)
    def do(self, turn: us.Turn[us.State], msg: Do) -> us.Later[str]:
        later = turn.later(msg)
        tools: dict[str, Any] = {tool.spec.name: tool for tool in ALL}
        turn.call(tools[msg.tool], **msg.args, tag=later)
        return later

    @us.settles(us.ANY_TOOL)
    def done(self, turn: us.Turn[us.State], outcome: us.Outcome[object]) -> None:
        how = " simulated" if outcome.simulated else ""
        what = outcome.failure.code if outcome.failure is not None else outcome.value
        turn.reply(outcome.tag, f"{what}{how}")


LARGE = us.ApprovalRule("large", money_above=50)
FIRST = us.ApprovalRule("first payment", tools=("pay",), first=True)
PAY: dict[str, object] = {"to": "ada", "usd": 60.0}


def house(
    *rules: us.ApprovalRule, people: us.People | None = None, before: Simulated | None = None, **options: Any
) -> Simulated:
    if before is None:
        world.clear()
    else:
        before.journal.close()
        options["journal"] = before.journal
    hand = us.Child("hand/{n}", Hand, tools=ALL)
    return Simulated(us.Supervisor("house", [hand], approvals=rules, people=people), **options)


def rest(node: Simulated) -> None:
    """A minute: nobody's time to answer is over."""
    node.pass_time(60)


def answers(node: Simulated) -> list[Record]:
    """Rows in which questions are answered."""
    return [record for _, record in records(node) if record.answer is not None]


def does(node: Simulated, tool: str, who: str = "hand/1", /, **args: object) -> Any:
    sent = node.ask(who, Do(tool, args))
    rest(node)
    return said(sent)


def records(node: Simulated) -> list[tuple[str, Record]]:
    return [(row.kind, read_record(row)) for row in node.journal.rows(limit=1_000_000)]


def calls(node: Simulated) -> list[Effect]:
    """Calls that are over, as the rows say."""
    return [e for _, record in records(node) for e in record.changes if e.state == "settled" and e.verb == "call"]


# -- what is simulated, and what is not ---------------------------------------------------------------------------------


def test_what_changes_something_is_simulated_and_pure_reads_are_made() -> None:
    node = house(shadow=True)
    assert does(node, "look", what="a") == "seen"
    assert does(node, "pay", to="ada", usd=5.0) == "ada would get 5 simulated"
    assert does(node, "note", text="b") == "(b) simulated"
    assert does(node, "book", seat="1a") == "(1a) simulated"
    assert does(node, "ping", what="c") == "(c) simulated", "a read that is heard of outside"
    assert world == ["look a"]


def test_without_the_check_the_world_is_touched() -> None:
    node = house(shadow=True, skip=frozenset({"shadow"}))
    assert does(node, "pay", to="ada", usd=5.0) == "ada got 5"
    assert world == ["pay ada"]


def test_only_those_named_are_in_shadow() -> None:
    node = house(shadow=["pay"])
    assert does(node, "pay", to="ada", usd=5.0) == "ada would get 5 simulated"
    assert does(node, "note", text="b") == "b"
    assert world == ["note b"]


def test_the_verdict_stands_in_a_row_before_anything_is_simulated_and_in_the_audit_and_the_story() -> None:
    node = house(shadow=True)
    does(node, "look", what="a")
    does(node, "note", text="b")
    (started,) = [record for kind, record in records(node) if kind == "started"]
    (begun,) = started.changes
    assert (begun.name, begun.simulated, begun.attempt) == ("note", True, 1)
    assert [(v.check, v.verdict) for v in begun.verdicts][-1] == ("shadow", "simulate")
    assert [(call.name, call.simulated) for call in calls(node)] == [("look", False), ("note", True)]
    rows = [row for row in node.journal.rows(limit=10_000) if row.stream == "hand/1"]
    report = audit(Address("hand/1"), rows)
    assert report.complete
    assert [(call.name, call.outcome, call.simulated) for call in report.calls] == [
        ("look", "done", False), ("note", "done", True),
    ]  # fmt: skip
    assert ("shadow", "simulate") in [(step.check, step.verdict) for step in report.calls[1].steps]
    told = tell(Address("hand/1"), rows)
    assert told.simulated == 1
    lines = "\n".join(line.text for line in told.lines)
    assert "note is simulated, not called" in lines
    assert 'note (simulated) gives "(b)"' in lines
    assert "look is simulated" not in lines


def test_one_that_does_not_say_what_it_would_give_fails_and_no_other_tool_does_it() -> None:
    node = house(shadow=["by_wire"])
    assert does(node, "by_wire", text="x") == "shadowed simulated"
    assert world == []
    (call,) = calls(node)
    assert (call.attempt, call.instead) == (1, ())
    assert call.failure is not None
    assert call.failure.hint == "@by_wire.simulate declares it"


def test_a_simulated_failure_is_one_and_is_not_tried_again() -> None:
    node = house(shadow=True)
    assert does(node, "note", text="full") == "full simulated"
    assert [call.attempt for call in calls(node)] == [1]


@pytest.mark.parametrize("fault", ["hangs", "raises", "late", "fails"])
def test_a_simulation_that_goes_wrong_is_a_failure_never_a_doubt(fault: str) -> None:
    node = house(shadow=True, faults=Faults(**{fault: 1.0}))
    for tool, args in (("pay", PAY), ("note", {"text": "a"}), ("book", {"seat": "1a"})):
        assert str(does(node, tool, **args)).endswith(" simulated")
    assert [call.attempt for call in calls(node)] == [1, 1, 1]
    assert node.inbox() == ()
    assert world == []


def test_nothing_is_reserved_counted_or_held_back_for_it() -> None:
    @us.tool(effect="once", kind="money", cost=0.6)
    def dear(what: str) -> str:
        """Buy it."""
        world.append(what)
        return what

    @dear.simulate
    def cheap(what: str) -> str:
        raise us.Abandon("sold out")

    class Want(us.Request[str]):
        what: str

    class Buyer(us.Actor):
        @us.handles(Want)
        def buy(self, turn: us.Turn[us.State], msg: Want) -> us.Later[str]:
            later = turn.later(msg)
            turn.call(dear, msg.what, tag=later)
            return later

        @us.settles(dear)
        def bought(self, turn: us.Turn[us.State], outcome: us.Outcome[str]) -> None:
            turn.reply(outcome.tag, outcome.value)

    def run(**options: Any) -> Simulated:
        world.clear()
        node = Simulated(
            us.Child("buyer/{n}", Buyer, tools=[dear]), spending=[us.Spending(usd=1.0)],
            rates={"dear": us.Rate(requests=1, per=3_600.0)}, breakers={"dear": us.Breaker(failures=2, probe=True)}, **options,
        )  # fmt: skip
        for n in range(5):
            node.ask(f"buyer/{n}", Want(f"a{n}"))
            node.pass_time(60)
        return node

    node = run(shadow=True)
    assert len(calls(node)) == 5
    assert node.kernel.books == {}
    assert world == []
    real = run()
    assert world == ["a0"], "the control: there is room for one in an hour"
    assert real.kernel.books != {}


# -- crashes, and going on without shadow -------------------------------------------------------------------------------


def storm(seed: int, **options: Any) -> Simulated:
    faults = Faults(
        crash=0.03, commit_fails=0.02, commit_unknown=0.02, load_fails=0.02, fails=0.1, hangs=0.1, twice=0.2
    )
    node = house(LARGE, seed=seed, faults=faults, **options)
    sent: list[Sent] = []
    for n in range(4):
        who = f"hand/{n}"
        sent += [
            node.ask(who, Do("pay", PAY), key=f"pay {n}"), node.ask(who, Do("note", {"text": "a"}), key=f"note {n}"),
            node.ask(who, Do("book", {"seat": "1a"}), key=f"book {n}"), node.ask(who, Do("look", {"what": "a"}), key=f"look {n}"),
        ]  # fmt: skip
    for _ in range(200):
        node.rest()
        lost = [one for one in sent if one.reply is None]
        if not lost:
            break
        for one in lost:
            node.again(one)
    assert all(one.reply is not None for one in sent)
    return node


def test_storms_never_touch_the_world_and_leave_no_doubt() -> None:
    crashed = cut = many = 0
    for seed in range(40):
        node = storm(seed, shadow=True)
        assert not [what for what in world if not what.startswith("look")], seed
        assert node.inbox() == (), seed
        made = [call for call in calls(node) if call.name != "look"]
        assert all(call.simulated for call in made), seed
        crashed, many = crashed + node.crashes, many + len(made)
        cut += sum(call.interrupted > 0 for call in made)
    assert crashed > 40
    assert many > 40 * 11, "but for a message that seemed to kill the process"
    assert cut >= 20, "calls were cut off in the middle"


def test_without_the_check_storms_do() -> None:
    node = house(seed=1, shadow=True, skip=frozenset({"shadow"}), faults=Faults(crash=0.01))
    node.ask("hand/1", Do("pay", PAY), key="p")
    node.rest()
    assert world == ["pay ada"]


def until_started(node: Simulated) -> None:
    """Step until a row says that a call has begun, and it has not come to anything."""
    while not any(kind == "started" for kind, _ in records(node)):
        assert node.step()


def test_a_call_that_was_to_be_simulated_never_happens_also_in_a_system_without_shadow() -> None:
    cases: list[tuple[str, dict[str, object], str]] = [
        ("pay", PAY, "ada would get 60"), ("note", {"text": "a"}, "(a)"), ("book", {"seat": "1a"}, "(1a)")
    ]  # fmt: skip
    for tool, args, comes in cases:
        node = house(shadow=True, seed=3)
        sent = node.ask("hand/1", Do(tool, args), key="k")
        until_started(node)
        node.crash()
        other = house(before=node)
        other.again(again := other.ask("hand/1", Do(tool, args), key="k"))
        other.rest()
        assert sent.reply is None
        assert said(again) == f"{comes} simulated"
        assert world == []
        assert does(other, tool, "hand/2", **args) != f"{comes} simulated", "what comes later is real"
        assert len(world) == 1


def test_a_call_that_had_begun_for_real_is_not_passed_off_as_simulated() -> None:
    """Its attempt was cut off; in shadow none is made, and that nobody knows is said."""
    node = house(seed=3)
    node.ask("hand/1", Do("book", {"seat": "1a"}), key="k")
    until_started(node)
    node.crash()
    other = house(before=node, shadow=True)
    other.rest()
    (item,) = other.inbox()
    assert item.kind == "in_doubt"
    assert "shadow" in item.text
    third = house(before=other)
    third.answer(item.id, "run_again")
    third.rest()
    assert [call.simulated for call in calls(third)] == [False]
    assert "reconcile" in world


# -- people -------------------------------------------------------------------------------------------------------------


def test_nobody_is_asked_and_the_row_says_what_would_have_been() -> None:
    node = house(LARGE, shadow=True, people=us.People(ask=("ada", "bob"), next_after=60.0, quorum=2))
    assert does(node, "pay", **PAY) == "ada would get 60 simulated"
    assert node.inbox() == ()
    (answered,) = answers(node)
    assert answered.answer is not None
    assert (answered.answer.by, answered.answer.grant) == (SHADOW, SHADOW)
    question = answered.changes[0].question
    assert question is not None
    assert (question.policy, question.quorum) == (LARGE.label, 2)


def test_a_call_that_is_not_in_shadow_is_asked_about_as_ever() -> None:
    node = house(LARGE, us.ApprovalRule("notes", tools=("note",)), shadow=["pay"])
    sent = node.ask("hand/1", Do("note", {"text": "a"}))
    rest(node)
    assert [item.tool for item in node.inbox()] == ["note"]
    assert sent.reply is None


def test_what_is_refused_is_refused_in_shadow_too() -> None:
    @us.tool(effect="once", kind="write")
    def strict(what: str) -> str:
        """Do it."""
        return what

    @strict.simulate
    def simulated(what: str) -> str:
        return "simulated"

    @strict.approve_if
    def broken(what: str) -> bool:
        raise ValueError("no idea")

    model = us.Rules("m", [us.Rule(us.Use("strict", {"what": "a"}), before=("strict",)), us.Rule(us.Say("Done."))])
    node = Simulated(us.Agent("a", "Do.", model=model, tools=[strict]), shadow=True)
    node.ask("a/1", us.Task("do"))
    rest(node)
    (effect,) = [e for _, record in records(node) for e in record.effects if e.verb == "call"]
    assert effect.failure is not None
    assert effect.failure.code == "policy_failed"
    assert not effect.simulated


def shadowed_yes(*rules: us.ApprovalRule) -> Simulated:
    """A call that shadow let go, in a process that ended before it began."""
    node = house(*rules, shadow=True)
    node.ask("hand/1", Do("pay", PAY), key="k")
    node.kernel.flights.hold = True  # it drains
    rest(node)
    assert len(answers(node)) == 1
    assert [kind for kind, _ in records(node)].count("started") == 0
    node.crash()
    return node


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_the_yes_of_shadow_lets_no_real_call_go_it_is_asked_about_anew(decision: Any) -> None:
    node = house(LARGE, before=shadowed_yes(LARGE))
    rest(node)
    assert world == []
    (item,) = node.inbox()
    assert (item.kind, item.tool) == ("approval", "pay")
    node.answer(item.id, decision, reason="no")
    rest(node)
    assert world == (["pay ada"] if decision == "approve" else [])
    (call,) = calls(node)
    assert call.answer is not None
    assert call.answer.by == "ada"


def test_without_that_check_the_yes_of_shadow_would_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: a gate that takes it for a person's."""

    def never(answer: object) -> bool:
        return False

    before = shadowed_yes(LARGE)
    monkeypatch.setattr("understudy.tools.gate.by_shadow", never)
    rest(house(LARGE, before=before))
    assert world == ["pay ada"]


def test_what_shadow_let_go_goes_on_in_shadow() -> None:
    node = house(LARGE, before=shadowed_yes(LARGE), shadow=True)
    rest(node)
    assert node.inbox() == ()
    assert [call.simulated for call in calls(node)] == [True]
    assert world == []


def test_the_first_simulated_call_of_a_tool_is_not_the_first_that_a_person_allowed() -> None:
    node = house(FIRST, shadow=True)
    assert does(node, "pay", **PAY) == "ada would get 60 simulated"
    node.crash()
    other = house(FIRST, before=node)
    other.ask("hand/1", Do("pay", {"to": "bob", "usd": 1.0}))
    rest(other)
    assert [item.tool for item in other.inbox()] == ["pay"]
    assert world == []


def test_a_person_cannot_answer_in_the_name_of_shadow() -> None:
    node = house(LARGE)
    node.ask("hand/1", Do("pay", PAY))
    rest(node)
    (item,) = node.inbox()
    node.answer(item.id, "approve", by=SHADOW)
    rest(node)
    assert world == ["pay ada"], "a person called so is a person"


def test_a_yes_of_shadow_to_a_loop_is_no_persons_word_that_it_may_go_on() -> None:
    model = us.Scripted(*[call("pay", to="ada", usd=5.0)] * 3, "It is paid.")
    clerk = us.Agent("clerk", "Pay bills.", model=model, tools=[pay])
    node = Simulated(clerk, shadow=True)
    sent = node.ask("clerk/1", us.Task("pay"))
    rest(node)
    assert sent.reply is not None
    assert [made.simulated for made in calls(node)] == [True] * 3
    assert len(answers(node)) == 2, "a person would have been asked about the second and the third"
    assert node.actor("clerk/1").memory.counters.recent != (), "what was counted is still counted"


# -- what hangs on calls ------------------------------------------------------------------------------------------------


def test_what_was_simulated_is_not_undone() -> None:
    desk = Desk()

    @desk.rent.simulate
    def a_car(objective: str) -> str:
        return "A CAR"

    node = Simulated(desk.team, seed=1, shadow=["rent"])
    end = result(give_up(node))
    assert desk.did == ["book 1", "book 2", "cancel 2", "cancel 1"]
    assert [one.call for one in end.undone] == ["book", "book"]


def test_what_really_happened_is_not_undone_in_shadow_and_a_person_hears_of_it() -> None:
    desk = Desk()
    node = Simulated(desk.team, seed=1)
    begin(node)
    assert desk.did == DONE
    node.crash()
    node.journal.close()
    other = Simulated(desk.team, journal=node.journal, shadow=True)
    (item,) = other.inbox()
    other.answer(item.id, "stop", reason="no use")
    other.pass_time(60)
    assert desk.did == DONE
    (asked,) = other.inbox()
    assert "shadow" in asked.text
    other.crash()
    other.journal.close()
    real = Simulated(desk.team, journal=other.journal)
    real.answer(asked.id, "retry")
    real.pass_time(60)
    assert desk.did == [*DONE, "cancel 2", "cancel 1", "return CAR"]


def test_a_workers_function_is_simulated() -> None:
    done: list[str] = []

    def fetch(objective: str) -> str:
        """Fetch it."""
        done.append(objective)
        return "there"

    worker = us.Worker("fetcher", fetch)

    @worker.simulate
    def pretend(objective: str) -> str:
        return f"would fetch {objective}"

    run = us.run(worker, "it", shadow=True)
    assert run.output == "would fetch it"
    assert done == []
    assert us.run(worker, "it").output == "there"


def test_an_agent_plays_its_part_to_the_end() -> None:
    """What its model is told does not say that it is in shadow: it decides as it would."""
    world.clear()
    rules = [
        us.Rule(us.Use("look", {"what": "ada"}), before=("look",)),
        us.Rule(us.Use("pay", PAY), before=("pay",), after=("look",)),
        us.Rule(us.Say("It is paid."), after=("pay",)),
    ]
    clerk = us.Agent("clerk", "Pay bills.", model=us.Rules("m", rules), tools=[look, pay], approvals=[LARGE])
    answer = us.run(clerk, "Pay ada.", shadow=True)
    assert (answer.output, answer.waiting) == ("It is paid.", ())
    assert world == ["look ada"]
    assert us.run(clerk, "Pay ada.").waiting != (), "the control: a person is asked"


def test_a_worker_that_is_called_undo_undoes_nothing() -> None:
    """Where no tool says how it is undone, the name is free."""
    done: list[str] = []

    def take_back(objective: str) -> str:
        """Take it back."""
        done.append(objective)
        return "taken back"

    worker = us.Worker("undo", take_back)

    @worker.simulate
    def pretend(objective: str) -> str:
        return "would be taken back"

    def other(objective: str) -> str:
        """Something else."""
        return objective

    team = us.Supervisor("desk", [worker, us.Worker("other", other)], route=lambda task: "undo")
    assert us.run(team, "it", shadow=True).output == "would be taken back"
    assert done == []
