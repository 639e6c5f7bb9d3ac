"""What a server may send: more than may be decoded is refused on its way, with bounded memory and without holding up the loop."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from understudy.protocols.errors import Failed, TooLarge
from understudy.protocols.failures import Failure
from understudy.protocols.journal import MAX_MESSAGE
from understudy.protocols.model import ModelMessage, ModelReply, ModelRequest
from understudy.tools.models.openai import OpenAI
from understudy.tools.models.openai_bounds import MAX_BYTES, MAX_LINES, counted

REQUEST = ModelRequest("openai:local", (ModelMessage("user", "hello"),))
DONE = b"data: [DONE]\n\n"
CHUNKED = "Transfer-Encoding: chunked"


class Server:
    """One that sends what it is given, piece by piece, as long as anybody reads. ``sent``: bytes so far; ``gone``: nobody does."""

    def __init__(self) -> None:
        self.sent = 0
        self.gone = asyncio.Event()


@asynccontextmanager
async def server(pieces: Iterable[bytes], status: str, *headers: str) -> AsyncGenerator[tuple[OpenAI, Server]]:
    """The server, and the model that asks it."""
    told = Server()
    lines = [f"HTTP/1.1 {status}", "Content-Type: text/event-stream", "Connection: close", *headers, "", ""]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        await reader.readexactly(int(length.split(b":")[1]))
        try:
            writer.write("\r\n".join(lines).encode())
            for piece in pieces:
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if CHUNKED in headers else piece)
                await writer.drain()
                told.sent += len(piece)
                await checkpoint()
            if CHUNKED in headers:
                writer.write(b"0\r\n\r\n")
                await writer.drain()
            writer.close()
            await writer.wait_closed()
        except ConnectionError:
            writer.close()
        finally:
            told.gone.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        host, port = listening.sockets[0].getsockname()
        model = OpenAI("local", base_url=f"http://{host}:{port}/v1")
        try:
            yield model, told
        finally:
            await model.aclose()


async def reply(pieces: Iterable[bytes], status: str = "200 OK", *headers: str) -> ModelReply:
    async with server(pieces, status, *headers) as (model, _):
        with anyio.fail_after(60):
            return await model.complete(REQUEST, lambda text: None)


async def failure(pieces: Iterable[bytes], status: str = "200 OK", *headers: str) -> tuple[Failure, int]:
    """How it failed, and how much the server had sent when nobody read any more."""
    async with server(pieces, status, *headers) as (model, told):
        with anyio.fail_after(60):
            with pytest.raises(Failed) as failed:
                await model.complete(REQUEST, lambda text: None)
            await told.gone.wait()
        return failed.value.failure, told.sent


def chunk(finish: str | None = None, **delta: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    whole = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "local-1", "choices": [choice]}
    return f"data: {json.dumps(whole)}\n\n".encode()


def without_end(piece: bytes) -> Iterable[bytes]:
    while True:
        yield piece


def is_too_large(found: Failure) -> bool:
    """Final: the same question would be answered with as much again."""
    return (found.kind, found.code, found.where) == ("abandon", "result_too_large", "openai:local")


SLACK = 8_000_000
"""Bytes that stand between a server and its reader: the system's buffers on both sides."""


@pytest.mark.parametrize("headers", [(), (CHUNKED,)], ids=["until the end", "chunked"])
@pytest.mark.parametrize(
    ("piece", "bound"),
    [
        (b"x" * 65_536, MAX_MESSAGE),
        (b"data: " + b"x" * 65_536, MAX_MESSAGE),
        (chunk(content="x" * 65_000), MAX_BYTES),
        ((b": a comment" * 20 + b"\n\n") * 300, MAX_BYTES),
        (b"\n" * 65_536, MAX_LINES),
    ],
    ids=["one line", "one line of data", "an endless answer", "endless comments", "endless emptiness"],
)
async def test_an_answer_without_end_is_cut_off_and_its_connection_closed(
    piece: bytes, bound: int, headers: tuple[str, ...]
) -> None:
    found, sent = await failure(without_end(piece), "200 OK", *headers)
    assert is_too_large(found), found
    assert "more than may be decoded" in found.message
    assert bound < sent < bound + SLACK


@pytest.mark.parametrize("status", ["400 Bad Request", "429 Too Many Requests", "500 Internal Server Error"])
async def test_an_error_without_end_is_cut_off_too(status: str) -> None:
    """Its body is read whole by the SDK, and decoded where it is JSON."""
    found, sent = await failure(without_end(b'{"error": ' * 5_000), status)
    assert is_too_large(found), found
    assert sent < MAX_MESSAGE + SLACK


async def test_what_is_as_large_as_it_may_be_is_an_answer() -> None:
    """The control: it is the bound that refuses, and nothing before it."""
    text = "x" * (MAX_MESSAGE - len(chunk(content="")) + 2)
    whole = chunk(content=text)
    assert len(whole.split(b"\n")[0]) == MAX_MESSAGE
    assert (await reply([whole, chunk("stop"), DONE])).text == text
    found, _ = await failure([chunk(content=text + "x"), chunk("stop"), DONE])
    assert is_too_large(found)


async def test_an_answer_that_drips_byte_by_byte_is_read_as_it_comes() -> None:
    said = chunk(content="slow, ") + chunk(content="but sure") + chunk("stop") + DONE
    assert (await reply([said[n : n + 1] for n in range(len(said))])).text == "slow, but sure"


@pytest.mark.parametrize(
    ("piece", "bound"), [(b": " + b"x" * 997 + b"\n", MAX_MESSAGE), (b": " + b"x" * 9_997 + b"\n\n", MAX_BYTES)]
)
async def test_what_drips_without_end_is_counted_all_the_same(piece: bytes, bound: int) -> None:
    """No piece is large, and no silence is."""
    found, sent = await failure(without_end(piece))
    assert is_too_large(found)
    assert bound < sent < bound + SLACK


