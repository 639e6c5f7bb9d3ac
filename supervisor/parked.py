"""Messages that were put aside: parked after a failed turn, expired, dropped, or for nobody. To look at, send again or drop.

    row kind failed | parked | expired, with a failure      the message is put aside
    row kind system, ``parked``                             a person sent it again (``sends``), or dropped it

A fold over the journal. What a message was is read from the row that put it aside or, where it was taken by reference, from the
row that sent or accepted it. One that is tried again by itself (``poison_after``) is not put aside yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Raw, Struct

from ..actors.registry import Directory
from ..actors.watching import NOTICES
from ..protocols.codec import encode
from ..protocols.envelope import OUTCOME, Envelope
from ..protocols.errors import NotStorable, UnknownItem, WrongAnswer
from ..protocols.failures import Failure
from ..protocols.ids import SYSTEM, Address
from ..protocols.journal import MAX_MESSAGE, Record, Row
from ..protocols.lifecycle import ChildFailed, Restart, Stop
from ..protocols.mail import Undelivered
from .journal.batch import record_of
from .journal.reader import JournalReader, read_only

PUT_ASIDE = ("failed", "parked", "expired")
"""Kinds of rows that put a message aside, where they have a failure."""

_INSIDE = NOTICES | {OUTCOME, Restart.__wire__, Stop.__wire__, ChildFailed.__wire__, Undelivered.__wire__}
"""What the machinery says to itself: nobody sends it again."""

_SENT_BY = re.compile(r"(\d+)\.")


class ParkedMessage(Struct, frozen=True, omit_defaults=True):
    """One message that was put aside.

    Attributes:
        id: what to resend or drop it by: the number of the row that put it aside.
        item: id of the message.
        to: the true addressee.
        wire, version, message: what it says: wire name, version and JSON.
        failure: why.
        sender: who sent it; empty for outside.
        run: the run that it belongs to; empty where it is the beginning of one.
        since: journal time at which it was put aside.
        how: kind of the row: ``failed`` (its turn raised), ``expired`` (not begun in time, cancelled, or gave way) or ``parked``.
        envelope: the mail itself.
    """

    id: str
    item: str
    to: Address
    wire: str
    version: int
    message: Raw
    failure: Failure
    sender: Address
    run: Address
    since: float
    how: str
    envelope: Envelope


class Pages(Protocol):
    """Where the rows are."""

    def dead(self) -> Iterable[Row]:
        """Rows of the kinds ``PUT_ASIDE``."""
        ...

    def decided(self) -> Iterable[Row]:
        """System rows that may be people's decisions."""
        ...

    def row(self, gid: int) -> Row | None:
        """One row."""
        ...

    def stream(self, address: Address) -> Sequence[Row]:
        """The rows of one actor."""
        ...


