"""Where a command looks and answers: the process that owns the journal, over its socket, or the file where nobody does."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ...actors.releases import Switch
from ...protocols.approvals import Answer
from ...protocols.circuits import Circuit, circuits
from ...protocols.errors import JournalError, JournalHeld, TargetError, UnderstudyError
from ...protocols.grants import Grant, grants
from ...protocols.ids import SYSTEM, Address
from ...protocols.journal import ActorLine, Row
from ...tools.checks.shadow import ALL
from .. import offline
from ..breaking import must_be_known
from ..inbox import InboxItem, inbox
from ..journal.batch import record_of
from ..journal.files import other_names
from ..journal.reader import JournalReader, read_only
from ..journal.reading import must_fit, reading
from ..remote import Remote, Unanswered, reach
from .plain import echo

if TYPE_CHECKING:
    from ..supervision.tree import Tree

ARRIVING = 2.0
"""Seconds for which a journal may be held by a process that has not made its socket yet."""


LOOKING = 5.0
"""Seconds for the owner to answer somebody who only looks; then the file is read instead."""


class Made(NamedTuple):
    """What worked on a run: target and model of the program, and whether all of its tools were in shadow."""

    target: str = ""
    model: str = ""
    shadow: bool = False


class Source(Protocol):
    """What can be asked of a journal, owned or not."""

    @property
    def left(self) -> bool:
        """Whether nobody owns it: what was under way then is as the next owner will see it."""
        ...

    def inbox(self) -> tuple[InboxItem, ...]:
        """What waits for people."""
        ...

    def grants(self) -> tuple[Grant, ...]:
        """Standing approvals."""
        ...

    def breakers(self) -> tuple[Circuit, ...]:
        """Breakers of tools and models in trouble."""
        ...

    def actors(self, prefix: str = "") -> tuple[ActorLine, ...]:
        """Lines of actors at or below an address."""
        ...

    def stream(self, actor: Address) -> tuple[Row, ...]:
        """The rows of one actor."""
        ...


class FileSource:
    """A journal read from its file. A row that is not what was written is named, and not shown."""

    def __init__(self, reader: JournalReader, *, left: bool) -> None:
        self._reader = reader
        self.left = left

    def inbox(self) -> tuple[InboxItem, ...]:
        """What waits for people."""
        effects = self._reader.effects()
        return inbox(tuple(map(offline.as_left, effects)) if self.left else effects)

    def grants(self) -> tuple[Grant, ...]:
        """Standing approvals."""
        return tuple(grants({entry.key: entry for entry in self._reader.books()}))

    def breakers(self) -> tuple[Circuit, ...]:
        """Breakers of tools and models in trouble."""
        return circuits({entry.key: entry for entry in self._reader.books()}, time.time())

    def actors(self, prefix: str = "") -> tuple[ActorLine, ...]:
        """Lines of actors at or below an address."""
        return self._reader.actors(prefix)

    def stream(self, actor: Address) -> tuple[Row, ...]:
        """The rows of one actor."""
        rows = self._reader.stream(actor)
        must_fit(self._reader, actor, rows)
        return rows


@contextmanager
def looking(path: Path) -> Generator[Source]:
    """A journal to look at.

    Raises:
        UnderstudyError: there is none, or it cannot be read.
    """
    must_exist(path)
    remote = reach(path, LOOKING)
    if remote is not None:
        with remote:
            try:
                remote.facts()
            except Unanswered:
                pass  # stuck: the file can be read all the same
            else:
                yield remote
                return
    with read_only(path) as reader, reading(f"something in {path}"):
        warn(reader)
        yield FileSource(reader, left=not offline.owned(path))


def warn(reader: JournalReader) -> None:
    """Say on standard error where what is shown is not all that was acknowledged."""
    if why := reader.lost() or other_names(reader.path):
        echo(f"understudy: warning: {why}. What follows is what is left", err=True)


def give(path: Path, answer: Answer, made: Made | None = None) -> bool:
    """Answer an item. ``made``: target and model of its run, which say whether a value fits.

    True where a running process took it, false where it was written into the file.

    Raises:
        UnknownItem, WrongAnswer: the answer does not fit.
        JournalHeld: a process that takes no commands owns the journal.
    """
    return either(
        path,
        lambda remote: remote.give(answer),
        lambda: offline.answer(
            path, answer, lambda: definitions(made.target, made.model) if made is not None else None
        ),
    )


def revoke(path: Path, id: str, by: str, reason: str) -> bool:
    """Take a standing approval back. True where a running process did, false where it was written into the file.

    Raises:
        UnknownItem: none of that id is in force.
        JournalHeld: a process that takes no commands owns the journal.
    """
    return either(
        path, lambda remote: remote.revoke(id, by=by, reason=reason), lambda: offline.revoke(path, id, by, reason)
    )


def switch(path: Path, thing: Switch) -> bool:
    """Open or close a breaker. True where a running process did, false where it was written into the file.

    Raises:
        UnknownItem: it is to be closed and is not open, or nothing of that name is known.
        JournalHeld: a process that takes no commands owns the journal.
    """

    def write() -> None:
        if thing.open:
            with read_only(path) as reader:
                made = target_of(FileSource(reader, left=True))
                tree = definitions(made.target, made.model)
            if tree is not None:
                must_be_known(tree, thing.name)
        offline.switch(path, thing)

    return either(path, lambda remote: remote.switch(thing), write)


def either(path: Path, ask: Callable[[Remote], None], write: Callable[[], None]) -> bool:
    """Have a running process do something (true), or do it to the file where none owns it (false).

    Raises:
        JournalHeld: a process that takes no commands owns the journal.
    """
    must_exist(path)
    until = time.monotonic() + ARRIVING
    while True:
        remote = reach(path)
        if remote is not None:
            with remote:
                ask(remote)
            return True
        try:
            write()
        except JournalHeld as error:
            if time.monotonic() > until:
                raise JournalHeld(
                    str(error.args[0]),
                    pid=error.pid,
                    hint="it takes no commands (control=False): answer when it has ended",
                ) from error
            time.sleep(0.05)
        else:
            return False


def owner(path: Path) -> Remote:
    """The process that owns a journal.

    Raises:
        UnderstudyError: none does, or it takes no commands.
    """
    must_exist(path)
    until = time.monotonic() + ARRIVING
    while (remote := reach(path)) is None and offline.owned(path) and time.monotonic() < until:
        time.sleep(0.05)  # it has the journal, and makes its socket
    if remote is None:
        raise UnderstudyError(
            f"no process that takes commands owns {path}", hint="there is nothing to stop or to hand work to"
        )
    return remote


def must_exist(path: Path) -> None:
    """Raises UnderstudyError where there is no journal: looking must not make one. JournalError: nobody can say."""
    try:
        there = path.exists()
    except OSError as error:  # a folder that may not be entered, a name that is too long
        raise JournalError(
            f"{path} cannot be reached: {error.strerror}", hint="its folder must be readable by this user"
        ) from error
    if not there:
        raise UnderstudyError(f"there is no journal {path}", hint="name it with --journal; a run makes one")


def definitions(target: str, model: str) -> Tree | None:
    """The tree of the program that made a run; None where the journal does not name it or it cannot be imported."""
    from ..target import load

    if not target:
        return None
    try:
        return load(target).tree(model)
    except TargetError:
        return None


def shadow_of(path: Path) -> str | None:
    """Whose calls the last process that worked on a journal simulated (``System.shadow``); None where none has, or nobody can say."""
    if not path.exists():
        return None
    try:
        with read_only(path) as reader:
            begun = [note for row in reader.stream(SYSTEM) if "epoch" in (note := record_of(row).note)]
    except UnderstudyError:
        return None
    lives = [note for note in begun if note.get("for") != "one answer"]
    return lives[-1].get("shadow", "") if lives else None


def target_of(source: Source, run: str = "") -> Made:
    """With what a run, or without one the journal, was last worked on; empty where the journal does not say."""
    begun = [(row.gid, note) for row in source.stream(SYSTEM) if "epoch" in (note := record_of(row).note)]
    last = max((gid for gid, _ in begun), default=0)
    if run:  # a person's answer to it may have been written in a life of its own
        answered = {gid for gid, note in begun if note.get("for") == "one answer"}
        rows = (row.gid for line in source.actors(run) for row in source.stream(line.address))
        lives = (max((gid for gid, _ in begun if gid < row), default=0) for row in rows)
        last = max((gid for gid in lives if gid not in answered), default=0)
    named = [note for gid, note in begun if gid <= last and note.get("target")]
    if not named:
        return Made()
    note = named[-1]
    return Made(note["target"], note.get("model", ""), note.get("shadow") == ALL)
