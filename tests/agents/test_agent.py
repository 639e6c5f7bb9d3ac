"""``us.Agent``: think, act, observe, answer, on a running system with a scripted model."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
import pytest

import understudy as us
from understudy.protocols.errors import WrongAnswer
from understudy.protocols.failures import Failure
from understudy.protocols.model import ToolCall
from understudy.tools.models.scripted import call

ran: list[str] = []


@pytest.fixture(autouse=True)
def _fresh() -> None:
    ran.clear()


@us.tool(effect="read")
def look(name: str) -> str:
    """Look something up."""
    ran.append(f"look {name}")
    return f"{name} is fine"


@us.tool(effect="read")
def listen(name: str) -> str:
    """Listen to something."""
    ran.append(f"listen {name}")
    return f"{name} is quiet"


@us.tool(effect="once")
def pay(to: str, usd: float) -> str:
    """Pay somebody."""
    ran.append(f"pay {to}")
    return "paid"


@pay.approve_if
def large(to: str, usd: float) -> bool:
    """Payments above 50 USD."""
    return usd > 50


class Verdict(msgspec.Struct):
    ok: bool
    why: str


def agent(*replies: object, repeat: bool = False, **options: object) -> tuple[us.Agent[str], us.Scripted]:
    model = us.Scripted(*replies, repeat=repeat)  # type: ignore[arg-type]
    options.setdefault("tools", [look, listen, pay])
    return us.Agent("clerk", "Do what is asked.", model=model, **options), model  # type: ignore[call-overload]


async def run(clerk: us.Agent[str], task: str = "How is ada?") -> us.RunResult[str]:
    async with us.System(clerk) as system:
        return await system.run(clerk, task, timeout=20)


async def test_it_thinks_acts_observes_and_answers() -> None:
    clerk, model = agent(call("look", name="ada"), "Ada is fine.")
    with model:
        result = await run(clerk)
    assert result.output == "Ada is fine."
    assert result.status == "done"
    assert ran == ["look ada"]
    assert result.result is not None
    assert (result.result.steps, result.result.by[:6]) == (2, "clerk/")
    assert [m.role for m in model.requests[1].messages] == ["system", "user", "assistant", "tool"]
    assert model.requests[1].messages[-1].text == '<untrusted from="look">\n{"result":"ada is fine"}\n</untrusted>'
    assert {offer.name for offer in model.requests[0].tools} == {"look", "listen", "pay", "cannot_complete"}


async def test_calls_of_one_answer_all_come_back_before_it_thinks_again() -> None:
    clerk, model = agent([call("look", name="ada"), call("listen", name="bob"), call("look", name="cyd")], "All fine.")
    with model:
        await run(clerk)
    assert sorted(ran) == ["listen bob", "look ada", "look cyd"]
    assert [m.role for m in model.requests[1].messages][-3:] == ["tool"] * 3


async def test_an_answer_in_a_type_is_that_type() -> None:
    model = us.Scripted(Verdict(True, "it is"))
    clerk = us.Agent("clerk", "Judge.", model=model, output=Verdict)
    async with us.System(clerk) as system:
        result = await system.run(clerk, "Is it?", timeout=20)
    assert result.output == Verdict(True, "it is")
    assert model.requests[0].output is not None


async def test_an_answer_that_does_not_fit_is_sent_back_and_then_fails_with_what_there_is() -> None:
    model = us.Scripted("yes", '{"ok":1,"why":"x"}', '```json\n{"ok":"no"}\n```')
    clerk = us.Agent("clerk", "Judge.", model=model, output=Verdict)
    with model:
        async with us.System(clerk) as system:
            result = await system.run(clerk, "Is it?", timeout=20)
    assert result.status == "failed"
    assert "does not fit" in model.requests[1].messages[-1].text
    assert result.result is not None
    assert result.result.failure is not None
    assert result.result.failure.code == "bad_answer"
    with pytest.raises(us.RunFailed, match="bad_answer"):
        _ = result.output


async def test_an_answer_that_fits_the_second_time_is_taken() -> None:
    model = us.Scripted("yes", '```json\n{"ok":true,"why":"now"}\n```')
    clerk = us.Agent("clerk", "Judge.", model=model, output=Verdict)
    async with us.System(clerk) as system:
        assert (await system.run(clerk, "Is it?", timeout=20)).output == Verdict(True, "now")


async def test_it_may_say_that_it_cannot_with_what_it_has() -> None:
    clerk, _ = agent(call("cannot_complete", reason="no data", partial={"found": 2}))
    result = await run(clerk)
    assert result.status == "cannot"
    assert result.result is not None
    assert (result.result.reason, bytes(result.result.output)) == ("no data", b'{"found":2}')
    with pytest.raises(us.RunFailed, match="no data"):
        _ = result.output


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (ToolCall("", "nosuch", "{}"), "unknown_tool"),
        (ToolCall("", "look", '{"name":5}'), "bad_arguments"),
        (ToolCall("", "look", '{"name":"a","x":1}'), "bad_arguments"),
        (ToolCall("", "look", "{"), "bad_arguments"),
        (ToolCall("", "look", "[" * 150_000), "bad_arguments"),
        (ToolCall("", "look", '"' + "a" * 300_000 + '"'), "bad_arguments"),
    ],
    ids=["unknown tool", "wrong type", "unknown field", "no JSON", "deep", "large"],
)
async def test_a_wrong_call_comes_back_as_a_typed_failure_and_the_tool_does_not_run(said: ToolCall, code: str) -> None:
    clerk, model = agent(said, "I give up.")
    result = await run(clerk)
    assert result.output == "I give up."
    assert ran == []
    seen = msgspec.json.decode(model.requests[1].messages[-1].text)["failure"]
    assert (seen["kind"], seen["code"]) == ("change_arguments", code)


async def test_an_answer_that_no_row_could_hold_goes_to_a_person_with_a_typed_failure() -> None:
    clerk, _ = agent(ToolCall("", "look", '{"name":"' + "a" * 2_000_000 + '"}'))
    result = await run(clerk)
    assert result.status == "waiting"
    assert result.waiting[0].failure is not None
    assert result.waiting[0].failure.code == "result_too_large"
    assert ran == []


async def test_the_next_model_of_the_chain_answers_when_one_cannot() -> None:
    broken = us.Scripted(Failure("abandon", "no_credit", "no credit left"), name="first")
    rules = us.Scripted("Ada is fine.", name="second")
    clerk = us.Agent("clerk", "Answer.", model=[broken, rules])
    result = await run(clerk)
    assert result.output == "Ada is fine."
    assert rules.requests[0].model == "second"


async def test_a_chain_of_models_ends_at_a_person_who_can_let_it_try_again() -> None:
    one = us.Scripted(Failure("abandon", "no_one", "no"), "Ada is fine.", name="one")
    two = us.Scripted(Failure("abandon", "no_two", "no"), name="two")
    clerk = us.Agent("clerk", "Answer.", model=[one, two])
    async with us.System(clerk) as system:
        stuck = await system.run(clerk, "How is Ada?", id="r", timeout=20)
        (item,) = stuck.waiting
        assert (item.kind, item.failure and item.failure.code) == ("escalation", "no_two")
        with pytest.raises(us.RunFailed, match="no_two"):
            _ = stuck.output  # in memory: it says what is wrong rather than whom to wait for
        await system.approve(item.id, by="ada")
        assert (await system.run(clerk, "How is Ada?", id="r", timeout=20)).output == "Ada is fine."


async def test_a_person_can_answer_in_place_of_the_model_or_stop_the_run() -> None:
    clerk = us.Agent("clerk", "Answer.", model=us.Scripted(Failure("abandon", "down", "no"), repeat=True), output=int)
    async with us.System(clerk) as system:
        (first,) = (await system.run(clerk, "How many?", id="a", timeout=20)).waiting
        with pytest.raises(WrongAnswer, match="does not fit: Expected `int`, got `str`"):
            await system.answer(first.id, "answer", value="many")
        (again,) = (await system.run(clerk, "How many?", id="a", timeout=20)).waiting
        assert again == first, "it is still open"
        await system.answer(again.id, "answer", value=3)
        assert (await system.run(clerk, "How many?", id="a", timeout=20)).output == 3
        (other,) = (await system.run(clerk, "How many?", id="b", timeout=20)).waiting
        await system.reject(other.id, "never mind")
        assert (await system.run(clerk, "How many?", id="b", timeout=20)).status == "failed"


async def test_an_empty_answer_is_sent_back() -> None:
    clerk = us.Agent("clerk", "Answer.", model=us.Scripted("", "Ada."))
    assert (await run(clerk)).output == "Ada."


async def test_two_calls_with_one_id_both_come_back_to_the_model() -> None:
    clerk, model = agent(
        [ToolCall("same", "look", '{"name":"ada"}'), ToolCall("same", "look", '{"name":"bob"}')], "Done."
    )
    assert (await run(clerk)).output == "Done."
    seen = [m.text for m in model.requests[1].messages if m.role == "tool"]
    assert len(seen) == 2


# -- bounded by default -------------------------------------------------------------------------------------------------


async def test_a_model_that_repeats_one_call_for_ever_runs_it_three_times_plans_anew_and_then_waits_for_a_person() -> (
    None
):
    clerk, model = agent(call("look", name="ada"), repeat=True)
    async with us.System(clerk) as system:
        result = await system.run(clerk, "Go", id="r", timeout=20)
        assert result.status == "waiting"
        assert ran == ["look ada"] * 3
        assert len(model.requests) == 5, "three that ran, one that was refused, one that is before a person"
        assert any("Make a new plan" in message.text for message in model.requests[4].messages)
        (item,) = result.waiting
        assert item.kind == "approval"
        await system.reject(item.id, "no more of this")
        result = await system.run(clerk, "Go", id="r", timeout=20)
        assert result.status == "waiting", "it goes on in circles and is before a person again"
        assert ran == ["look ada"] * 3


def in_turns(request: us.ModelRequest) -> ToolCall:
    return call(("look", "listen")[sum(m.role == "assistant" for m in request.messages) % 2], name="x")


def varied(request: us.ModelRequest) -> ToolCall:
    return call("look", name=str(len(request.messages)))


async def test_two_calls_in_turns_end_the_same_way() -> None:
    clerk, _ = agent(
        in_turns,
        repeat=True,
    )
    result = await run(clerk)
    assert result.status == "waiting"
    assert ran[:4] == ["look x", "listen x"] * 2
    assert max(ran.count("look x"), ran.count("listen x")) <= 3


async def test_it_never_takes_more_than_twenty_steps_whatever_it_varies() -> None:
    clerk, model = agent(varied, repeat=True)
    result = await run(clerk)
    assert len(model.requests) == 20
    assert result.status == "failed"
    assert result.result is not None
    assert result.result.failure is not None
    assert result.result.failure.code == "step_limit"


async def test_an_answer_at_step_twenty_is_kept() -> None:
    clerk, model = agent(*[call("look", name=str(n)) for n in range(19)], "At last.")
    with model:
        assert (await run(clerk)).output == "At last."


# -- people -------------------------------------------------------------------------------------------------------------


async def test_a_call_that_waits_for_approval_does_not_hold_its_siblings() -> None:
    clerk, model = agent([call("pay", to="ada", usd=60.0), call("look", name="bob")], "Paid, and bob is fine.")
    async with us.System(clerk) as system:
        result = await system.run(clerk, "Pay ada, look after bob", id="r", timeout=20)
        assert result.status == "waiting"
        assert ran == ["look bob"], "the sibling ran, the payment did not"
        (item,) = result.waiting
        assert (item.tool, item.answers) == ("pay", ("approve", "change", "reject"))
        assert "Payments above 50 USD." in item.text
        with pytest.raises(us.WaitingForPerson, match=item.id):
            _ = result.output
        await system.approve(item.id, by="ada")
        result = await system.run(clerk, "Pay ada, look after bob", id="r", timeout=20)
    assert result.output == "Paid, and bob is fine."
    assert ran == ["look bob", "pay ada"]
    assert len(model.requests) == 2, "it thought again once, when both were there"


async def test_a_rejected_call_is_told_with_its_reason_and_never_runs() -> None:
    clerk, model = agent(call("pay", to="ada", usd=60.0), "Not paid.")
    async with us.System(clerk) as system:
        waiting = await system.run(clerk, "Pay", id="r", timeout=20)
        await system.reject(waiting.waiting[0].id, "too much", by="bob")
        assert (await system.run(clerk, "Pay", id="r", timeout=20)).output == "Not paid."
    assert ran == []
    assert "bob said no: too much" in model.requests[1].messages[-1].text


async def test_the_same_id_gives_the_recorded_answer_and_another_task_is_refused() -> None:
    clerk, model = agent("Once.")
    async with us.System(clerk) as system:
        first = await system.run(clerk, "Go", id="r", timeout=20)
        again = await system.run(clerk, "Go", id="r", timeout=20)
        with pytest.raises(us.AskFailed) as caught:
            await system.run(clerk, "Go elsewhere", id="r", timeout=20)
    assert first.output == again.output == "Once."
    assert len(model.requests) == 1
    assert caught.value.failure.code == "other_payload"


async def test_a_run_can_be_cancelled() -> None:
    @us.tool(effect="read")
    async def hang() -> None:
        """Hang."""
        began.set()
        await anyio.sleep_forever()

    began = anyio.Event()
    clerk, _ = agent(call("hang"), tools=[hang])
    system = us.System(clerk, drain=0.1)

    async def cancel() -> None:
        await began.wait()
        await system.tell("clerk/r", us.Cancel("not needed"))

    result = None
    async with system, anyio.create_task_group() as tasks:
        tasks.start_soon(cancel)
        result = await system.run(clerk, "Go", id="r", timeout=20)
    assert result is not None
    assert result.status == "failed"
    assert result.result is not None
    assert result.result.reason == "not needed"


async def test_committed_rows_and_the_models_text_can_be_watched() -> None:
    clerk, _ = agent(call("look", name="ada"), "Ada is fine.")
    async with us.System(clerk) as system, system.watch("clerk/r") as watched:
        await system.run(clerk, "Go", id="r", timeout=20)
        seen = [watched.receive_nowait() for _ in range(watched.statistics().current_buffer_used)]
    assert [thing.text for thing in seen if isinstance(thing, us.Delta)] == ["Ada is fine."]
    assert [thing.kind for thing in seen if not isinstance(thing, us.Delta)].count("turn") >= 3


def test_what_cannot_work_is_refused_when_it_is_declared() -> None:
    plain: dict[str, Any] = {"name": "a", "instructions": "x", "model": us.Scripted("x")}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"name": "a b"}, "is not an address"),
        ({"name": "a/b"}, "one segment"),
        ({"model": []}, "has no model"),
        ({"tools": [look, look]}, "two tools named 'look'"),
        ({"limits": us.Limits(steps=0)}, "limits.steps=0"),
        ({"limits": us.Limits(approved=float("nan"))}, "limits.approved=nan"),
        ({"limits": us.Limits(approved=-1.0)}, "limits.approved=-1.0"),
        ({"limits": us.Limits(per_tool=3)}, "limits.per_tool=3"),  # type: ignore[arg-type]
        ({"output": object}, "output type"),
    ]
    for options, message in wrong:
        with pytest.raises(us.DefinitionError, match=message):
            us.Agent(**(plain | options))


async def test_us_run_inside_a_running_loop_says_what_to_use() -> None:
    clerk, _ = agent("x")
    with pytest.raises(us.InsideLoop, match=r"await system\.run"):
        us.run(clerk, "Go")


def test_us_run_brings_its_own_loop() -> None:
    clerk, _ = agent("Done.")
    assert us.run(clerk, "Go").output == "Done."


@pytest.mark.parametrize(
    "calls",
    [
        [ToolCall(str(n), "look", f'{{"name": "{chr(97 + n % 26) * (n // 26 + 1)}"}}') for n in range(1_000)],
        [ToolCall("0", "look", f'{{"name": "{"a " * 220_000}"}}')],
        [ToolCall(str(n), "look", f'{{"name": "{"ab" * 40_000}{n}"}}') for n in range(5)],
    ],
    ids=["many", "large", "several large"],
)
async def test_an_answer_with_more_calls_than_a_row_holds_is_told_so_and_the_run_goes_on(calls: list[ToolCall]) -> None:
    told: list[str] = []

    def then(request: Any) -> str:
        told.extend(message.text for message in request.messages if message.role == "tool")
        return "Done."

    made = us.Agent("a", "Look.", model=us.Scripted(us.ModelReply(calls=tuple(calls)), then), tools=[look])
    async with us.System(made) as system:
        assert (await system.run(made, "Go", timeout=20)).output == "Done."
    assert len(told) == len(calls)
    assert any("call less at a time" in text for text in told)
