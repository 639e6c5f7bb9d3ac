"""The offline model: which rule wins, what it may look at, and how its move becomes a reply."""

import unicodedata
from typing import Literal

import msgspec
import pytest
from msgspec import Raw, Struct, structs

from tests.tools.models.asking import answer, ask, user
from understudy.protocols.errors import DefinitionError, Failed
from understudy.protocols.model import ModelMessage, ModelReply, ModelRequest, ToolCall
from understudy.tools.models.rules import Cannot, Facts, Rule, Rules, Say, Use, facts_of


class Call(Struct, frozen=True):
    kind: Literal["fire", "medical"]


FIRE, HELP = Rule(Say("fire"), {"smoke|fire": 2.0, "joke": -2.0}), Rule(Say("help"), {"help": 1.0, "now": 1.0})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SMOKE in the stairwell", "fire"),
        ("help, fire", "fire"),
        ("help, fire, it is a joke", "help"),
        ("help now, smoke", "fire"),  # equal scores: the first
        ("it rains", "otherwise"),
    ],
)
async def test_the_highest_sum_of_weights_wins_and_of_equals_the_first(text: str, said: str) -> None:
    assert (await _reply(Rules("desk", [FIRE, HELP], otherwise=Say("otherwise")), ask(text))).text == said


async def test_a_rule_below_its_threshold_is_out() -> None:
    rules = Rules("desk", [structs.replace(HELP, at_least=1.5)], otherwise=Say("otherwise"))
    assert (await _reply(rules, ask("help"))).text == "otherwise"
    assert (await _reply(rules, ask("help now"))).text == "help"


async def test_patterns_know_no_case_in_any_script_and_no_difference_between_composed_and_not() -> None:
    rules = Rules("desk", [Rule(Say("ja"), {"ÜBERFALL|ПОЖАР": 1.0})], otherwise=Say("no"))
    for text in ("überfall", "пожар", unicodedata.normalize("NFD", "Überfall!")):
        assert (await _reply(rules, ask(text))).text == "ja"
    assert (await _reply(rules, ask("uberfall"))).text == "no"


async def test_a_conversation_goes_from_tool_to_tool_to_the_answer() -> None:
    rules = Rules(
        "desk",
        [
            Rule(Use("look_up", {"topic": "smoke"}), before=("look_up",)),
            Rule(Use("units", {"near": "x"}), after=("look_up",), before=("units",)),
            Rule(lambda facts: Say([facts.results["look_up"][0], facts.failures["units"][0]]), after=("units",)),
        ],
    )
    first = await _reply(rules, ask("x"))
    assert first.calls == (ToolCall("c1", "look_up", '{"topic":"smoke"}'),)
    assert (first.finish, first.model) == ("tool_calls", "rules:desk")
    so_far = answer(first, {"result": {"steps": [1, 2]}})
    second = await _reply(rules, ask("x", *so_far))
    assert [(call.id, call.name) for call in second.calls] == [("c2", "units")]
    failure = {"failure": {"kind": "retry_later", "code": "busy", "message": "no answer", "hint": "ask by radio"}}
    last = await _reply(rules, ask("x", *so_far, *answer(second, failure)))
    assert (last.finish, last.text) == ("stop", '[{"steps":[1,2]},"no answer (ask by radio)"]')


async def test_the_same_conversation_gets_the_same_reply() -> None:
    rules = Rules("desk", [Rule(Use("look_up"))])
    assert await _reply(rules, ask("x")) == await _reply(rules, ask("x"))


async def test_several_tools_are_called_side_by_side_with_ids_of_their_own() -> None:
    reply = await _reply(Rules("desk", [Rule(lambda _: (Use("a"), Use("b", {"n": 1})))]), ask("x"))
    assert reply.calls == (ToolCall("c1", "a", "{}"), ToolCall("c2", "b", '{"n":1}'))


async def test_ids_stay_free_when_the_middle_of_the_conversation_was_left_out() -> None:
    rules = Rules("desk", [Rule(Use("a"))])
    kept = ModelMessage("assistant", calls=(ToolCall("c7", "a", "{}"), ToolCall("call_x9", "a", "{}")))
    assert (await _reply(rules, ask("x", kept))).calls[0].id == "c8"


