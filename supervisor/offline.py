"""Answering a question while nobody owns the journal: take it over for a moment, write the answer, let go.

The rows are the ones that an owner would have written (``actors.flights.answer``), in one batch:

    system    taken over, epoch + 1
    accepted  the answer, and the effect as it stands with it
    system    stopped                    only if the last owner had stopped in order

A journal whose owner died stays unclean, so that its next owner still marks what was pending then. A call that may not run
twice and had begun is in doubt from the moment of that death, not only when somebody runs the team again (``as_left``).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw

from ..actors.answers import Edit, accept, considered
from ..actors.cell import Cell, read_record
from ..actors.editing import edited
from ..actors.registry import Directory
from ..actors.releases import Resolve, Revoke, Switch, Verdict, again
from ..protocols.approvals import Answer
from ..protocols.books import Entry
from ..protocols.circuits import answered
from ..protocols.codec import encode
from ..protocols.decisions import VALUED
from ..protocols.effects import Effect
from ..protocols.envelope import Context
from ..protocols.errors import JournalError, UnknownItem, WrongAnswer
from ..protocols.grants import key, made
from ..protocols.ids import SYSTEM, Address
from ..protocols.journal import ActorLine, Batch, Mail, Opened, Record, Row, RowKind
from ..tools.ledger import after_crash
from .journal.reader import read_only
from .journal.sqlite import SqliteJournal
from .parked import FileLetters, ParkedMessage, find
from .standing import standing_of
from .verdicts import acts, too_late, verdict

if TYPE_CHECKING:
    from .supervision.tree import Tree


@contextlib.contextmanager
def _owned(path: str | os.PathLike[str]) -> Generator[tuple[SqliteJournal, Opened]]:
    """A journal that is there, ours for as long as one decision takes."""
    if not Path(path).exists():
        raise JournalError(f"there is no journal {path}", hint="a run with a journal makes one")
    journal = SqliteJournal(path)
    opened = journal.open()
    try:
        yield journal, opened
    finally:
        journal.close()


def answer(path: str | os.PathLike[str], given: Answer, program: Callable[[], Tree | None] = lambda: None) -> None:
    """Write a person's answer; durable when this returns. It takes effect when the team runs next.

    Args:
        path: the journal.
        given: the answer.
        program: gives the definitions that say whether a value fits, where they are known; only asked for where there is one.
            Without them a result is looked at when the team runs, and asked for anew where it does not fit; a call is not changed.

    Raises:
        UnknownItem, WrongAnswer: as ``System.answer``; also when the time to answer is over.
        JournalHeld: somebody owns it.
        JournalError and its kinds: it is not there, or cannot be written.
    """
    with _owned(path) as (journal, opened):
        effect = next((as_left(e) for e in opened.effects if e.id == given.item), None)
        now = max(opened.at, time.time())
        try:
            tree = program() if given.decision in VALUED else None
            known = tree.directory if tree is not None else None
            edit = _edit(journal, tree, now) if tree is not None else None
            accepted = accept(effect, given, now, edit=edit)
        except UnknownItem as error:
            with read_only(path) as reader:
                raise (too_late(FileLetters(reader), given.item) or error) from error
        assert effect is not None
        assert accepted.question is not None
        said = accepted.answer or accepted.yes[-1]
        if known is not None:
            considered(_cell(journal, effect.stream, known), accepted, given.decision)
        also: Resolve | None = None
        if acts(accepted.question):
            with read_only(path) as reader:
                both = verdict(FileLetters(reader), accepted.question, given, known)
            also = both.resolve if isinstance(both, Verdict) else None
        line = next(line for line in journal.actors(effect.stream) if line.address == effect.stream)
        pen = _Pen(opened, now)
        pen.system({"epoch": str(opened.epoch + 1), "pid": str(os.getpid()), "for": "one answer"})
        entries = made(accepted, now) + answered(accepted, {entry.key: entry for entry in opened.books}, now)
        record = Record(changes=(accepted,), answer=said, books=entries)
        pen.row("accepted", line.address, line.seq + 1, line.incarnation, given.item, record)
        mail: tuple[Mail, ...] = ()
        if also is not None:
            sends = again(also, opened.last + 3, now)
            pen.system_record(Record(parked=also.resolution, sends=sends))
            mail = tuple(Mail(envelope, opened.last + 3) for envelope in sends)
        if opened.clean:
            pen.system({"stopped": "answered"})
        after = ActorLine(
            line.address, line.life, line.incarnation, line.seq + 1, line.context, now, line.turns
        )  # fmt: skip
        lines = (after, ActorLine(SYSTEM, "running", 0, pen.system_seq, Context(), now))
        books = tuple(msgspec.structs.replace(entry, gid=opened.last + 2) for entry in entries)
        journal.append(Batch(tuple(pen.rows), mail=mail, effects=(accepted,), actors=lines, books=books))


def _edit(journal: SqliteJournal, tree: Tree, now: float) -> Edit:
    """How a call is changed: the gate of the program that made it looks at it again."""
    from ..tools.gate import Gate  # most answers change nothing

    def edit(effect: Effect, given: Answer) -> Effect:
        cell = _cell(journal, effect.stream, tree.directory)
        if cell.mount is None:
            raise WrongAnswer(
                f"nobody can say whether the changed arguments of {given.item} are let through: {effect.stream} cannot be read",
                hint="approve it as it is, or answer while its program runs",
            )
        return edited(effect, given, Gate(tree.grants), cell.memory.counters, cell.mount.people, now)

    return edit


def _cell(journal: SqliteJournal, address: Address, directory: Directory) -> Cell:
    """An actor as its rows say; one that cannot be read considers nothing."""
    cell = Cell(address, directory.find(address))
    try:
        for row in journal.stream(address):
            cell.fold(row, read_record(row))
    except Exception:  # noqa: BLE001 - the actor's own code; whoever runs the team next is told
        cell.mount = None
    return cell


def resolve(path: str | os.PathLike[str], id: str, make: Callable[[ParkedMessage], Resolve]) -> None:
    """Write a person's decision about a message that was put aside; durable when this returns.

    Args:
        path: the journal.
        id: of the message.
        make: the decision, from what was put aside; may raise.

    Raises:
        UnknownItem, WrongAnswer: as ``System.resend``.
        JournalHeld: somebody owns it.
        JournalError and its kinds: it is not there, or cannot be written.
    """
    with _owned(path) as (journal, opened):
        with read_only(path) as reader:
            thing = make(find(FileLetters(reader), id))
        now = max(opened.at, time.time())
        pen = _Pen(opened, now)
        pen.system({"epoch": str(opened.epoch + 1), "pid": str(os.getpid()), "for": "one answer"})
        sends = again(thing, opened.last + 2, now)
        pen.system_record(Record(parked=thing.resolution, sends=sends))
        if opened.clean:
            pen.system({"stopped": "answered"})
        lines = (ActorLine(SYSTEM, "running", 0, pen.system_seq, Context(), now),)
        mail = tuple(Mail(envelope, opened.last + 2) for envelope in sends)
        journal.append(Batch(tuple(pen.rows), mail=mail, actors=lines))


def revoke(path: str | os.PathLike[str], id: str, by: str, reason: str) -> None:
    """Take a standing approval back; durable when this returns.

    Raises:
        UnknownItem: none of that id stands.
        JournalHeld: somebody owns the journal.
        JournalError and its kinds: it is not there, or cannot be written.
    """
    with _owned(path) as (journal, opened):
        standing_of({entry.key: entry for entry in opened.books}, id)
        now = max(opened.at, time.time())
        pen = _Pen(opened, now)
        pen.system({"epoch": str(opened.epoch + 1), "pid": str(os.getpid()), "for": "one answer"})
        pen.system_record(Record(books=(Entry(key(id)),), note=Revoke(id, by, reason).note))
        if opened.clean:
            pen.system({"stopped": "answered"})
        lines = (ActorLine(SYSTEM, "running", 0, pen.system_seq, Context(), now),)
        journal.append(Batch(tuple(pen.rows), actors=lines, books_closed=(key(id),)))


def switch(path: str | os.PathLike[str], thing: Switch) -> None:
    """Open or close a breaker; durable when this returns. Whoever waits for one that is closed goes on when the team runs next.

    Raises:
        UnknownItem: it is to be closed, and is not open.
        JournalHeld: somebody owns the journal.
        JournalError and its kinds: it is not there, or cannot be written.
    """
    with _owned(path) as (journal, opened):
        now = max(opened.at, time.time())
        entry = thing.entry({entry.key: entry for entry in opened.books}, now)
        pen = _Pen(opened, now)
        pen.system({"epoch": str(opened.epoch + 1), "pid": str(os.getpid()), "for": "one answer"})
        pen.system_record(Record(books=(entry,), note=thing.note))
        kept = msgspec.structs.replace(entry, gid=opened.last + 2)
        if opened.clean:
            pen.system({"stopped": "answered"})
        lines = (ActorLine(SYSTEM, "running", 0, pen.system_seq, Context(), now),)
        journal.append(
            Batch(
                tuple(pen.rows), actors=lines, books=(kept,) if thing.open else (),
                books_closed=() if thing.open else (entry.key,),
            )
        )  # fmt: skip


def as_left(effect: Effect) -> Effect:
    """An open effect as the next life will see it, now that nobody owns the journal: what had begun and may not run twice is
    in doubt. Anything else is given back as it is."""
    if effect.effect != "once" or effect.state != "started" or effect.simulated:
        return effect
    step = after_crash(effect, effect.at)
    return msgspec.structs.replace(
        effect, state="in_doubt", interrupted=effect.interrupted + 1, question=step.question, failure=step.failure,
        answer=None, due=None,
    )  # fmt: skip


def owned(path: str | os.PathLike[str]) -> bool:
    """Whether a process owns the journal, be it one that takes no commands.

    The lock is tried only where its file names a process that lives: whoever tries it holds it for a moment, and could be
    in the way of the next owner.
    """
    db = Path(os.path.realpath(path))
    try:
        with db.with_name(db.name + "-lock").open("rb") as file:
            words = file.read(200).split()
            if not words or not words[0].isdigit() or not _lives(int(words[0])):
                return False
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


class _Pen:
    """Writes rows behind the last one."""

    def __init__(self, opened: Opened, now: float) -> None:
        self.rows: list[Row] = []
        self.system_seq = opened.system_seq
        self._gid, self._now = opened.last, now

    def system(self, note: dict[str, str]) -> None:
        self.system_record(Record(note=note))

    def system_record(self, record: Record) -> None:
        self.system_seq += 1
        self.row("system", SYSTEM, self.system_seq, 0, "", record)

    def row(self, kind: RowKind, stream: Address, seq: int, incarnation: int, cause: str, record: Record) -> None:
        self._gid += 1
        self.rows.append(Row(self._gid, stream, seq, incarnation, kind, cause, self._now, Raw(encode(record))))
