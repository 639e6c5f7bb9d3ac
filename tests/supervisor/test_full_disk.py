"""A system whose disk is full: its askers are told, what is there can be read, and nothing acknowledged is lost."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.supervisor.journal.process import run
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.verify import verify

PROGRAM = """
import json, logging, resource
import anyio
import understudy as us
from understudy.supervisor.journal.writer import AsyncJournal
logging.disable()

class Note(us.Request[str]):
    text: str

class Noted(us.Event):
    text: str

class Box(us.Actor):
    @us.handles(Note)
    def note(self, turn: us.Turn[us.State], msg: Note) -> str:
        turn.emit(Noted(msg.text))
        return msg.text
    @us.applies(Noted)
    def noted(self, state: us.State, event: Noted) -> us.State:
        return state

def room(size):  # no file may grow beyond it: not the log, and no new shared memory either
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

told = {}
async def ask(system, text):
    try:
        told[text] = await system.ask("box", Note(text), timeout=30)
    except UnderstudyError as error:
        told[text] = type(error).__name__

async def main():
    async with us.System(us.Supervisor("team", [us.Child("box", Box)]), journal=path, control=False) as system:
        await ask(system, "before")
        room(2_000)
        async with anyio.create_task_group() as tasks:
            for n in range(5):
                tasks.start_soon(ask, system, f"full {n}")
            if "BRIEF" in os.environ:
                appends = 0
                while appends < 2:  # two commits have failed
                    await anyio.lowlevel.checkpoint()
                    appends = len(system._shell._rebuilt)
                room(resource.RLIM_INFINITY)
        await ask(system, "after")
        say(json.dumps(told))
        say(sum(row.kind == "turn" for row in await system.rows("box")), len(await system.actors()), len(system.inbox()))
        room(resource.RLIM_INFINITY)
try:
    anyio.run(main)
except JournalFull:
    say("JournalFull")
else:
    say("in order")
"""


def kept(path: Path) -> list[str]:
    """What was noted, by the file."""
    with read_only(path) as reader:
        assert verify(reader).bad == 0
        events = [
            event
            for (payload,) in reader.query("SELECT payload FROM rows ORDER BY gid")
            for event in msgspec.json.decode(payload).get("events", ())
            if "text" in event["data"]
        ]
    return [event["data"]["text"] for event in events]


def test_on_a_full_disk_askers_are_told_and_everything_stays_readable(tmp_path: Path) -> None:
    said, counts, end = run(PROGRAM, tmp_path / "desk.db")
    told = msgspec.json.decode(said)
    assert told == {"before": "before", **{f"full {n}": "JournalFull" for n in range(5)}, "after": "JournalFull"}
    turns, actors, _ = map(int, counts.split())
    assert (turns, actors) == (2, 4), "its start and the note; it, its supervisor, the root and the journal itself"
    assert end == "JournalFull"
    assert kept(tmp_path / "desk.db") == ["before"]


def test_when_there_is_room_again_in_time_nobody_notices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIEF", "1")
    said, _, end = run(PROGRAM, tmp_path / "desk.db")
    notes = ["before", *(f"full {n}" for n in range(5)), "after"]
    assert msgspec.json.decode(said) == {note: note for note in notes}
    assert end == "in order"
    assert sorted(kept(tmp_path / "desk.db")) == sorted(notes)
