"""After a tour of everything that a process can do with its journal, the kernel's table still shows SQLite's locks and ours.

A plain ``open`` and ``close`` of the database anywhere in the process would drop them without a word (POSIX locks belong to the
process), and then the next other process may delete the log with acknowledged rows in it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from tests.supervisor.journal.process import heard, running

TABLE: Final = Path("/proc/locks")
SHARED, DEAD_MAN = 0x4000_0002, 128
"""Where SQLite locks: the database's range of readers, and in the shared memory the byte that says that somebody is there."""

pytestmark = pytest.mark.skipif(not TABLE.exists(), reason="the kernel's lock table is read from /proc/locks")

TOUR = """
import contextlib, io, threading
from unittest.mock import patch
import anyio
import understudy as us
from understudy.protocols.errors import JournalFull
from understudy.supervisor.cli import main
from understudy.supervisor.cli.app import app
from understudy.supervisor.journal.verify import verify

class Hello(us.Request[str]):
    name: str

class Heard(us.Event):
    name: str

class Box(us.Actor):
    @us.handles(Hello)
    def hello(self, turn: us.Turn[us.State], msg: Hello) -> str:
        if msg.name != "again":
            turn.remind(Hello("again"), after=0.0)
        turn.emit(Heard(msg.name))
        return "hello " + msg.name
    @us.applies(Heard)
    def heard(self, state: us.State, event: Heard) -> us.State:
        return state

clerk = us.Agent("clerk", "Greets.", model=us.Rules("clerk", [us.Rule(us.Say("Hello."), score={"hello": 1.0})]))
team = us.Supervisor("team", [us.Child("box", Box)])

def stop(where):
    say(where)
    sys.stdin.readline()

def type_in(*words):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return main([*words, "--journal", path])

def cli():
    codes = {words: type_in(*words) for words in (("runs",), ("inbox",), ("show", "hello"), ("replay", "hello"))}
    group = app.commands.get("journal")
    for name in group.commands if group is not None else ():
        # TOOLS: each command of the group, on the journal that this process owns
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            extra = {"backup": [path + ".backup"], "export": [path + ".export"], "archive": [path + ".archive"]}.get(name, [])
            codes["journal", name] = main(["journal", name, path, *extra])
    return codes

def refused(name):
    try:
        SqliteJournal(name).open()
    except JournalHeld:
        return
    raise AssertionError("opened twice")

async def tour():
    with anyio.fail_after(60):
        await everything()

async def everything():
    full = False
    append = SqliteJournal.append
    def once_full(journal, batch):
        nonlocal full
        if full:
            full = False
            raise JournalFull("planted")
        append(journal, batch)
    with patch.object(SqliteJournal, "append", once_full):
        async with us.System(team, clerk, journal=path) as system:
            stop("open")
            async with system.watch("box"):
                assert await system.ask("box", Hello("ada"), key="1") == "hello ada"
                await system.tell("box", Hello("bob"))
            await system.run(clerk, "hello", id="hello")
            await system.rows("box"); await system.actors(); system.inbox(); await system.rest()
            stop("asked, told, watched")
            full = True
            assert await system.ask("box", Hello("cyd")) == "hello cyd"
            stop("rebuilt after a failed commit")
            with read_only(path) as reader, read_only(path) as other:
                assert verify(reader).bad == 0
                other.rows(); other.stream("box"); other.actors(); other.mail(); other.effects(); other.timers(); other.meta()
                other.query("SELECT * FROM runs")
            stop("read and verified by readers in the process")
            refused(path)
            os.symlink(path, path + ".link")
            refused(path + ".link")
            stop("refused twice")
            codes = await anyio.to_thread.run_sync(cli)
            assert codes["runs",] == codes["show", "hello"] == codes["inbox",] == 0, codes
            stop("command line " + str(codes))
            if "PLAIN" in os.environ:
                open(path, "rb").close()
                stop("opened and closed")
            stop("end")
anyio.run(tour)
"""


def locks(path: Path) -> set[tuple[str, int]]:
    """What the kernel says is locked of a file: kind of lock, first byte."""
    inode = path.stat().st_ino
    found = re.finditer(r"^\d+: (\w+) +\w+ +\w+ \d+ \w+:\w+:(\d+) (\d+)", TABLE.read_text(), re.MULTILINE)
    return {(kind, int(first)) for kind, number, first in (match.groups() for match in found) if int(number) == inode}


def seen(path: Path) -> dict[str, bool]:
    """Which of the three locks of an open journal are held."""
    database, memory, lock = (path.with_name(path.name + suffix) for suffix in ("", "-shm", "-lock"))
    return {
        "readers' range of the database": ("POSIX", SHARED) in locks(database),
        "dead man's switch": ("POSIX", DEAD_MAN) in locks(memory),
        "owner": ("FLOCK", 0) in locks(lock),
    }


def walk(path: Path) -> dict[str, dict[str, bool]]:
    """The tour in a process of its own, and which locks it holds at each stop."""
    stops: dict[str, dict[str, bool]] = {}
    with running(TOUR, path) as process:
        assert process.stdin is not None
        while where := heard(process):
            stops[where] = seen(path)
            process.stdin.write("\n")
            process.stdin.flush()
        assert process.wait(30) == 0
    return stops


def test_a_tour_of_everything_keeps_every_lock(tmp_path: Path) -> None:
    stops = walk(tmp_path / "desk.db")
    print("\n".join(f"{where}: {held}" for where, held in stops.items()))
    assert len(stops) == 7
    assert all(all(held.values()) for held in stops.values()), stops
    assert "Traceback" not in str(stops)


def test_a_plain_open_and_close_drops_them_and_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAIN", "1")
    stops = walk(tmp_path / "desk.db")
    assert all(stops["open"].values())
    assert stops["opened and closed"] == {
        "readers' range of the database": False,
        "dead man's switch": True,
        "owner": True,
    }
