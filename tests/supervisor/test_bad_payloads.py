"""A payload that is too deep, too large or has too many members is refused at each door, and what was refused harms nobody."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream
from msgspec import Raw

import understudy as us
from tests.supervisor.paying import clerk
from understudy.protocols.approvals import Answer
from understudy.protocols.errors import JournalDamaged, NotStorable, TooComplex, TooLarge
from understudy.protocols.ids import Address
from understudy.protocols.journal import Row
from understudy.protocols.model import ToolCall
from understudy.supervisor import offline
from understudy.supervisor.journal.batch import record_of
from understudy.supervisor.journal.reader import read_only


class Put(us.Request[int]):
    value: Any
    raw: Raw = Raw(b"null")
    table: dict[str, Any] = {}  # noqa: RUF012  # msgspec copies it


class Tell(us.Message):
    value: Any


class Box(us.Actor):
    @us.handles(Put)
    def put(self, turn: us.Turn[us.State], msg: Put) -> int:
        return 1

    @us.handles(Tell)
    def tell(self, turn: us.Turn[us.State], msg: Tell) -> None:
        pass


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def deep_list(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


DEEP = nested(200_000)
MANY = b"{" + b",".join(b'"%x":0' % n for n in range(52_000)) + b"}"

BAD: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "a deep Raw": ({"value": 0, "raw": Raw(DEEP)}, TooComplex),
    "a Raw of many": ({"value": 0, "raw": Raw(MANY)}, TooComplex),
    "a large Raw": ({"value": 0, "raw": Raw(b'"' + b"x" * 500_000 + b'"')}, TooLarge),
    "a deep list": ({"value": deep_list(150)}, TooComplex),
    "a list deeper than the stack": ({"value": deep_list(100_000)}, NotStorable),
    "a million keys": ({"value": 0, "table": {str(n): n for n in range(1_000_000)}}, TooLarge),
    "not a number": ({"value": float("nan")}, NotStorable),
    "a tuple": ({"value": (1, 2)}, NotStorable),
    "a class that is none": ({"value": object()}, NotStorable),
    "half a character": ({"value": "\ud800"}, NotStorable),
    "another type": ({"value": 0, "table": [1]}, NotStorable),
}


@pytest.mark.parametrize("name", BAD)
async def test_an_ask_and_a_tell_refuse_it_before_anything_is_written(name: str) -> None:
    fields, error = BAD[name]
    async with us.System(us.Child("box", Box)) as system:
        with pytest.raises(error) as refused:
            await system.ask("box", Put(**fields))
        assert len(str(refused.value)) < 1_000
        if "table" not in fields and "raw" not in fields:
            with pytest.raises(error):
                await system.tell("box", Tell(fields["value"]))
        assert await system.ask("box", Put(1)) == 1
        assert len(await system.rows("box")) == 1


async def test_a_persons_answer_is_bounded_too(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with us.System(clerk, journal=path) as system:
        (item,) = (await system.run(clerk, "pay", id="1", timeout=20)).waiting
        for value in (DEEP, MANY, b'"' + b"x" * 500_000 + b'"'):
            with pytest.raises((TooComplex, TooLarge)):
                await system.give(Answer(item.id, "approve", "ada", "", Raw(value)))
        with pytest.raises(NotStorable):
            await system.answer(item.id, "approve", value=deep_list(100_000))
    with pytest.raises(TooComplex):
        offline.answer(path, Answer(item.id, "approve", "ada", "", Raw(DEEP)))
    async with us.System(clerk, journal=path) as system:
        await system.approve(item.id)
        assert (await system.run(clerk, "pay", id="1", timeout=20)).output == "It is paid."


async def test_the_control_socket_refuses_it_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with us.System(clerk, journal=path), await anyio.connect_unix(f"{path}-sock") as stream:
        lines = BufferedByteReceiveStream(stream)
        for inputs, error in ((DEEP, "TooComplex"), (MANY, "TooComplex")):
            task = b'{"do": "submit", "to": "clerk", "task": {"objective": "x", "inputs": {"a": ' + inputs + b"}}}\n"
            await stream.send(task)
            said = msgspec.json.decode(await lines.receive_until(b"\n", 10_000))
            assert said["error"]["type"] == error
        await stream.send(b'{"do": "status"}\n')
        assert b'"ok"' in await lines.receive_until(b"\n", 10_000)


RESULTS: dict[str, tuple[Any, str]] = {
    "deep": (deep_list(150), "nested deeper than 100"),
    "deeper": (deep_list(100_000), "cannot be stored"),
    "many": (dict.fromkeys(map(str, range(60_000)), 0), "result_too_large"),
    "another type": ({"a": "b"}, "Expected `int`"),
}


@us.tool(effect="read")
def fetch(how: str) -> dict[str, int] | list[Any]:
    """Fetch something."""
    found: Any = RESULTS[how][0]
    return found  # type: ignore[no-any-return]


async def _run(*replies: Any) -> tuple[Any, us.Scripted]:
    model = us.Scripted(*replies)
    agent = us.Agent("a", "x", model=model, tools=[fetch], output=list[int])
    async with us.System(agent) as system:
        return await system.run(agent, "go", timeout=20), model


@pytest.mark.parametrize("how", RESULTS)
async def test_a_tools_result_that_is_not_storable_is_a_failure_that_the_model_is_told(how: str) -> None:
    result, model = await _run(ToolCall("", "fetch", f'{{"how":"{how}"}}'), "[1]")
    assert result.output == [1]
    assert RESULTS[how][1] in model.requests[1].messages[-1].text


@pytest.mark.parametrize("arguments", [nested(60_000), b"[" * 150_000], ids=["deep", "open"])
async def test_arguments_that_a_model_gives_are_bounded(arguments: bytes) -> None:
    result, model = await _run(ToolCall("", "fetch", arguments.decode()), "[1]")
    assert result.output == [1]
    said = model.requests[1].messages[-1].text
    assert "bad_arguments" in said
    assert "nested deeper than 100" in said


@pytest.mark.parametrize("text", [DEEP, nested(150)], ids=["deep", "as deep as a stack"])
async def test_an_answer_that_a_model_gives_is_bounded(text: bytes) -> None:
    result, model = await _run(text.decode(), "[1]")
    assert result.output == [1]
    assert "does not fit" in model.requests[1].messages[-1].text


def _spoiled(path: Path, table: str, column: str, value: bytes) -> None:
    file = sqlite3.connect(path)
    file.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = (SELECT max(rowid) FROM {table})", (value.decode(),))
    file.commit()
    file.close()


async def test_a_foreign_file_with_a_deep_payload_is_damaged_and_not_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with us.System(clerk, journal=path) as system:
        await system.run(clerk, "pay", id="1", timeout=20)
    for suffix in ("-head", "-wal", "-shm"):
        (tmp_path / f"a.db{suffix}").unlink(missing_ok=True)
    _spoiled(path, "effects", "entry", b'{"id":' + DEEP + b"}")
    with read_only(path) as reader, pytest.raises(JournalDamaged):
        reader.effects()
    with pytest.raises(JournalDamaged):
        async with us.System(clerk, journal=path):
            pass
    deep = Row(1, Address("a"), 1, 0, "turn", "", 0.0, Raw(b'{"took":' + DEEP + b"}"))
    with pytest.raises(JournalDamaged):
        record_of(deep)
