"""The strict stand-in: it says the script, and every difference to it comes to light."""

import pytest
from msgspec import Struct

from tests.tools.models.asking import answer, ask, user
from understudy.protocols.errors import DefinitionError, Failed, NotStorable
from understudy.protocols.failures import Failure
from understudy.protocols.model import ModelReply, ModelRequest, ToolCall, Usage
from understudy.tools.models.scripted import Reply, Scripted, Unscripted, call


class Report(Struct, frozen=True):
    city: str


async def test_replies_come_in_the_order_of_the_script_and_a_text_is_streamed() -> None:
    heard: list[str] = []
    with Scripted("one", "two") as model:
        first = await model.complete(ask("x"), heard.append)
        second = await model.complete(ask("x"), heard.append)
    assert (first.text, first.finish, second.text) == ("one", "stop", "two")
    assert heard == ["one", "two"]
    assert [request.messages[0].text for request in model.requests] == ["x", "x"]


def _shout(request: ModelRequest) -> str:
    return request.messages[0].text.upper()


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Report("Oslo"), '{"city":"Oslo"}'),
        ({"city": "Oslo"}, '{"city":"Oslo"}'),
        (["Oslo", 1], '["Oslo",1]'),
        ([], "[]"),
        (_shout, "X"),
    ],
)
async def test_structs_and_containers_are_final_answers_as_json_and_functions_are_asked(
    reply: Reply, text: str
) -> None:
    assert (await Scripted(reply).complete(ask("x"), _unheard)).text == text


async def test_tool_calls_in_one_answer_get_ids_that_no_call_of_the_conversation_has() -> None:
    model = Scripted(call("add", a=1, b=2), (call("add", a=3), call("sub", tool="saw")))
    first = await model.complete(ask("x"), _unheard)
    assert first == ModelReply(
        calls=(ToolCall("c1", "add", '{"a":1,"b":2}'),), finish="tool_calls", usage=first.usage, model="scripted"
    )
    second = await model.complete(ask("x", *answer(first, {"result": 3})), _unheard)
    assert [(made.id, made.name, made.arguments) for made in second.calls] == [
        ("c2", "add", '{"a":3}'),
        ("c3", "sub", '{"tool":"saw"}'),
    ]


async def test_a_full_reply_is_said_as_it_is() -> None:
    reply = ModelReply("ok", usage=Usage(5, 6), model="other:name", cost=0.5)
    assert await Scripted(reply).complete(ask("x"), _unheard) == reply


async def test_tokens_are_an_estimate_and_say_so() -> None:
    assert (await Scripted("12345").complete(ask("1234"), _unheard)).usage == Usage(1, 2, estimated=True)


async def test_failures_and_exceptions_are_raised_and_the_script_goes_on() -> None:
    busy, odd = Failure("retry_later", "rate_limited", "too many", after=2.0), ValueError("odd")
    with Scripted(busy, odd, "ok") as model:
        with pytest.raises(Failed) as failed:
            await model.complete(ask("x", key="k"), _unheard)
        assert failed.value.failure == busy
        with pytest.raises(ValueError, match="odd"):
            await model.complete(ask("x", key="k"), _unheard)
        assert (await model.complete(ask("x", key="k"), _unheard)).text == "ok"


async def test_a_request_too_many_fails_for_good_and_is_remembered_until_the_end() -> None:
    model = Scripted("only")
    await model.complete(ask("x"), _unheard)
    model.finish()  # the control: up to here all is well
    with pytest.raises(Unscripted, match=r"a 2\. time, its script has 1 replies") as refused:
        await model.complete(ask("and now?"), _unheard)
    assert (refused.value.failure.kind, refused.value.failure.code) == ("abandon", "unexpected_request")
    with pytest.raises(AssertionError, match="and now"):
        model.finish()


async def test_replies_left_over_are_an_error_but_hide_no_other() -> None:
    with (
        pytest.raises(Unscripted, match="1 of 2 replies were not asked for, the next is 'two'"),
        Scripted("one", "two") as model,
    ):
        await model.complete(ask("x"), _unheard)
    with pytest.raises(ZeroDivisionError), Scripted("one"):
        raise ZeroDivisionError


async def test_the_last_reply_repeats_for_ever_where_asked_for() -> None:
    with Scripted("first", call("again"), repeat=True) as model:
        said = [await model.complete(ask("x"), _unheard) for _ in range(50)]
    assert [reply.text for reply in said[:2]] == ["first", ""]
    assert all(reply.calls == (ToolCall("c1", "again", "{}"),) for reply in said[1:])
    with pytest.raises(DefinitionError):
        Scripted(repeat=True)


async def test_a_request_whose_answer_was_lost_gets_it_again_and_the_script_goes_on_after_it() -> None:
    with Scripted("one", "two") as model:
        first = await model.complete(ask("x", key="run/1"), _unheard)
        assert await model.complete(ask("x", key="run/1"), _unheard) == first
        assert (await model.complete(ask("x", key="run/2"), _unheard)).text == "two"
    model = Scripted("one", "two")  # the control: without a key, or with another conversation, it is another request
    await model.complete(ask("x"), _unheard)
    assert (await model.complete(ask("x"), _unheard)).text == "two"
    model = Scripted("one", "two")
    await model.complete(ask("x", key="k"), _unheard)
    assert (await model.complete(ask("y", key="k"), _unheard)).text == "two"


async def test_many_conversations_each_follow_their_own_script() -> None:
    model = Scripted.by_task({"fire": ["f1", "f2"], "fire brigade": ["b1"], "": ["rest"]})
    told = ["a fire", "the fire brigade", "what else", "a fire"]
    assert [(await model.complete(ask(task), _unheard)).text for task in told] == ["f1", "b1", "rest", "f2"]
    model.finish()
    with pytest.raises(Unscripted, match="no script for 'flood'"):
        await Scripted.by_task({"fire": ["f"]}).complete(ask("flood"), _unheard)


async def test_the_script_is_chosen_by_the_first_user_message() -> None:
    model = Scripted.by_task({"fire": ["f"], "flood": ["w"]})
    request = ModelRequest("scripted", (user("flood"), user("fire")))
    assert (await model.complete(request, _unheard)).text == "w"


def test_what_is_no_json_cannot_be_an_argument() -> None:
    with pytest.raises(NotStorable):
        call("add", a=object())


def _unheard(text: str) -> None:
    """Deltas nobody listens to."""