KEYS = "{" + ",\n".join(f'"{n}":0' for n in range(1_000_000)) + "}"


def in_lines(text: str) -> bytes:
    """One event, each line of which is short."""
    return "".join(f"data: {line}\n" for line in text.split("\n")).encode() + b"\n"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of all that is decoded as JSON."""
    sizes: list[int] = []
    loads = json.loads

    def seen(text: str | bytes, **options: Any) -> Any:
        sizes.append(len(text))
        return loads(text, **options)

    monkeypatch.setattr(json, "loads", seen)
    return sizes


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"data: " + KEYS.replace("\n", "").encode() + b"\n\n", "200 OK"),
        (in_lines(KEYS), "200 OK"),
        (
            in_lines(f'{{"choices": [{{"delta": {{"content": "a"}}, "finish_reason": "stop"}}], "extra": {KEYS}}}'),
            "200 OK",
        ),
        (in_lines(f'{{"error": {KEYS}}}'), "200 OK"),
        (f'{{"error": {KEYS}}}'.encode(), "400 Bad Request"),
        (f'{{"error": {KEYS}}}'.replace("\n", "\n\n").encode(), "503 Service Unavailable"),
    ],
    ids=["in a line", "in many lines", "beside an answer", "as an error", "in an error", "in an error of many parts"],
)
async def test_a_million_keys_are_refused_before_they_are_decoded(body: bytes, status: str, decoded: list[int]) -> None:
    found, _ = await failure([body, chunk("stop"), DONE], status)
    assert is_too_large(found), found
    assert max(decoded, default=0) <= MAX_MESSAGE


async def test_what_is_decoded_is_seen(decoded: list[int]) -> None:
    """The control."""
    assert (await reply([chunk(content="x" * 1_000), chunk("stop"), DONE])).text == "x" * 1_000
    assert max(decoded) > 1_000


async def test_what_comes_compressed_without_being_asked_for_is_not_unpacked() -> None:
    packed = gzip.compress(chunk(content="x" * 10_000_000) + chunk("stop") + DONE)
    assert len(packed) < 50_000
    for status in ("200 OK", "500 Internal Server Error"):
        found, _ = await failure([packed], status, "Content-Encoding: gzip")
        assert is_too_large(found)
        assert "compressed (gzip)" in found.message
    assert (await reply([chunk("stop", content="yes"), DONE], "200 OK", "Content-Encoding: identity")).text == "yes"


SAID = chunk(content="yes") + chunk("stop")
WHOLE = SAID + DONE
"""With a last word, behind which nobody looks."""


@pytest.mark.parametrize("length", [len(SAID) + 1, 10**9, len(SAID) // 2, 3, 0, -1, "", "many", "5, 6"])
async def test_a_content_length_that_is_not_true_gives_no_answer(length: object) -> None:
    found, _ = await failure([SAID], "200 OK", f"Content-Length: {length}")
    assert found.kind == "retry_later"
    assert found.code in ("broken_stream", "no_connection")


async def test_a_content_length_that_is_true_gives_one() -> None:
    """The control."""
    assert (await reply([WHOLE], "200 OK", f"Content-Length: {len(WHOLE)}")).text == "yes"


@pytest.mark.parametrize("frame", [b"zz\r\n", b"-5\r\n", b"ffffffffffffffffffff\r\n", b"5\r\nto", b"2\r\ntoo long\r\n"])
async def test_broken_frames_give_no_answer(frame: bytes) -> None:
    found, _ = await failure([frame, SAID], "200 OK", CHUNKED + " ")  # with the space, nothing is framed here
    assert found.kind == "retry_later"
    assert found.code in ("broken_stream", "no_connection")


@pytest.mark.parametrize(
    "body",
    [
        b'{"choices": [',
        b'{"a":1}}',
        b"{'a': 1}",
        b"NaN",
        b'{"a": "\xff"}',
        b'"\\ud800"',
        b"\x00",
        b"[" * 90_000,
        b"9" * 90_000,
    ],
)
async def test_malformed_json_is_a_broken_stream(body: bytes) -> None:
    found, _ = await failure([b"data: " + body + b"\n\n", WHOLE])
    assert (found.kind, found.code) == ("retry_later", "broken_stream")


# -- how it is counted ------------------------------------------------------------------------------------------------


def run(counting: Coroutine[None, None, bool]) -> bool:
    """It waits for nothing, so it needs no loop."""
    with pytest.raises(StopIteration) as done:
        counting.send(None)
    return bool(done.value.value)


async def refused(pieces: Sequence[bytes], event: int, total: int = 1_000) -> bool:
    async def coming() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    try:
        passed = [piece async for piece in counted(coming(), event, total)]
    except TooLarge:
        return True
    assert passed == list(pieces), "what passes is what came"
    return False


@pytest.mark.parametrize("blank", [b"\n\n", b"\r\n\r\n", b"\n\r\n"])
@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=6), data=st.data())
def test_wherever_pieces_are_cut_an_event_that_is_too_long_is_refused(
    blank: bytes, sizes: list[int], data: st.DataObject
) -> None:
    whole = b"".join(b"x" * size + blank for size in sizes)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=8)))
    pieces = [whole[first:last] for first, last in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert run(refused(pieces, max(sizes) - 1))
    single = [whole[n : n + 1] for n in range(len(whole))]
    assert run(refused(single, max(sizes) - 1))
    assert not run(refused(single, max(sizes) + len(blank)))
    assert run(refused(single, 1_000, len(whole) - 1))
    assert not run(refused(single, 1_000, len(whole)))