async def test_giving_up_takes_the_agents_exit() -> None:
    reply = await _reply(Rules("desk", []), ask("x"))
    assert reply.calls == (ToolCall("c1", "cannot_complete", '{"reason":"no rule fits","partial":null}'),)
    reply = await _reply(Rules("desk", [Rule(Cannot("half", partial=["a"]))]), ask("x"))
    assert reply.calls[0].arguments == '{"reason":"half","partial":["a"]}'


async def test_an_answer_is_json_where_a_type_is_asked_for_and_plain_where_text_is() -> None:
    typed = structs.replace(ask("x"), output=Raw(b"{}"))
    assert (await _reply(Rules("desk", [Rule(Say(Call("fire")))]), typed)).text == '{"kind":"fire"}'
    assert (await _reply(Rules("desk", [Rule(Say("fire"))]), typed)).text == '"fire"'
    assert (await _reply(Rules("desk", [Rule(Say("fire"))]), ask("x"))).text == "fire"


async def test_a_function_is_told_the_text_the_score_and_nothing_of_what_others_said() -> None:
    seen: list[Facts] = []

    def look(facts: Facts) -> Say:
        seen.append(facts)
        return Say("ok")

    request = ModelRequest(
        "m", (ModelMessage("system", "smoke"), user("fire"), ModelMessage("assistant", "?"), user("yes"))
    )
    await _reply(Rules("desk", [Rule(look, {"fire": 2.5, "smoke": 1.0})]), request)
    assert seen == [Facts("fire\nyes", score=2.5)]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"result": 1, "more": 2}', '{"failure": "x"}', '{"results": 1}', "[" * 9_999]
)
def test_a_tool_message_in_another_shape_is_a_typed_failure(text: str) -> None:
    with pytest.raises(Failed) as failed:
        facts_of([ModelMessage("tool", text, name="look_up")])
    assert (failed.value.failure.kind, failed.value.failure.code) == ("abandon", "unreadable_transcript")
    assert facts_of([ModelMessage("tool", '{"result": null}', name="look_up")]).results == {"look_up": (None,)}


async def test_a_rule_that_raises_is_a_failure_that_names_it_and_keeps_the_cause() -> None:
    rules = Rules("desk", [FIRE, Rule(lambda facts: Say(facts.results["nothing"]))])
    with pytest.raises(Failed, match="rule 2 of rules:desk raised KeyError") as failed:
        await _reply(rules, ask("x"))
    assert [link.code for link in failed.value.failure.chain()] == ["rule_failed", "crashed"]
    with pytest.raises(Failed, match="rule 1 of rules:desk returned"):
        await _reply(Rules("desk", [Rule(lambda _: "text")]), ask("x"))  # type: ignore[arg-type, return-value]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        (Rule(Say(""), {"(": 1.0}), "is not a regular expression"),
        (Rule(Say(""), {"a": float("nan")}), "weight of 'a' is nan"),
        (Rule(Say(""), after=("t",), before=("t",)), r"never fits, \['t'\]"),
        (Rule("text"), "is no move"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ],
)
def test_a_rule_that_cannot_work_is_refused_when_defined_and_named(rule: Rule, complaint: str) -> None:
    with pytest.raises(DefinitionError, match=f"rule 2 of rules:desk: .*{complaint}"):
        Rules("desk", [FIRE, rule])
    Rules("desk", [FIRE])


async def test_usage_is_an_estimate_and_the_price_unknown() -> None:
    reply = await _reply(Rules("desk", [Rule(Say("12345678"))]), ask("1234"))
    assert (reply.usage.input_tokens, reply.usage.output_tokens, reply.usage.estimated) == (1, 2, True)
    assert reply.cost is None
    assert msgspec.json.decode(msgspec.json.encode(reply), type=ModelReply) == reply


async def _reply(rules: Rules, request: ModelRequest) -> ModelReply:
    heard: list[str] = []
    reply = await rules.complete(request, heard.append)
    assert "".join(heard) == reply.text
    return reply


def test_what_stands_beside_a_result_is_no_part_of_it() -> None:
    """That a person changed the call, or that another tool took its place."""
    told = '{"result": 1, "tool": "other", "note": "a person changed it"}'
    assert facts_of([ModelMessage("tool", told, name="look_up")]).results == {"look_up": (1,)}
