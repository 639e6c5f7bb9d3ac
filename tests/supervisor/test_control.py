"""The control socket: who may use it, where it is, and that nothing that is sent there harms the owner."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import pytest
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

import understudy as us
from tests.supervisor.paying import clerk
from understudy.protocols.approvals import Answer
from understudy.protocols.errors import UnderstudyError, UnknownItem, WrongAnswer
from understudy.protocols.ids import Address
from understudy.protocols.tasks import Task
from understudy.supervisor import control, offline
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.remote import Remote, reach


@asynccontextmanager
async def owner(path: Path, **options: Any) -> AsyncGenerator[us.System]:  # options of System
    """A system that runs in this process."""
    async with us.System(clerk, journal=path, **options) as system:
        yield system


@asynccontextmanager
async def client(path: Path) -> AsyncGenerator[tuple[SocketStream, Callable[[], Any]]]:
    """A connection, and a function that reads the next answer."""
    async with await anyio.connect_unix(path) as stream:
        lines = BufferedByteReceiveStream(stream)

        async def answer() -> Any:  # any JSON
            return msgspec.json.decode(await lines.receive_until(b"\n", 10_000_000))

        yield stream, answer


async def elsewhere(do: Callable[[Remote], Any], path: Path) -> Any:  # whatever it returns
    """Do something as another process would: the client is synchronous, so in a thread."""

    def call() -> Any:  # as above
        remote = reach(path)
        assert remote is not None
        with remote:
            return do(remote)

    return await anyio.to_thread.run_sync(call)


async def test_people_look_and_answer_through_it(tmp_path: Path) -> None:
    async with owner(tmp_path / "a.db", target="team:clerk") as system:
        run = await system.run(clerk, "pay", id="1")
        (item,) = run.waiting
        path = tmp_path / "a.db"
        assert await elsewhere(Remote.inbox, path) == (item,)
        assert (await elsewhere(Remote.facts, path)).target == "team:clerk"
        (line,) = await elsewhere(lambda remote: remote.actors("clerk/1"), path)
        assert line.address == "clerk/1"
        rows = await elsewhere(lambda remote: remote.stream(Address("clerk/1")), path)
        assert rows == await system.rows("clerk/1")
        with pytest.raises(WrongAnswer, match="needs a reason"):
            await elsewhere(lambda remote: remote.give(Answer(item.id, "reject")), path)
        await elsewhere(lambda remote: remote.give(Answer(item.id, "approve", "eve")), path)
        assert (await system.run(clerk, "pay", id="1")).output == "It is paid."
        with pytest.raises(UnknownItem):
            await elsewhere(lambda remote: remote.give(Answer(item.id, "approve")), path)


async def test_work_can_be_handed_in(tmp_path: Path) -> None:
    async with owner(tmp_path / "a.db") as system:
        run = await elsewhere(lambda remote: remote.submit("clerk", Task("pay"), "7"), tmp_path / "a.db")
        assert run == "clerk/7"
        await system.rest()
        assert [item.run for item in system.inbox()] == ["clerk/7"]


async def test_many_rows_come_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MAX_PAGE", 1_000)
    async with owner(tmp_path / "a.db") as system:
        await system.run(clerk, "pay", id="1")
        rows = await elsewhere(lambda remote: remote.stream(Address("clerk/1")), tmp_path / "a.db")
        assert rows == await system.rows("clerk/1")


async def test_many_items_come_in_pages_oldest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MAX_PAGE", 300)
    async with owner(tmp_path / "a.db") as system:
        for n in range(7):
            await system.run(clerk, "pay", id=f"{n}")
        async with client(tmp_path / "a.db-sock") as (stream, answer):
            await stream.send(b'{"do": "inbox"}\n')
            first = (await answer())["ok"]
        assert 1 <= len(first) < 7
        found = await elsewhere(Remote.inbox, tmp_path / "a.db")
        assert found == system.inbox()
        assert [item.run for item in found] == [f"clerk/{n}" for n in range(7)]


async def test_a_standing_approval_is_seen_and_taken_back_through_it(tmp_path: Path) -> None:
    async with owner(tmp_path / "a.db") as system:
        (item,) = (await system.run(clerk, "pay", id="1")).waiting
        yes = Answer(item.id, "approve", "eve", digest=item.digest, scope="always")
        await elsewhere(lambda remote: remote.give(yes), tmp_path / "a.db")
        (grant,) = await elsewhere(Remote.grants, tmp_path / "a.db")
        assert (grant, grant.by) == (system.grants()[0], ("eve",))
        assert (await system.run(clerk, "pay", id="2")).output == "It is paid."
        await elsewhere(lambda remote: remote.revoke(grant.id, by="bob", reason="old"), tmp_path / "a.db")
        assert system.grants() == ()
        assert (await system.run(clerk, "pay", id="3")).status == "waiting"
        with pytest.raises(UnknownItem, match="no standing approval"):
            await elsewhere(lambda remote: remote.revoke(grant.id, by="bob", reason="old"), tmp_path / "a.db")


async def test_only_its_user_may_open_it_and_it_goes_with_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "a.db-sock"
    async with owner(tmp_path / "a.db"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_ISSOCK(path.stat().st_mode)
    assert not path.exists()
    assert reach(tmp_path / "a.db") is None


async def test_a_system_without_a_file_or_without_the_option_has_none(tmp_path: Path) -> None:
    async with owner(tmp_path / "a.db", control=False), us.System(clerk):
        assert not (tmp_path / "a.db-sock").exists()
        assert reach(tmp_path / "a.db") is None


BAD = [
    b"",
    b"hello",
    b"{",
    b"\xff\xfe",
    b"[]",
    b'{"do": "dance"}',
    b'{"do": "inbox", "more": 1}',
    b'{"do": "answer"}',
    b'{"do": "answer", "answer": {"item": 1, "decision": "approve"}}',
    b'{"do": "answer", "answer": {"item": "1.0", "decision": "perhaps"}}',
    b'{"do": "rows"}',
    b'{"do": "rows", "actor": "x", "after": "y"}',
    b'{"do": "submit", "to": "no body", "task": {"objective": "x"}}',
    b'{"do": "answer", "answer": {"item": "1.0", "decision": "answer", "value": ' + b"[" * 200_000,
    b'{"do": "inbox"' + b" " * 500_000,
]


@pytest.mark.parametrize("line", BAD, ids=[repr(line[:40]) for line in BAD])
async def test_a_malformed_request_gets_an_error_and_the_owner_goes_on(tmp_path: Path, line: bytes) -> None:
    async with owner(tmp_path / "a.db"), client(tmp_path / "a.db-sock") as (stream, answer):
        await stream.send(line + b"\n")
        assert (await answer())["error"]["type"] in ("BadRequest", "TooComplex")
        await stream.send(b'{"do": "inbox"}\n')
        assert await answer() == {"ok": []}


async def test_a_request_without_an_end_is_refused(tmp_path: Path) -> None:
    async with owner(tmp_path / "a.db") as system:
        async with client(tmp_path / "a.db-sock") as (stream, answer):
            with pytest.raises((anyio.BrokenResourceError, anyio.EndOfStream, anyio.IncompleteRead)):  # noqa: PT012 - whichever end comes first
                while True:
                    await stream.send(b"x" * 100_000)
                    with anyio.move_on_after(0):
                        assert "one line" in (await answer())["error"]["message"]
        assert system.inbox() == ()


async def test_who_drips_or_hangs_up_in_the_middle_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "PATIENCE", 0.05)
    monkeypatch.setattr(control, "CLIENTS", 1)
    async with owner(tmp_path / "a.db"):
        async with client(tmp_path / "a.db-sock") as (stream, _):
            await stream.send(b'{"do":')
        async with client(tmp_path / "a.db-sock") as (dripping, _):
            await dripping.send(b'{"do":')
            async with client(tmp_path / "a.db-sock") as (stream, answer):  # waits until the other is given up
                await stream.send(b'{"do": "inbox"}\n')
                assert await answer() == {"ok": []}


async def test_who_embeds_a_system_decides_when_it_stops(tmp_path: Path) -> None:
    asked = anyio.Event()
    async with owner(tmp_path / "a.db"):
        with pytest.raises(UnderstudyError, match="decides by itself"):
            await elsewhere(Remote.stop, tmp_path / "a.db")
    async with owner(tmp_path / "a.db", on_stop=asked.set):
        await elsewhere(Remote.stop, tmp_path / "a.db")
        assert asked.is_set()


async def test_a_dead_owners_socket_is_replaced(tmp_path: Path) -> None:
    code = (
        "import os, sys, anyio, understudy as us\n"
        "agent = us.Agent('a', 'x', model=us.Rules('r', [us.Rule(us.Say('x'))]))\n"
        "async def main():\n"
        "    async with us.System(agent, journal=sys.argv[1]):\n"
        "        os.kill(os.getpid(), 9)\n"
        "anyio.run(main)\n"
    )
    await anyio.run_process([sys.executable, "-c", code, str(tmp_path / "a.db")], check=False)
    assert (tmp_path / "a.db-sock").exists()
    assert reach(tmp_path / "a.db") is None
    async with owner(tmp_path / "a.db"):
        assert await elsewhere(Remote.inbox, tmp_path / "a.db") == ()


async def test_what_is_no_socket_of_ours_is_left_alone_and_the_owner_works_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.db-sock").write_text("my notes")
    async with owner(tmp_path / "a.db") as system:
        assert (await system.run(clerk, "pay", id="1")).status == "waiting"
        assert reach(tmp_path / "a.db") is None
    assert (tmp_path / "a.db-sock").read_text() == "my notes"
    assert "no control socket" in caplog.text


async def test_where_the_path_is_too_long_it_stands_in_a_private_folder_and_a_file_says_where(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 25)
    folder.mkdir()
    pointer = folder / "a.db-sock"
    for _ in range(2):
        async with owner(folder / "a.db"):
            place = anyio.Path(pointer.read_text().strip())
            assert stat.S_IMODE(pointer.stat().st_mode) == 0o600
            assert stat.S_IMODE((await place.stat()).st_mode) == 0o600
            assert stat.S_IMODE((await place.parent.stat()).st_mode) == 0o700
            assert await elsewhere(Remote.inbox, folder / "a.db") == ()
        assert not pointer.exists()
        assert not await place.exists()
        pointer.write_text(f"{place}\n")  # as a dead owner leaves it


async def test_a_folder_that_others_may_write_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", partial(str, tmp_path))
    shared = tmp_path / f"understudy-{os.getuid()}"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setattr(control, "LONGEST_PATH", len(os.fsencode(shared)) + 22)
    folder = tmp_path / ("long" * 25)
    folder.mkdir()
    async with owner(folder / "a.db"):
        assert reach(folder / "a.db") is None
    assert "is not a private folder of this user" in caplog.records[0].__dict__["error"]


async def test_an_answer_on_the_file_waits_for_no_owner_and_needs_none(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with owner(path) as system:
        (item,) = (await system.run(clerk, "pay", id="1")).waiting
        with pytest.raises(UnderstudyError, match="is held by"):
            await asyncio.to_thread(offline.answer, path, Answer(item.id, "approve"))
    with pytest.raises(WrongAnswer, match="another digest"):
        offline.answer(path, Answer(item.id, "approve", digest="x"))
    before = _rows(path)
    offline.answer(path, Answer(item.id, "approve", "eve", digest=item.digest))
    with pytest.raises(UnknownItem, match="answered before: approve, by eve"):
        offline.answer(path, Answer(item.id, "approve"))
    kinds = [(row.kind, str(row.stream)) for row in _rows(path)[len(before) :]]
    assert kinds == [("system", "system"), ("accepted", "clerk/1"), ("system", "system")]
    async with owner(path) as system:
        assert (await system.run(clerk, "pay", id="1")).output == "It is paid."


async def test_an_answer_after_the_deadline_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with owner(tmp_path / "a.db") as system:
        (item,) = (await system.run(clerk, "pay", id="1")).waiting
    assert item.deadline is not None
    monkeypatch.setattr(time, "time", lambda: item.deadline)
    with pytest.raises(UnknownItem, match=r"the time to answer .* is over"):
        offline.answer(tmp_path / "a.db", Answer(item.id, "approve"))


def _rows(path: Path) -> tuple[Any, ...]:
    with read_only(path) as reader:
        return reader.rows()
