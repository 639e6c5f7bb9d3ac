"""``understudy parked``: list, show, resend, drop; on the file where nobody owns it, over the socket where somebody does."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

import understudy as us
from tests.supervisor.cli import Desk, environment
from understudy.protocols.errors import UnknownItem, WrongAnswer
from understudy.supervisor.remote import reach

OFFICE = """
import understudy as us


class Letter(us.Message):
    text: str


class Read(us.Event):
    text: str


class Desk(us.Actor):
    class State(us.State):
        read: tuple[str, ...] = ()

    @us.handles(Letter)
    def letter(self, turn: us.Turn[State], msg: Letter) -> None:
        if msg.text == "torn":
            raise ValueError("it is torn")
        turn.emit(Read(msg.text))

    @us.applies(Read)
    def has_read(self, state: State, event: Read) -> State:
        return state.evolve(read=(*state.read, event.text))


office = us.Supervisor("post", [us.Child("desk/{name}", Desk)])
"""


@pytest.fixture
def office(desk: Desk) -> Desk:
    """A journal in which a letter was put aside."""
    (desk.folder / "office.py").write_text(OFFICE)
    make = (
        "import anyio, understudy as us, office as o\n"
        "async def main():\n"
        "    async with us.System(o.office, journal='o.db', target='office:office') as system:\n"
        "        await system.tell('desk/ada', o.Letter('torn'))\n"
        "        await system.rest()\n"
        "anyio.run(main)\n"
    )
    (desk.folder / "make.py").write_text(make)
    run_python(desk, "make.py")
    return desk


def run_python(desk: Desk, file: str) -> str:
    done = subprocess.run(
        [sys.executable, file], cwd=desk.folder, env=environment(None), capture_output=True, text=True, check=False, timeout=60
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def what_was_read(desk: Desk) -> Any:
    """Run the office again to its rest, and see what ada has read."""
    (desk.folder / "again.py").write_text(
        "import anyio, json, understudy as us, office as o\n"
        "from understudy.protocols.ids import Address\n"
        "async def main():\n"
        "    async with us.System(o.office, journal='o.db', target='office:office') as system:\n"
        "        await system.tell('desk/ada', o.Letter('last'))\n"
        "        await system.rest()\n"
        "        print(json.dumps(system._shell.kernel._cells[Address('desk/ada')].state.read))\n"
        "anyio.run(main)\n"
    )
    return json.loads(run_python(desk, "again.py"))


def test_on_the_file_a_message_is_listed_shown_edited_and_sent_again(office: Desk) -> None:
    (entry,) = office.json("parked", "list", "-j", "o.db")
    assert (entry["to"], entry["wire"], entry["how"]) == ("desk/ada", "Letter", "failed")
    assert entry["failure"]["code"] == "crashed"
    shown = office.json("parked", "show", entry["id"], "-j", "o.db")
    assert shown["message"] == {"text": "torn"}
    for wrong in ('{"text": 5}', "{}", "[1]", "nonsense", '{"text": "x", "more": 1}'):
        refused = office.json("parked", "resend", entry["id"], "--message", wrong, "-j", "o.db", code=2)
        assert refused["error"]["type"] == "WrongAnswer"
    (office.folder / "new.json").write_text('{"text": "mended"}')
    both = office.run("parked", "resend", entry["id"], "--message", "{}", "--edit", "new.json", "-j", "o.db")
    assert both.returncode == 2
    done = office.json("parked", "resend", entry["id"], "--edit", "new.json", "--by", "eve", "-j", "o.db")
    assert done == {"resolved": entry["id"], "decision": "resend", "by": "eve", "owner": False}
    assert office.json("parked", "list", "-j", "o.db") == []
    again = office.json("parked", "drop", entry["id"], "-j", "o.db", code=2)
    assert "sent again before, by eve" in again["error"]["message"]
    assert what_was_read(office) == ["mended", "last"]


def test_on_the_file_a_message_is_dropped_and_nothing_else_happens(office: Desk) -> None:
    (entry,) = office.json("parked", "list", "-j", "o.db")
    text = office.run("parked", "list", "-j", "o.db").stdout
    assert f"understudy parked show {entry['id']} --journal o.db" in text
    assert office.run("parked", "drop", entry["id"], "--reason", "old", "-j", "o.db").returncode == 0
    assert "Nothing was put aside" in office.run("parked", "list", "-j", "o.db").stdout
    assert what_was_read(office) == ["last"]


def test_without_a_journal_nothing_is_made(desk: Desk) -> None:
    for words in (["list"], ["show", "1"], ["drop", "1"], ["resend", "1"]):
        done = desk.run("parked", *words, "-j", "none.db")
        assert done.returncode == 2, done.stderr
        assert "there is no journal" in done.stderr
    assert not (desk.folder / "none.db").exists()


async def test_while_a_process_owns_the_journal_it_is_told_over_its_socket(tmp_path: Path) -> None:
    namespace: dict[str, Any] = {}
    exec(OFFICE, namespace)
    path = tmp_path / "o.db"
    async with us.System(namespace["office"], journal=path) as system:
        await system.tell("desk/ada", namespace["Letter"]("torn"))
        await system.rest()
        (message,) = await system.parked()
        assert bytes(message.message) == b'{"text":"torn"}'

        def from_elsewhere() -> None:
            remote = reach(path)
            assert remote is not None
            with remote:
                with pytest.raises(WrongAnswer):
                    remote.resend(message.id, Raw(b'{"text": 1}'), by="eve", reason="")
                remote.resend(message.id, Raw(b'{"text": "mended"}'), by="eve", reason="torn")
                with pytest.raises(UnknownItem, match="sent again before, by eve"):
                    remote.drop(message.id, by="eve", reason="")

        await asyncio.to_thread(from_elsewhere)
        await system.rest()
        assert await system.parked() == ()
        rows = await system.rows("desk/ada")
        assert any(b"mended" in bytes(row.payload) for row in rows)
        with pytest.raises(UnknownItem, match="no message was put aside"):
            await system.drop("99")


async def test_in_memory_too() -> None:
    namespace: dict[str, Any] = {}
    exec(OFFICE, namespace)
    async with us.System(namespace["office"]) as system:
        await system.tell("desk/ada", namespace["Letter"]("torn"))
        await system.rest()
        (message,) = await system.parked()
        await system.drop(message.id, reason="old")
        assert await system.parked() == ()
