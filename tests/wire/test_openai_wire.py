"""The adapter to OpenAI against a server that speaks its protocol: aimock, over real connections."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.request import Request, urlopen

import anyio.to_thread
import msgspec
import pytest
from msgspec import Raw, Struct, structs

from tests.wire.aimock import Aimock, start_aimock
from understudy.protocols.budget import Price
from understudy.protocols.errors import Failed, MissingExtra, MissingKey
from understudy.protocols.failures import Failure
from understudy.protocols.model import ModelMessage, ModelReply, ModelRequest, ToolOffer, Usage
from understudy.tools.models.openai import OpenAI
from understudy.tools.models.registry import model as named

FIXTURES = Path(__file__).parent / "fixtures" / "openai"


class Report(Struct, frozen=True):
    kind: Literal["fire", "medical"]
    priority: int = 3


@pytest.fixture(scope="module")
def aimock() -> Iterator[Aimock]:
    with start_aimock(FIXTURES) as server:
        yield server


@pytest.fixture
def gpt(aimock: Aimock) -> OpenAI:
    return OpenAI("gpt-5-mini", base_url=f"{aimock.url}/v1", api_key="any")


@pytest.fixture
def chaos(aimock: Aimock) -> Iterator[Callable[..., None]]:
    """Sets a fault for all requests, until the end of the test."""

    def change(method: str, rates: dict[str, float]) -> None:
        content = {"Content-Type": "application/json"}
        urlopen(Request(f"{aimock.url}/__aimock/chaos", json.dumps(rates).encode(), content, method=method)).close()

    def install(**rates: float) -> None:
        change("POST", rates)

    yield install
    change("DELETE", {})


def _ask(text: str, *more: ModelMessage, **fields: Any) -> ModelRequest:
    return ModelRequest("openai:gpt-5-mini", (ModelMessage("user", text), *more), **fields)


def _unheard(text: str) -> None:
    """Deltas nobody listens to."""


async def _failure(model: OpenAI, request: ModelRequest) -> Failure:
    with pytest.raises(Failed) as failed:
        await model.complete(request, _unheard)
    assert failed.value.failure.where == model.name
    return failed.value.failure


async def test_a_text_arrives_piece_by_piece_with_usage_price_and_the_model_that_answered(gpt: OpenAI) -> None:
    heard: list[str] = []
    reply = await gpt.complete(_ask("tell me at length"), heard.append)
    assert reply.text == "There is smoke in the stairwell, and three people wait on the roof."
    assert len(heard) > 5
    assert "".join(heard) == reply.text
    assert reply.usage == Usage(1000, 100)
    assert (reply.finish, reply.model) == ("stop", "gpt-5-mini-2025-08-07")
    assert reply.cost == pytest.approx(1000 * 0.25e-6 + 100 * 2e-6)


async def test_tool_calls_are_put_together_and_their_results_go_back_into_the_conversation(gpt: OpenAI) -> None:
    offer = ToolOffer("forecast", "Weather.", Raw(b'{"type":"object","properties":{"city":{"type":"string"}}}'))
    request = _ask("weather", tools=(offer,))
    reply = await gpt.complete(request, _unheard)
    assert (reply.text, reply.finish) == ("Let me look.", "tool_calls")
    assert [(call.id, call.name, json.loads(call.arguments)) for call in reply.calls] == [
        ("call_a", "forecast", {"city": "Oslo", "days": [1, 2, 3]}),
        ("call_b", "forecast", {"city": "Tromsø"}),
    ]
    results = (
        ModelMessage("tool", '{"result":"rain"}', call_id="call_a", name="forecast"),
        ModelMessage("tool", '{"result":"snow"}', call_id="call_b", name="forecast"),
    )
    said = (*request.messages, ModelMessage("assistant", reply.text, reply.calls), *results)
    assert (
        await gpt.complete(structs.replace(request, messages=said), _unheard)
    ).text == "Take an umbrella and a shovel."


async def test_an_output_type_is_asked_for_as_a_closed_schema_and_comes_back_as_its_json(
    gpt: OpenAI, aimock: Aimock
) -> None:
    reply = await gpt.complete(_ask("classify", output=_schema(Report)), _unheard)
    assert msgspec.json.decode(reply.text, type=Report) == Report("fire", 1)
    form = (await _journal(aimock))["response_format"]["json_schema"]
    assert form["strict"] is True
    assert form["schema"]["type"] == "object"
    assert form["schema"]["required"] == ["kind", "priority"]
    assert form["schema"]["additionalProperties"] is False


async def test_an_output_that_is_no_object_travels_in_one(gpt: OpenAI) -> None:
    assert (await gpt.complete(_ask("how many", output=_schema(int)), _unheard)).text == "3"
    assert (await gpt.complete(_ask("how many"), _unheard)).text == "plain three"


async def test_a_request_asks_for_usage_and_carries_its_key(gpt: OpenAI, aimock: Aimock) -> None:
    keys: list[str] = []
    for key in ("desk/runs/é/1", "desk/runs/é/1", "desk/runs/é/2"):
        await gpt.complete(_ask("hello", key=key), _unheard)
        keys.append((await _requests(aimock))[-1]["headers"]["idempotency-key"])
    assert keys[0] == keys[1] != keys[2]
    body = await _journal(aimock)
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
    assert (body["model"], "tools" in body, "response_format" in body) == ("gpt-5-mini", False, False)


async def test_an_answer_is_bounded_where_somebody_bounds_it_and_the_price_may_be_your_own(aimock: Aimock) -> None:
    async def sent(text: str, answer: int | None, **more: Any) -> tuple[dict[str, Any], float | None, int | None]:
        model = OpenAI("gpt-5-mini", base_url=f"{aimock.url}/v1", api_key="any", **more)
        reply = await model.complete(_ask(text, answer=answer), _unheard)
        await model.aclose()
        body = await _journal(aimock)
        return {name: n for name, n in body.items() if name.startswith("max_")}, reply.cost, model.most

    assert (await sent("hello", None))[0] == {}
    assert (await sent("hello", 512))[0] == {"max_tokens": 512}
    bound, _, most = await sent("hello", 512, settings={"max_completion_tokens": 300})
    assert (bound, most) == ({"max_completion_tokens": 300}, 300)
    assert (await sent("tell me at length", None, price=Price(1.0, 10.0)))[1] == pytest.approx(
        1000 * 1e-6 + 100 * 10e-6
    )


async def test_a_rate_limit_is_waited_out_as_long_as_the_server_says(gpt: OpenAI) -> None:
    failure = await _failure(gpt, _ask("busy"))
    assert (failure.kind, failure.code, failure.after) == ("retry_later", "rate_limited", 7.0)
    assert (await gpt.complete(_ask("busy"), _unheard)).text == "Now I have time."


async def test_the_adapter_makes_one_attempt_only(gpt: OpenAI, aimock: Aimock) -> None:
    before = len(await _requests(aimock))
    await _failure(gpt, _ask("out of order"))
    assert len(await _requests(aimock)) == before + 1


async def test_a_stream_that_breaks_off_is_a_failure_whatever_was_heard_of_it(gpt: OpenAI) -> None:
    heard: list[str] = []
    with pytest.raises(Failed) as failed:
        await gpt.complete(_ask("break off"), heard.append)
    assert heard  # it did break off in the middle
    assert (failed.value.failure.kind, failed.value.failure.code) == ("retry_later", "broken_stream")
    assert (await gpt.complete(_ask("break off"), _unheard)).text == "This answer will be heard to its end."


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ("malformedRate", "retry_later", "broken_stream"),
        ("disconnectRate", "retry_later", "no_connection"),
        ("dropRate", "retry_later", "server_error"),
        ("rateLimitRate", "retry_later", "rate_limited"),
    ],
)
async def test_a_server_in_chaos_is_tried_again_later(
    gpt: OpenAI, chaos: Callable[..., None], fault: str, kind: str, code: str
) -> None:
    assert (await gpt.complete(_ask("hello"), _unheard)).text == "Good day."  # the control
    await anyio.to_thread.run_sync(lambda: chaos(**{fault: 1}))
    failure = await _failure(gpt, _ask("hello"))
    assert (failure.kind, failure.code) == (kind, code)
    assert (failure.after is not None) == (fault == "rateLimitRate")


@pytest.mark.parametrize(
    ("text", "kind", "code"),
    [
        ("too much", "change_arguments", "cut_off"),
        ("unspeakable", "abandon", "content_filter"),
        ("whole library", "change_arguments", "context_length"),
        ("out of order", "retry_later", "server_error"),
        ("unknown model", "abandon", "unknown_model"),
        ("what no fixture matches", "retry_later", "server_error"),  # 503
    ],
)
async def test_each_refusal_says_what_can_be_done(gpt: OpenAI, text: str, kind: str, code: str) -> None:
    failure = await _failure(gpt, _ask(text))
    assert (failure.kind, failure.code) == (kind, code)
    assert failure.message


async def test_a_wrong_key_is_refused_and_a_right_one_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIMOCK_API_KEYS", "right")
    with start_aimock(FIXTURES) as aimock:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{aimock.url}/v1")
        wrong, right = OpenAI("gpt-5-mini", api_key="wrong"), OpenAI("gpt-5-mini")
        failure = await _failure(wrong, _ask("hello"))
        assert (failure.kind, failure.code, failure.hint) == ("abandon", "unauthorized", "check OPENAI_API_KEY")
        monkeypatch.setenv("OPENAI_API_KEY", " right\n")
        assert (await right.complete(_ask("hello"), _unheard)).text == "Good day."
        await wrong.aclose()
        await right.aclose()


async def test_a_server_of_ones_own_needs_no_key_and_openai_does(
    aimock: Aimock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{aimock.url}/v1")
    model = named("openai:gpt-5-mini")
    assert (await model.complete(_ask("hello"), _unheard)).text == "Good day."
    monkeypatch.delenv("OPENAI_BASE_URL")
    with pytest.raises(MissingKey, match="OPENAI_API_KEY is not set") as missing:
        await named("openai:gpt-5-mini").complete(_ask("hello"), _unheard)
    assert isinstance(missing.value, Failed)
    assert (missing.value.failure.kind, missing.value.failure.code) == ("abandon", "missing_key")


async def test_without_the_sdk_the_failure_is_the_line_that_installs_it(
    gpt: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openai", None)  # what Python does for a module that is not there
    with pytest.raises(MissingExtra, match=r"pip install 'understudy\[openai\]'") as missing:
        await gpt.complete(_ask("hello"), _unheard)
    assert isinstance(missing.value, Failed)
    assert missing.value.failure.kind == "abandon"


def test_one_adapter_serves_one_event_loop_after_the_other_and_leaves_nothing_open(gpt: OpenAI) -> None:
    async def once() -> ModelReply:
        replies: list[ModelReply] = []

        async def one() -> None:
            replies.append(await gpt.complete(_ask("hello"), _unheard))

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(one)
        assert len(gpt._clients) == 1
        return replies[0]

    assert [anyio.run(once).text for _ in range(2)] == ["Good day.", "Good day."]
    assert gpt._clients == {}


async def test_closing_lets_go_of_the_connections_and_the_next_request_makes_new_ones(gpt: OpenAI) -> None:
    await gpt.complete(_ask("hello"), _unheard)
    await gpt.aclose()
    assert gpt._clients == {}
    await gpt.aclose()
    assert (await gpt.complete(_ask("hello"), _unheard)).text == "Good day."


def _schema(form: Any) -> Raw:
    return Raw(msgspec.json.encode(msgspec.json.schema(form)))


async def _requests(aimock: Aimock) -> list[Any]:
    def read() -> list[Any]:
        with urlopen(f"{aimock.url}/__aimock/journal") as answer:
            entries: list[Any] = json.load(answer)
            return entries

    return await anyio.to_thread.run_sync(read)


async def _journal(aimock: Aimock) -> Any:
    """The body of the newest request."""
    return (await _requests(aimock))[-1]["body"]
