"""A till that is killed at named points of a commit, and started again.

    python -m tests.crash.programs.points FOLDER [--late] [--twice]

For each point, and for the first, second, third … time that a life comes by it: a journal of its own, on which one life is
killed there, the next one at the first time it comes by, and a third one ends the work. A life is a forked process. What
was acknowledged, and what the tool did, its own process writes into files and flushes; each life's end is said as a line of
JSON, and what was wrong.

``--late``: a journal that says that a batch is in, and writes it with the next one. ``--twice``: a ledger that runs a ``once``
call again after a crash. With either this program must find something.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import anyio
import msgspec

import understudy as us
from tests.crash.programs.deadly import die
from tests.crash.programs.world import World
from understudy.actors.kernel import Kernel
from understudy.protocols.effects import Effect
from understudy.protocols.errors import JournalDamaged
from understudy.protocols.hooks import Next
from understudy.protocols.journal import Batch
from understudy.supervisor import system
from understudy.supervisor.journal.driver import Connection, Cursor, Driver, Value, choose
from understudy.supervisor.journal.head import OsHeadFile
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.sqlite import SqliteJournal
from understudy.supervisor.journal.verify import verify
from understudy.tools import ledger
from understudy.tools.perform import Performer

POINTS: Final = (
    "before the transaction",
    "before the head is written",
    "before the head is flushed",
    "after the head is flushed",
    "before the commit",
    "after the commit",
    "before the append returns",
    "before anything is released",
    "before the caller goes on",
    "after the acknowledgement",
    "before the effect leaves",
    "before it happens",
    "after it happened",
    "after its outcome is in hand",
)
NOTES, PAYMENTS = 3, 2


class End(msgspec.Struct, frozen=True):
    """How a life ended: killed at its point, or all work done. ``wrong``: what its journal and its witnesses say."""

    point: str
    time: int
    killed: bool
    wrong: tuple[str, ...] = ()


class Note(us.Message):
    text: str


class Pay(us.Request[str]):
    text: str


class Noted(us.Event):
    text: str


class Owed(us.Event):
    text: str
    later: str


class Till(us.Actor):
    """Takes notes, and pays."""

    class State(us.State):
        notes: tuple[str, ...] = ()
        owed: dict[str, str] = {}  # noqa: RUF012  # msgspec copies it

    @us.handles(Note)
    def note(self, turn: us.Turn[State], msg: Note) -> None:
        turn.emit(Noted(msg.text))

    @us.handles(Pay)
    def pay(self, turn: us.Turn[State], msg: Pay) -> us.Later[str]:
        later = turn.later(msg)
        turn.emit(Owed(msg.text, later.id))
        turn.call(wire_out, msg.text, tag=msg.text)
        return later

    @us.settles(us.ANY_TOOL)
    def paid(self, turn: us.Turn[State], outcome: us.Outcome[object]) -> None:
        later = us.Later[str](turn.state.owed[str(outcome.tag)])
        turn.reply(later, "failed" if outcome.failure is not None else "paid")

    @us.applies(Noted)
    def noted(self, state: State, event: Noted) -> State:
        return state.evolve(notes=(*state.notes, event.text))

    @us.applies(Owed)
    def owe(self, state: State, event: Owed) -> State:
        return state.evolve(owed={**state.owed, event.text: event.later})


class Here:
    """Where the folder is, and at which point this life is to die."""

    world: World
    acks: Path
    point = ""
    left = 0


def pass_by(point: str) -> None:
    """This life comes by a point."""
    if point == Here.point:
        Here.left -= 1
        if Here.left <= 0:
            die()


@us.tool(effect="once")
def wire_out(payment: str) -> str:
    """Send money away for good."""
    Here.world.ran("wire_out", payment)
    pass_by("before it happens")
    Here.world.change("wire_out", payment)
    pass_by("after it happened")
    return "paid"


TEAM = us.Supervisor("bank", [us.Child("till", Till, tools=[wire_out])])


# -- the points, around the product and never in it ---------------------------------------------------------------------


class PointedHead(OsHeadFile):
    def write(self, data: bytes, offset: int) -> None:
        pass_by("before the head is written")
        super().write(data, offset)

    def sync(self) -> None:
        pass_by("before the head is flushed")
        super().sync()
        pass_by("after the head is flushed")


class PointedConnection:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[Value] = (), /) -> Cursor:
        if sql == "BEGIN IMMEDIATE":
            pass_by("before the transaction")
        elif sql == "COMMIT":
            pass_by("before the commit")
        cursor = self._connection.execute(sql, parameters)
        if sql == "COMMIT":
            pass_by("after the commit")
        return cursor

    def close(self) -> None:
        self._connection.close()


def pointed_driver() -> Driver:
    """The driver that is always used, passing by."""
    real = choose()

    def connect(uri: str) -> Connection:
        return PointedConnection(real.connect(uri))

    return msgspec.structs.replace(real, connect=connect)


class PointedJournal(SqliteJournal):
    def __init__(self, path: str | os.PathLike[str], **options: Any) -> None:
        super().__init__(path, driver=pointed_driver(), open_head=PointedHead, **options)

    def append(self, batch: Batch) -> None:
        super().append(batch)
        pass_by("before the append returns")


class LateJournal(PointedJournal):
    """Says that a batch is in when the one before it is."""

    held: Batch | None = None

    def append(self, batch: Batch) -> None:
        before, self.held = self.held, batch
        if before is not None:
            super().append(before)

    def close(self) -> None:
        before, self.held = self.held, None
        if before is not None:
            super().append(before)
        super().close()


def start_again(effect: Effect, now: float) -> Next:
    """What the ledger must never say of a ``once`` call that had begun."""
    return Next("start")


def pointed(options: Sequence[str]) -> ExitStack:
    """The product with points around it."""
    committed, perform = Kernel.committed, Performer.perform

    def release(kernel: Kernel, gid: int) -> object:
        first = kernel.held_back
        if first is not None and first <= gid:
            pass_by("before anything is released")
        return committed(kernel, gid)

    async def leave(performer: Performer, *given: Any, **named: Any) -> object:
        pass_by("before the effect leaves")
        attempt = await perform(performer, *given, **named)
        pass_by("after its outcome is in hand")
        return attempt

    stack = ExitStack()
    patches: list[AbstractContextManager[object]] = [
        patch.object(Kernel, "committed", release),
        patch.object(Performer, "perform", leave),
        patch.object(system, "SqliteJournal", LateJournal if "--late" in options else PointedJournal),
    ]
    if "--twice" in options:
        patches.append(patch.object(ledger, "after_crash", start_again))
    for one in patches:
        stack.enter_context(one)
    return stack


# -- a life, and what is found after it ---------------------------------------------------------------------------------


def acknowledged() -> Counter[str]:
    """What callers were told, by their own flushed file."""
    return Counter(Here.acks.read_text().split() if Here.acks.exists() else ())


def witness(what: str) -> None:
    """Flush a line that says that the caller knows."""
    handle = os.open(Here.acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(handle, f"{what}\n".encode())
    os.fsync(handle)
    os.close(handle)
    pass_by("after the acknowledgement")


async def life(journal: Path) -> None:
    """Bring what is not acknowledged yet, with the same key as ever, and settle doubts by what the world knows."""
    known = acknowledged()
    async with us.System(TEAM, journal=journal, control=False) as running:

        async def pay(text: str) -> None:
            answer = await running.ask("till", Pay(text), key=text, timeout=30.0)
            pass_by("before the caller goes on")
            witness(f"{text}:{answer}")

        async with anyio.create_task_group() as tasks:
            for number in range(PAYMENTS):
                if not any(ack.startswith(f"pay-{number}:") for ack in known):
                    tasks.start_soon(pay, f"pay-{number}")
            for number in range(NOTES):
                if f"note-{number}" not in known:
                    await running.tell("till", Note(f"note-{number}"), key=f"note-{number}")
                    pass_by("before the caller goes on")
                    witness(f"note-{number}")
            await running.rest()
            for item in running.inbox():
                payment = msgspec.json.decode(item.arguments, type=dict[str, str])["payment"]
                if Here.world.knows("wire_out", payment):
                    await running.answer(item.id, "happened", value="paid")
                else:
                    await running.answer(item.id, "not_happened", reason="the world knows nothing of it")


def wrong(journal: Path, *, over: bool) -> list[str]:
    """What the journal and the witnesses say that must not be. ``over``: all work is done."""
    told, found = acknowledged(), list[str]()
    notes: Counter[str] = Counter()
    answered: Counter[str] = Counter()
    with suppress(JournalDamaged), read_only(journal) as reader:  # an empty file, before its first transaction
        verified = verify(reader)
        found += [f"the chain: {verified.why}"] if verified.bad else []
        for (payload,) in reader.query("SELECT payload FROM rows ORDER BY gid"):
            record = msgspec.json.decode(payload)
            notes.update(e["data"]["text"] for e in record.get("events", ()) if e["wire"] == Noted.__wire__)
            answered.update(f"{r['to']['token'].partition('#')[2]}:{r['value']}" for r in record.get("replies", ()))
    for ack, times in told.items():
        if times > 1:
            found.append(f"{ack} was acknowledged {times} times")
        if ack not in (answered if ack.startswith("pay") else notes) and not (
            ack.startswith("note") and accepted(journal, ack)
        ):
            found.append(f"{ack} was acknowledged, and is not there")
    found += [f"{note} was handled {times} times" for note, times in notes.items() if times > 1]
    for number in range(PAYMENTS):
        payment = f"pay-{number}"
        lines = [line.what for line in Here.world.lines() if line.key == payment]
        if lines.count("ran") > 1 or lines.count("effect") > 1:
            found.append(f"{payment} ran {lines.count('ran')} times and happened {lines.count('effect')} times")
        if over and told[f"{payment}:paid"] + told[f"{payment}:failed"] != 1:
            found.append(f"{payment} was not answered")
        if told[f"{payment}:paid"] > lines.count("effect"):
            found.append(f"{payment} was answered as paid and did not happen")
    if over and notes.keys() != {f"note-{number}" for number in range(NOTES)}:
        found.append(f"of the notes only {sorted(notes)} were handled")
    return found


def accepted(journal: Path, note: str) -> bool:
    """Whether a note waits in the inbox."""
    with read_only(journal) as reader:
        return any(mail.envelope.key == note for mail in reader.mail())


def live(journal: Path, point: str, time: int) -> bool:
    """Fork a life; true if it was killed at its point."""
    child = os.fork()
    if not child:
        try:
            Here.point, Here.left = point, time
            anyio.run(life, journal)
            os._exit(0)
        except Exception:  # noqa: BLE001 - a forked child must never come back
            traceback.print_exc()
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in (0, -signal.SIGKILL):
        raise SystemExit(f"a life at {point!r}, time {time}, ended with {status}")
    return status != 0


def say(end: End) -> None:
    """Tell whoever started this."""
    print(msgspec.json.encode(end).decode(), flush=True)


def main(folder: Path, options: Sequence[str]) -> None:
    """All points, every time that a life comes by."""
    with pointed(options):
        for point in POINTS:
            for time in range(1, 1_000):
                place = folder / f"{POINTS.index(point)}-{time}"
                place.mkdir()
                Here.world, Here.acks = World(place), place / "acks"
                journal = place / "till.db"
                lives = 0
                for at, number in ((point, time), (point, 1), ("", 0)):
                    lives += 1
                    killed = live(journal, at, number)
                    say(End(at, number, killed, tuple(wrong(journal, over=not killed))))
                    if not killed:
                        break
                if lives == 1:
                    break  # nobody comes by so often


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
