"""The adapter to OpenAI against servers that aimock cannot play: broken, silent, half compatible."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from understudy.protocols.errors import Failed
from understudy.protocols.failures import Failure
from understudy.protocols.model import ModelMessage, ModelReply, ModelRequest, ToolCall
from understudy.tools.models.openai import OpenAI

REQUEST = ModelRequest("openai:local", (ModelMessage("user", "hello"),))
DONE = "data: [DONE]\n\n"


@asynccontextmanager
async def _server(
    body: str | bytes, status: str = "200 OK", *headers: str, hold: bool = False
) -> AsyncGenerator[tuple[OpenAI, asyncio.Event]]:
    """A server that answers every request with these bytes, and the model that asks it.

    With `hold` it says no more after them and keeps the connection; the event tells that the client has closed it.
    """
    gone = asyncio.Event()
    answer = body if isinstance(body, bytes) else body.encode()
    lines = [f"HTTP/1.1 {status}", "Content-Type: text/event-stream", "Connection: close", *headers]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        await reader.readexactly(int(length.split(b":")[1]))
        writer.write("\r\n".join([*lines, "", ""]).encode() + answer)
        await writer.drain()
        if hold:
            await reader.read()
            gone.set()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        model = OpenAI("local", base_url=f"http://{host}:{port}/v1")
        yield model, gone
        await model.aclose()


def _chunk(finish: str | None = None, usage: dict[str, int] | None = None, **delta: Any) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "local-1", "choices": [choice]}
    return f"data: {json.dumps({**chunk, 'usage': usage})}\n\n"


async def _reply(body: str) -> ModelReply:
    async with _server(body) as (model, _):
        return await model.complete(REQUEST, lambda text: None)


async def _failure(body: str | bytes, status: str = "200 OK", *headers: str) -> Failure:
    async with _server(body, status, *headers) as (model, _):
        with pytest.raises(Failed) as failed:
            await model.complete(REQUEST, lambda text: None)
        return failed.value.failure


async def test_without_a_finish_reason_an_answer_is_not_whole_even_if_its_stream_ends_in_order() -> None:
    assert (await _reply(_chunk(content="yes") + _chunk("stop") + DONE)).text == "yes"  # the control
    failure = await _failure(_chunk(content="yes") + DONE)
    assert (failure.kind, failure.code) == ("retry_later", "broken_stream")


@pytest.mark.parametrize(
    "body",
    [
        "",
        DONE,
        '{"choices": [{"message": {"content": "not streamed"}, "finish_reason": "stop"}]}',
        "<html>Bad gateway</html>",
        "data: {not json\n\n",
        "data: 17\n\n",
        'data: "text"\n\n',
        "data: [1, 2]\n\n",
        "data: {}\n\n",
        'data: {"choices": 5}\n\n',
        'data: {"choices": [7]}\n\n',
        'data: {"choices": [{"delta": "x", "finish_reason": "stop"}]}\n\n',
        'data: {"choices": [{"delta": {"content": 5}, "finish_reason": "stop"}]}\n\n',
        'data: {"choices": [{"delta": {"tool_calls": 5}, "finish_reason": "stop"}]}\n\n',
        'data: {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": "f"}]}, "finish_reason": "stop"}]}\n\n',
        'data: {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": "many"}}\n\n',
        "data: " + "[" * 100_000 + "\n\n",
        b"data: \xff\xfe\n\n",
        _chunk("tool_calls"),
        _chunk("stop", tool_calls=[{"index": 0, "id": "a", "function": {"arguments": "{}"}}]),
    ],
)
async def test_what_is_no_whole_answer_is_a_broken_stream_and_never_a_reply(body: str | bytes) -> None:
    failure = await _failure(body)
    assert (failure.kind, failure.code, failure.where) == ("retry_later", "broken_stream", "openai:local")


async def test_a_server_that_counts_no_tokens_has_them_estimated() -> None:
    assert (await _reply(_chunk("stop", content="12345678") + DONE)).usage.estimated
    counted = await _reply(_chunk("stop", {"prompt_tokens": 3, "completion_tokens": 2}, content="yes") + DONE)
    assert (counted.usage.input_tokens, counted.usage.output_tokens, counted.usage.estimated) == (3, 2, False)
    assert (counted.model, counted.cost) == ("local-1", None)


async def test_arguments_come_in_pieces() -> None:
    pieces = [
        {"index": 0, "id": "a", "type": "function", "function": {"name": "add", "arguments": ""}},
        {"index": 1, "id": "b", "type": "function", "function": {"name": "sub", "arguments": '{"n"'}},
        {"index": 0, "function": {"arguments": '{"n":'}},
        {"index": 1, "function": {"arguments": ":2}"}},
        {"index": 0, "function": {"arguments": "1}"}},
    ]
    body = "".join(_chunk(tool_calls=[piece]) for piece in pieces) + _chunk("tool_calls") + DONE
    assert (await _reply(body)).calls == (ToolCall("a", "add", '{"n":1}'), ToolCall("b", "sub", '{"n":2}'))


@pytest.mark.parametrize(
    "calls",
    [
        [{"index": 0, "id": "a", "function": {"name": "f"}}, {"index": 0, "id": "b", "function": {"name": "g"}}],
        [{"id": "a", "function": {"name": "f"}}, {"id": "b", "function": {"name": "g"}}],
    ],
)
async def test_calls_with_one_index_or_none_are_told_apart_by_their_ids(calls: list[dict[str, Any]]) -> None:
    reply = await _reply(_chunk("stop", tool_calls=calls) + DONE)
    assert [(call.id, call.name) for call in reply.calls] == [("a", "f"), ("b", "g")]
    assert reply.finish == "tool_calls"


async def test_calls_without_an_id_are_given_one() -> None:
    calls = [{"index": at, "function": {"name": "f", "arguments": "{}"}} for at in (0, 1)]
    assert [call.id for call in (await _reply(_chunk("tool_calls", tool_calls=calls) + DONE)).calls] == ["c1", "c2"]


async def test_a_refusal_is_a_failure_and_not_an_answer() -> None:
    failure = await _failure(_chunk(refusal="I will not.") + _chunk("stop") + DONE)
    assert (failure.kind, failure.code) == ("abandon", "model_refused")
    assert "I will not." in failure.message


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        ({"message": "overloaded"}, "retry_later", "server_error"),
        ({"message": "no", "code": "insufficient_quota"}, "abandon", "no_quota"),
        ({"message": "prompt too long"}, "change_arguments", "context_length"),
        ({"message": "bad call", "code": "tool_use_failed"}, "retry_now", "unreadable_answer"),
    ],
)
async def test_an_error_inside_the_stream_says_what_can_be_done(error: dict[str, str], kind: str, code: str) -> None:
    failure = await _failure(_chunk(content="half") + f"data: {json.dumps({'error': error})}\n\n")
    assert (failure.kind, failure.code) == (kind, code)


@pytest.mark.parametrize(
    ("status", "error", "kind", "code"),
    [
        (400, {"message": "Unknown parameter"}, "abandon", "bad_request"),
        (400, {"message": "no", "code": "content_filter"}, "abandon", "content_filter"),
        (400, {"message": "the prompt exceeds the context window"}, "change_arguments", "context_length"),
        (401, {"message": "Incorrect API key"}, "abandon", "unauthorized"),
        (402, {"message": "Pay"}, "abandon", "no_quota"),
        (403, {"message": "Not you"}, "abandon", "forbidden"),
        (404, {"message": "No such model"}, "abandon", "unknown_model"),
        (408, {"message": "Too slow"}, "retry_later", "server_error"),
        (413, {"message": "Large"}, "change_arguments", "context_length"),
        (422, {"message": "Odd"}, "abandon", "bad_request"),
        (429, {"message": "Rate limit: request too long ago"}, "retry_later", "rate_limited"),
        (429, {"message": "no money", "code": "insufficient_quota"}, "abandon", "no_quota"),
        (503, {"message": "Later"}, "retry_later", "server_error"),
        (529, {"message": "Overloaded"}, "retry_later", "server_error"),
    ],
)
async def test_a_status_says_what_can_be_done(status: int, error: dict[str, str], kind: str, code: str) -> None:
    failure = await _failure(json.dumps({"error": error}), f"{status} Because", "Retry-After: 3")
    assert (failure.kind, failure.code) == (kind, code)
    assert error["message"] in failure.message
    assert failure.after == (3.0 if kind == "retry_later" else None)


async def test_an_error_page_in_place_of_json_is_a_failure_like_any_other() -> None:
    failure = await _failure("<html>\n<b>Bad\ngateway</b>" + "x" * 5_000, "502 Bad Gateway")
    assert (failure.kind, failure.code) == ("retry_later", "server_error")
    assert "\n" not in failure.message
    assert len(failure.message) <= 500


async def test_nobody_there_is_a_failure_that_says_why() -> None:
    async with await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
    with pytest.raises(Failed) as failed:
        await OpenAI("local", base_url=f"http://{host}:{port}/v1").complete(REQUEST, lambda text: None)
    assert (failed.value.failure.kind, failed.value.failure.code) == ("retry_later", "no_connection")
    assert "connect" in failed.value.failure.message.lower()
    assert failed.value.failure.cause is not None


async def test_an_address_that_is_none_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(Failed, match="'localhost:8000' is not the address of a server") as failed:
        await OpenAI("local", base_url="localhost:8000").complete(REQUEST, lambda text: None)
    assert (failed.value.failure.kind, failed.value.failure.code) == ("abandon", "bad_address")


async def test_silence_is_a_failure_and_the_connection_is_closed() -> None:
    async with _server(_chunk(content="so"), hold=True) as (model, gone):
        model.timeout = 0.05
        heard: list[str] = []
        with anyio.fail_after(10), pytest.raises(Failed) as failed:
            await model.complete(REQUEST, heard.append)
        assert (failed.value.failure.kind, failed.value.failure.code) == ("retry_later", "timeout")
        assert heard == ["so"]
        with anyio.fail_after(10):
            await gone.wait()


async def test_cancelling_closes_the_connection_on_which_the_answer_was_arriving() -> None:
    async with _server(_chunk(content="so"), hold=True) as (model, gone):
        with anyio.fail_after(10):
            with anyio.CancelScope() as scope:
                await model.complete(REQUEST, lambda text: scope.cancel())
            assert scope.cancelled_caught
            await gone.wait()


async def test_a_listener_that_raises_ends_the_attempt_with_its_own_error_and_closes_the_connection() -> None:
    def break_(text: str) -> None:
        raise ZeroDivisionError

    async with _server(_chunk(content="so"), hold=True) as (model, gone):
        with pytest.raises(ZeroDivisionError):
            await model.complete(REQUEST, break_)
        with anyio.fail_after(10):
            await gone.wait()