class Letters:
    """Rows in memory."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = {row.gid: row for row in rows}
        self._streams: dict[Address, list[Row]] = {}

    def dead(self) -> Iterable[Row]:
        return [row for row in self._rows.values() if row.kind in PUT_ASIDE]

    def decided(self) -> Iterable[Row]:
        return [row for row in self._rows.values() if row.stream == SYSTEM]

    def row(self, gid: int) -> Row | None:
        return self._rows.get(gid)

    def stream(self, address: Address) -> Sequence[Row]:
        if not self._streams:
            for row in self._rows.values():
                self._streams.setdefault(row.stream, []).append(row)
        return self._streams.get(address, ())


class FileLetters:
    """Rows in a file; only those that matter are read."""

    def __init__(self, reader: JournalReader) -> None:
        self._reader = reader
        self._streams: dict[Address, tuple[Row, ...]] = {}

    def dead(self) -> Iterable[Row]:
        kinds = msgspec.json.encode(PUT_ASIDE).decode()
        return self._some("kind IN (SELECT value FROM json_each(?)) AND payload LIKE '%\"failure\":%'", kinds)

    def decided(self) -> Iterable[Row]:
        return self._some("kind = ? AND payload LIKE '%\"parked\":%'", "system")

    def row(self, gid: int) -> Row | None:
        found = self._reader.rows(gid - 1, 1)
        return found[0] if found and found[0].gid == gid else None

    def stream(self, address: Address) -> Sequence[Row]:
        if address not in self._streams:
            self._streams[address] = self._reader.stream(address)
        return self._streams[address]

    def _some(self, where: str, value: str) -> list[Row]:
        gids = [line[0] for line in self._reader.query(f"SELECT gid FROM rows WHERE {where} ORDER BY gid", value)]
        return [row for gid in gids if (row := self.row(gid)) is not None]


def parked(pages: Pages) -> tuple[ParkedMessage, ...]:
    """All that nobody has decided about, oldest first."""
    decided = {record.parked.row for row in pages.decided() if (record := record_of(row)).parked is not None}
    mail = _Mail(pages)
    found = (_read(mail, row) for row in pages.dead() if row.gid not in decided)
    return tuple(message for message in found if message is not None)


def find(pages: Pages, id: str) -> ParkedMessage:
    """One of them.

    Raises:
        UnknownItem: there is none of that id, or somebody decided about it before.
    """
    hint = "'understudy parked list' lists what was put aside"
    if not isinstance(id, str):
        raise UnknownItem(f"{id!r} is not the id of a message: an id is text", hint=hint)
    row = pages.row(int(id)) if id.isascii() and id.isdigit() and len(id) < 19 else None
    message = _read(_Mail(pages), row) if row is not None and row.kind in PUT_ASIDE else None
    if message is None:
        raise UnknownItem(f"no message was put aside under the id {id!r}", hint=hint)
    for one in pages.decided():
        decision = record_of(one).parked
        if decision is not None and decision.row == int(id):
            done = "sent again" if decision.decision == "resend" else "dropped"
            raise UnknownItem(f"{id} was {done} before, by {decision.by}", hint="the first decision counts")
    return message


def of_item(pages: Pages, actor: Address, item: str) -> ParkedMessage | None:
    """The message of this id on which an actor failed, the last time it did; None where somebody has decided about it, or it is none
    that people send."""
    mail = _Mail(pages)
    put = [row for row in pages.stream(actor) if row.cause == item and row.kind in PUT_ASIDE]
    found = next((message for row in reversed(put) if (message := _read(mail, row)) is not None), None)
    if found is None:
        return None
    decided = (record_of(row).parked for row in pages.decided())
    return None if any(one is not None and str(one.row) == found.id for one in decided) else found


def edited(message: ParkedMessage, value: object, directory: Directory | None) -> Envelope:
    """The mail to send again: as it was (``value`` None), or with another content.

    Args:
        message: what was put aside.
        value: the new content, as plain JSON or a message.
        directory: who takes mail at which address; None where that is not known, and then nothing is checked.

    Raises:
        WrongAnswer: nobody takes it there, or the new content does not fit the message's class.
    """
    envelope = message.envelope
    if value is not None:
        try:
            data = value if isinstance(value, Raw) else Raw(encode(value))
        except NotStorable as error:
            raise WrongAnswer(str(error), hint="give plain JSON, or a message") from error
        if not bytes(data).lstrip().startswith(b"{"):
            raise WrongAnswer(f"a message is a JSON object, not {bytes(data)[:60].decode(errors='replace')}")
        if len(bytes(data)) > MAX_MESSAGE:
            raise WrongAnswer(f"the message has {len(bytes(data)):,} bytes, more than {MAX_MESSAGE:,}")
        envelope = msgspec.structs.replace(envelope, body=data)
    if directory is None:
        return envelope
    mount = directory.find(message.to)
    if mount is None:
        raise WrongAnswer(
            f"nothing is mounted at {message.to!r}", hint="run the program that has it, or drop the message"
        )
    handler = mount.actor.behaviour.handlers.get(envelope.wire)
    if handler is None:
        raise WrongAnswer(f"{message.to} takes no {envelope.wire!r} messages", hint="drop it")
    if value is not None:
        try:
            msgspec.json.decode(envelope.body, type=handler.message, strict=True)
        except (msgspec.DecodeError, RecursionError) as error:
            raise WrongAnswer(
                f"this is no {envelope.wire}: {error}", hint="'understudy parked show' shows it"
            ) from error
        known = handler.message.__struct_encode_fields__
        strange = sorted(set(msgspec.json.decode(envelope.body, type=dict[str, Raw])) - set(known))
        if strange:
            raise WrongAnswer(f"{envelope.wire} has no field {strange[0]!r}", hint=f"it has: {', '.join(known)}")
        envelope = msgspec.structs.replace(envelope, version=handler.message.__version__)
    return envelope


def of_file(path: Path) -> tuple[ParkedMessage, ...]:
    """All in a journal's file, also while another process, or this one, owns it. Raises as ``read_only``."""
    with read_only(path) as reader:
        return parked(FileLetters(reader))


def one_of_file(path: Path, id: str) -> ParkedMessage:
    """One in a journal's file. Raises UnknownItem as ``find``, and as ``read_only``."""
    with read_only(path) as reader:
        return find(FileLetters(reader), id)


class _Mail:
    """What rows sent and took in, by id. Each row is read once, however many letters stand in it."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._sent: dict[int, dict[str, Envelope]] = {}
        self._accepted: dict[Address, dict[str, Envelope]] = {}

    def taken(self, row: Row, took: str) -> Envelope | None:
        """A message that was taken by reference, from where it stands."""
        sent_by = _SENT_BY.match(took)
        envelope = self._by(int(sent_by[1])).get(took) if sent_by else None
        return envelope or self._at(row.stream).get(took)

    def _by(self, gid: int) -> dict[str, Envelope]:
        if gid not in self._sent:
            row = self._pages.row(gid)
            record = record_of(row) if row is not None else Record()
            sent = (*record.sends, *(timer.envelope for timer in record.timers))
            self._sent[gid] = {envelope.id: envelope for envelope in reversed(sent)}
        return self._sent[gid]

    def _at(self, address: Address) -> dict[str, Envelope]:
        if address not in self._accepted:
            found = (record_of(row).message for row in self._pages.stream(address))
            self._accepted[address] = {}
            for message in found:
                if message is not None:
                    self._accepted[address].setdefault(message.id, message)
        return self._accepted[address]


def _read(mail: _Mail, row: Row) -> ParkedMessage | None:
    record = record_of(row)
    failure = record.failure
    if failure is None or (record.post is not None and record.post.kept):
        return None
    envelope = record.message or mail.taken(row, record.took)
    if envelope is None or envelope.wire in _INSIDE or envelope.lane == "control":
        return None
    return ParkedMessage(
        str(row.gid), envelope.id, envelope.to, envelope.wire, envelope.version, envelope.body, failure,
        envelope.sender, envelope.context.run, row.at, row.kind, envelope,
    )  # fmt: skip
