"""A budget that is hit: each rung of its ladder is a row, and the run never passes for one that came to a clean end."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

import understudy as us
from tests.simulation import purse
from tests.simulation.purse import ask, node, result
from understudy.actors.mailbox import Item
from understudy.protocols.budget import Account, Rung
from understudy.protocols.codec import decode, encode
from understudy.protocols.envelope import Context, Envelope
from understudy.protocols.journal import Record
from understudy.protocols.lifecycle import Restart
from understudy.protocols.model import ModelRequest
from understudy.protocols.tasks import Result
from understudy.testing import Sent, Simulated
from understudy.tools.models.rules import Rule, Rules, Say
from understudy.tools.models.scripted import Scripted, call

DEAR, FAIR = us.Price(1_000.0, 1_000.0), us.Price(1.0, 1.0)
SHORT = us.Limits(answer=300, approval=None)
ENOUGH = us.Usage(900, 100)


@us.tool(effect="read")
def look() -> str:
    """Look."""
    return "seen"


@us.tool(effect="once", cost=0.4, kind="write", sinks=(), payload=(), trusted=True)
def buy(what: str) -> str:
    """Buy."""
    purse.witness.used["buy"] += 1
    return f"bought {what}"


def talks(name: str, *said: Any, price: us.Price = FAIR) -> Scripted:
    """A model that says these, one after the other, and then the last one for ever; it bills 1,000 tokens each time."""
    replies = [one if isinstance(one, us.ModelReply) else us.ModelReply(one, usage=ENOUGH) for one in said]
    return Scripted(*replies, repeat=True, name=name, price=price)


def step(text: str = "") -> us.ModelReply:
    return us.ModelReply(text, (call("look"),), "tool_calls", ENOUGH)


def agent(*models: Any, name: str = "a", limits: us.Limits = SHORT, **more: Any) -> us.Agent[str]:
    return us.Agent(name, "Do it.", model=models, tools=[look, buy], limits=limits, **more)


def budget(usd: float, *hit: Rung, **more: Any) -> us.Budget:
    return us.Budget(usd=usd, hit=hit, **more)


def events(made: Simulated, address: str) -> list[tuple[str, Any]]:
    records = [decode(row.payload, Record) for row in made.journal.stream(address)]  # type: ignore[arg-type]
    return [(e.wire, e.data) for r in records for e in r.events]


def rungs(made: Simulated, address: str = "a/1") -> list[str]:
    return [decode(data, dict)["rung"] for wire, data in events(made, address) if wire == "agent.hit_budget"]


def run(who: us.Agent[str], *, key: str = "k", **task: Any) -> tuple[Simulated, Sent]:
    made, _ = node(who)
    sent = ask(made, f"{who.name}/1", key=key, **task)
    made.rest()
    return made, sent


def said(sent: Sent) -> object:
    """What a run gave."""
    value: object = decode(result(sent).output, object)
    return value


def broke(over: Result, where: str = "a/1") -> None:
    assert over.status == "failed"
    assert over.failure is not None
    assert (over.failure.code, over.failure.where) == ("budget_exhausted", where)
    assert over.reason


def test_the_next_model_of_the_chain_is_asked_where_the_first_is_too_dear() -> None:
    made, sent = run(agent(talks("dear", "no", price=DEAR), talks("fair", "yes"), budget=budget(0.5, "cheaper")))
    assert (result(sent).status, said(sent)) == ("done", "yes")
    assert rungs(made) == ["cheaper"]


def test_a_rule_answers_where_no_model_can_be_paid() -> None:
    rules = Rules("r", [Rule(Say("by the rule"))])
    who = agent(
        talks("dear", "no", price=DEAR), talks("also", "no", price=DEAR), rules, budget=budget(0.1, "cheaper", "rule")
    )
    made, sent = run(who)
    assert (result(sent).status, said(sent)) == ("done", "by the rule")
    assert rungs(made) == ["cheaper", "rule"]


def test_a_run_that_has_said_something_ends_with_that_and_the_reason() -> None:
    made, sent = run(agent(talks("m", step("so far: 1 of 3"), step("so far: 2 of 3")), budget=us.Budget(usd=0.006)))
    broke(result(sent))
    assert said(sent) == "so far: 2 of 3"
    assert rungs(made) == ["partial"]
    assert "left" in result(sent).reason


def test_a_run_that_has_nothing_asks_a_person_and_goes_on_with_as_much_again() -> None:
    made, sent = run(
        agent(talks("m", step(), step(), step(), "done"), budget=budget(0.004, "cheaper", "partial", "person"))
    )
    (item,) = made.inbox()
    assert item.kind == "approval"
    assert "$0.004" in item.text
    assert sent.reply is None
    made.crash(down=5.0)
    made.again(sent)
    made.rest()
    assert len(made.inbox()) == 1
    made.answer(item.id, "approve", by="ada")
    made.rest()
    assert result(sent).status == "done"
    assert rungs(made) == ["person"]
    account = decode(made.kernel.sets.books["budget/run/a/1"].value, Account)
    assert (account.limit_usd, account.raised) == (8_000_000, 1)


@pytest.mark.parametrize("how", ["reject", "silence"])
def test_a_person_who_says_no_or_nothing_ends_it_with_the_reason(how: str) -> None:
    limits = us.Limits(answer=300, approval=None if how == "reject" else 60.0)
    made, sent = run(agent(talks("m", step(), step(), step(), "done"), budget=budget(0.004, "person"), limits=limits))
    for item in made.inbox():
        made.answer(item.id, "reject", by="ada", reason="enough")
    made.rest()
    broke(result(sent))
    assert ("enough" if how == "reject" else "nobody answered") in result(sent).reason


def test_the_question_is_there_after_a_crash() -> None:
    made, sent = run(agent(talks("m", step(), step(), step(), "done"), budget=budget(0.004, "person")))
    (first,) = made.inbox()
    made.crash(down=1.0)
    made.again(sent)
    made.rest()
    (item,) = made.inbox()
    assert item.id == first.id
    made.answer(item.id, "approve")
    made.rest()
    assert result(sent).status == "done"


def test_without_a_rung_it_has_failed_with_the_budget_and_what_is_left() -> None:
    made, sent = run(agent(talks("m", step("so far"), step()), budget=budget(0.005)))
    broke(result(sent))
    assert said(sent) is None
    assert rungs(made) == []


def test_the_ladder_of_the_budget_that_is_hit_counts_and_the_task_s_is_known_by_its_name() -> None:
    made, sent = run(
        agent(talks("m", step("so far"), step()), budget=budget(9.0, "person")), budget=budget(0.005, "partial")
    )
    broke(result(sent), "a/1#task")
    assert rungs(made) == ["partial"]


def test_a_tool_that_cannot_be_paid_is_a_failure_that_the_agent_sees() -> None:
    def reply(request: ModelRequest) -> us.ModelReply:
        seen = [m.text for m in request.messages if m.role == "tool"]
        if len(seen) < 3:
            return us.ModelReply("", (call("buy", what=f"no {len(seen)}"),), "tool_calls", ENOUGH)
        return us.ModelReply(
            "; ".join(("budget_exhausted" in text and "refused") or "bought" for text in seen), usage=ENOUGH
        )

    _, sent = run(agent(Scripted(reply, repeat=True, name="m", price=FAIR), budget=us.Budget(usd=1.0)))
    assert said(sent) == "bought; bought; refused"
    assert purse.witness.used["buy"] == 2


def test_a_tool_call_asks_a_person_where_the_ladder_has_one() -> None:
    def reply(request: ModelRequest) -> us.ModelReply:
        if any(m.role == "tool" for m in request.messages):
            return us.ModelReply("done", usage=ENOUGH)
        return us.ModelReply("", (call("buy", what="it"),), "tool_calls", ENOUGH)

    made, sent = run(agent(Scripted(reply, repeat=True, name="m", price=FAIR), budget=budget(0.3, "person")))
    (item,) = made.inbox()
    assert "buy" in item.text
    made.answer(item.id, "approve")
    made.rest()
    assert (result(sent).status, purse.witness.used["buy"]) == ("done", 1)


@pytest.mark.parametrize(("wait", "bought"), [(10.0, 1), (200.0, 0)])
def test_a_person_who_gives_more_money_does_not_renew_the_yes_to_the_call(wait: float, bought: int) -> None:
    @us.tool(name="buy", effect="once", cost=0.4, kind="write", sinks=(), payload=(), trusted=True, approve=True)
    def careful(what: str) -> str:
        """Buy."""
        purse.witness.used["careful"] += 1
        return f"bought {what}"

    purse.witness.used["careful"] = 0
    model = Scripted(us.ModelReply("", (call("buy", what="it"),), "tool_calls", ENOUGH), "done", price=FAIR)
    limits = us.Limits(answer=300, approval=None, approved=100.0)
    made, _ = run(us.Agent("a", "Do it.", model=model, tools=[careful], limits=limits, budget=budget(0.3, "person")))
    (item,) = made.inbox()
    made.answer(item.id, "approve")
    made.rest()
    (item,) = made.inbox()
    assert "as much again" in item.text
    made.pass_time(wait)
    made.kernel.tick(made.now)
    made.answer(item.id, "approve")
    made.rest()
    assert purse.witness.used["careful"] == bought


def test_time_ends_a_run_with_what_there_is() -> None:
    slow = agent(talks("m", step("so far"), step("further")), budget=us.Budget(seconds=30.0))
    made, _ = node(slow)
    sent = ask(made, "a/1")
    for _ in range(200):
        made.step()
        if made.kernel.sets.timers:
            break
    made.now += 31.0
    made.rest()
    broke(result(sent))
    assert "30 s is over" in result(sent).reason


def test_time_of_a_task_ends_a_worker_and_a_team() -> None:
    never = talks("m", step("so far"))

    waits = us.Agent(
        "w", "Wait.", model=never, tools=[look], limits=us.Limits(answer=300, repeats=99, steps=99, cycles=99)
    )
    made, _ = node(us.Supervisor("crew", [waits]))
    sent = ask(made, "crew/1", "wait", budget=us.Budget(seconds=10.0))
    made.rest()
    broke(result(sent), "crew/1#task")


def test_the_task_s_budget_goes_with_the_team_s_work_and_ends_it_without_asking_anybody() -> None:
    made, recount = node(us.Supervisor("crew", [agent(talks("m", step("half of it"), step()), name="a")]))
    sent = ask(made, "crew/1", budget=us.Budget(usd=0.006))
    made.rest()
    broke(result(sent), "crew/1#task")
    assert said(sent) == "half of it"
    assert made.inbox() == ()
    assert not recount.wrong


def test_a_worker_s_own_budget_is_its_own_and_the_team_goes_on_with_another() -> None:
    poor = agent(talks("m", step("half of it"), step()), name="poor", budget=us.Budget(usd=0.004))
    made, _ = node(us.Supervisor("crew", [poor, agent(talks("n", "done"), name="other")], route=lambda _: "poor"))
    sent = ask(made, "crew/1")
    made.rest()
    (item,) = made.inbox()
    made.answer(item.id, "answer", value="other")
    made.rest()
    assert result(sent).status == "done", "what the other one spends is not the poor one's"
    keys = [k for k in made.kernel.sets.books if k.startswith("budget/run/")]
    assert keys == ["budget/run/crew/1/poor"]


def test_steps_of_a_plan_draw_on_the_team_s_budget_and_what_is_done_stays() -> None:
    one, two = agent(talks("m", "one"), name="one"), agent(talks("n", step("two, half"), step()), name="two")
    crew = us.Supervisor("crew", [one, two], budget=us.Budget(usd=0.006))
    made, recount = node(crew)
    plan = us.Plan(
        goal="both", steps=(us.Step("first", "one", "do one"), us.Step("second", "two", "do two", after=("first",)))
    )
    sent = ask(made, "crew/1", plan=plan)
    made.rest()
    broke(result(sent), "crew/1")
    assert {name: part.status for name, part in result(sent).parts.items()} == {"first": "done", "second": "skipped"}
    assert made.inbox() == ()
    assert not recount.wrong


def test_a_front_door_that_cannot_be_paid_ends_the_task_and_asks_nobody() -> None:
    who = agent(talks("m", "done"))
    door = us.Router("door", "Route.", model=talks("dear", "no", price=DEAR), to=(who,))
    made, _ = node(us.Supervisor("crew", [who], route=door, budget=us.Budget(usd=0.01)))
    sent = ask(made, "crew/1")
    made.rest()
    broke(result(sent), "crew/1")
    assert made.inbox() == ()


def test_a_run_that_another_run_began_draws_on_the_first_one_s_budget() -> None:
    def hands(request: ModelRequest) -> us.ModelReply:
        if any(m.role == "tool" for m in request.messages):
            return us.ModelReply("handed", usage=ENOUGH)
        return us.ModelReply("", (call("hand_over", to="other", objective="the rest"),), "tool_calls", ENOUGH)

    model = Scripted(hands, repeat=True, name="h", price=FAIR)
    first = us.Agent("first", "Hand over.", model=model, tools=[us.hand_over], limits=SHORT)
    crew = us.Supervisor("crew", [first, agent(talks("m", "done"), name="other")], route=lambda _: "first")
    made, recount = node(crew)
    sent = ask(made, "crew/1", budget=us.Budget(usd=0.5))
    made.rest()
    assert result(sent).status == "done"
    (account,) = (a for key, a in made.kernel.sets.books.items() if key.startswith("budget/run/"))
    assert account.key == "budget/run/crew/1#task"
    assert recount.account(account.key).usd == 3 * FAIR.nano(900, 100)
    assert not recount.wrong


def test_a_run_remembers_its_budget_over_a_restart() -> None:
    model = talks("m", step("a"), step("b"), step("c"), "done")
    made, recount = node(us.Supervisor("crew", [agent(model, name="a")]))
    sent = ask(made, "crew/1", budget=us.Budget(usd=0.5))
    while not (recount.books and recount.account("budget/run/crew/1#task").usd):
        assert made.step()
    address = made.actor("crew/1/a").address
    order = Envelope(
        "again", address, Restart.__wire__, Raw(encode(Restart())), context=Context(address), lane="control"
    )
    made.kernel.put(made.kernel.addressee(address), Item(order, durable=False), "accepted")
    made.rest()
    assert result(sent).status == "done"
    assert made.actor("crew/1/a").memory.incarnation == 1
    assert [one.account for one in made.actor("crew/1/a").memory.context.budgets] == ["crew/1#task"]
    assert recount.account("budget/run/crew/1#task").usd == len(model.requests) * FAIR.nano(900, 100)
