"""The journal's contract: rows, the working sets that change with them, and the port with each of its errors.

One row is all that one turn did. The working sets (what is open: mail, effects, timers; and one line an actor) change in
the same transaction; they hold nothing that could not be rebuilt by folding the rows.

What is made for every turn carries ``gc=False``: frozen data built from its parts cannot be part of a cycle, and a garbage
collector that walks through thousands of waiting rows is time lost.

``supervisor/kit/contract.py`` is this page as a test; every back-end passes it.
"""

from __future__ import annotations

from typing import Literal, Protocol

from msgspec import Raw, Struct

from .approvals import Answer
from .books import Entry
from .effects import Effect
from .envelope import Context, Envelope, Reply, ReplyTo
from .failures import Failure
from .ids import Address
from .lifecycle import Life
from .mail import Post, Resolution
from .provenance import Provenance

FORMAT = 3
"""Version of the file format. A newer one is refused, untouched; an older one is migrated by its next owner."""

MAX_ROW = 1_000_000
"""Bytes of one row's payload; a larger one fails its turn with ``TooLarge``."""

MAX_TAG = 64_000
"""Bytes of what an actor wants back with an outcome, as JSON: it travels with the request and its answer."""

MAX_MESSAGE = 500_000
"""Bytes of one message from outside or of one model's answer; larger ones are refused with ``TooLarge`` before they come in."""

RowKind = Literal["turn", "failed", "accepted", "started", "attempt", "settled", "expired", "parked", "system"]
"""
* ``turn``: a message was consumed; everything that its turn did.
* ``failed``: the turn raised; its input, its attempt and the failure. Nothing else of it is left.
* ``accepted``: a message or an answer from outside was taken in and waits for its turn.
* ``started``: an effect is about to leave.
* ``attempt``: an effect was tried and failed, or was cut off; or a message was pending when the process died.
* ``settled``: an effect's outcome is in and waits for its turn.
* ``expired``: nobody answered in time; or a reminder came too late to be delivered; or, with a failure, a message was not begun in time,
  was cancelled or gave way.
* ``parked``: a message was put aside without a turn.
* ``system``: the journal itself: taken over, stopped, the wall clock jumped (``clock``: by how many seconds).
"""


class StoredEvent(Struct, frozen=True, omit_defaults=True, gc=False):
    """An event as stored: wire name, version, JSON."""

    wire: str
    data: Raw
    version: int = 1


Missed = Literal["once", "all", "skip"]
"""What becomes of the ticks of a reminder for which nobody was there: the newest one comes late, each does, or none."""


class Schedule(Struct, frozen=True, omit_defaults=True, gc=False):
    """What a reminder is besides one time.

    Attributes:
        cron: when it comes again, as a cron expression; empty for never.
        tz: the time zone in which that is read.
        missed: what becomes of ticks for which nobody was there.
        series: id that its actor knows it by: that of its first tick.
        due: when this tick is due, as ``Timer.at``.
    """

    cron: str = ""
    tz: str = "UTC"
    missed: Missed = "once"
    series: str = ""
    due: float = 0.0


class Timer(Struct, frozen=True, omit_defaults=True, gc=False):
    """A message to be delivered at a journal time. ``schedule``: for one that comes again, or that may come too late."""

    id: str
    at: float
    envelope: Envelope
    schedule: Schedule | None = None


class Record(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """The payload of a row. Which fields are set depends on its kind; every set field was true at ``Row.at``, and none is ever changed.

    Attributes:
        took: id of the mail this row consumes, if it was durable before (by reference).
        message: the mail this row consumes or accepts, whole, where it stands in no earlier row.
        events: events, in order.
        sends: messages sent inside the node, in order.
        replies: answers that leave the node.
        effects: effects intended by this turn, with the gate's verdicts.
        changes: effects of earlier rows that changed, whole.
        timers: timers set.
        dropped: ids of mail, effects and timers that this row closes besides ``took``.
        answer: a person's answer.
        failure: why the turn failed, the message was parked, or the effect is settled.
        attempts: how often the consumed message had been pending when the process died.
        marked: ids of mail that was pending when the process died, and of timers that were due: these are mail from then on.
        life: the actor's life after this row, where it changes.
        incarnation_state: ``fresh`` where a restart forgot the state.
        askers: requests that this turn left open, to be answered by a later turn, by the id of their mail.
        answered: ids of such requests that this turn answered.
        context: on whose behalf, in the first row of an actor.
        started: its ``Started`` handler ran in this turn.
        note: facts of a ``system`` row.
        post: what else became of mail; None for nothing.
        erased: never stored: what a reader gives in the place of a payload that retention has nulled.
        parked: what a person did about a message that was put aside.
        books: entries of the gate's books that this row changes, with their new values.
        read: labels that the actor took on with what this turn read; None for none that it had not.
    """

    took: str = ""
    message: Envelope | None = None
    events: tuple[StoredEvent, ...] = ()
    sends: tuple[Envelope, ...] = ()
    replies: tuple[Reply, ...] = ()
    effects: tuple[Effect, ...] = ()
    changes: tuple[Effect, ...] = ()
    timers: tuple[Timer, ...] = ()
    dropped: tuple[str, ...] = ()
    answer: Answer | None = None
    failure: Failure | None = None
    attempts: int = 0
    marked: tuple[str, ...] = ()
    life: Life | None = None
    incarnation_state: Literal["keep", "fresh"] = "keep"
    askers: dict[str, ReplyTo] = {}
    answered: tuple[str, ...] = ()
    context: Context | None = None
    started: bool = False
    note: dict[str, str] = {}
    post: Post | None = None
    erased: bool = False
    parked: Resolution | None = None
    books: tuple[Entry, ...] = ()
    read: Provenance | None = None


class Row(Struct, frozen=True, gc=False):
    """One line of the journal.

    Attributes:
        gid: 1, 2, 3 … over the whole journal, no gaps.
        stream: the actor, or ``SYSTEM``.
        seq: 1, 2, 3 … over the stream, no gaps.
        incarnation: of the actor; grows with each restart.
        kind: what the row is.
        cause: id of the mail or effect that caused it.
        at: journal time, seconds since the epoch; never less than the row's before.
        payload: the record as JSON.
    """

    gid: int
    stream: Address
    seq: int
    incarnation: int
    kind: RowKind
    cause: str
    at: float
    payload: Raw


class Mail(Struct, frozen=True, omit_defaults=True, gc=False):
    """Mail that was open when a batch was cut. ``marks``: how often the process died while it was pending."""

    envelope: Envelope
    gid: int
    marks: int = 0


class ActorLine(Struct, frozen=True, omit_defaults=True, gc=False):
    """Where one actor stands.

    Attributes:
        address: who.
        life: what state of life.
        incarnation: restarts so far.
        seq: last row of its stream.
        run: the run it belongs to, and on whose behalf.
        at: journal time of that row.
        turns: turns and failed turns so far.
    """

    address: Address
    life: Life
    incarnation: int
    seq: int
    context: Context
    at: float
    turns: int = 0


class Key(Struct, frozen=True, gc=False):
    """A key that a caller outside gave a message: kept for ever, whatever becomes of the row. (Only a message that was never
    begun, because it expired, was cancelled or gave way, leaves its key free.)

    Attributes:
        address: whom the message was for.
        key: as the caller gave it; unique to the address.
        digest: of the message's wire name and body (``protocols.codec.digest``).
        gid: the row that took the message in.
        answered: the row with the recorded reply; 0 while there is none.
    """

    address: Address
    key: str
    digest: str
    gid: int
    answered: int = 0


class Snapshot(Struct, frozen=True, gc=False):
    """What an actor was after a committed row. Disposable: everything in it can be folded again.

    Attributes:
        address: whose.
        gid, seq: the row after which it was taken.
        schema: fingerprint of the code that can read it; one of other code is ignored by whoever asked for it.
        state: its state and all that is remembered besides it, as JSON.
    """

    address: Address
    gid: int
    seq: int
    schema: str
    state: str


class Batch(Struct, frozen=True):
    """Rows that commit together, and what they change in the working sets (``*_closed``: ids that are open no more).

    ``books``: entries of the gate's books that changed, with the gids of their rows.
    ``keys_freed``: (address, key) pairs that are free again. ``keys``: keys that these rows took in, after those were freed;
    one that is known already stays as it is. ``answers``: where a key of an earlier row (or of no row at all) has its reply now.
    """

    rows: tuple[Row, ...]
    mail: tuple[Mail, ...] = ()
    mail_closed: tuple[str, ...] = ()
    effects: tuple[Effect, ...] = ()
    effects_closed: tuple[str, ...] = ()
    timers: tuple[Timer, ...] = ()
    timers_closed: tuple[str, ...] = ()
    actors: tuple[ActorLine, ...] = ()
    keys_freed: tuple[tuple[Address, str], ...] = ()
    keys: tuple[Key, ...] = ()
    answers: tuple[Key, ...] = ()
    books: tuple[Entry, ...] = ()
    books_closed: tuple[str, ...] = ()


class Opened(Struct, frozen=True):
    """What a journal says of itself when it is opened.

    Attributes:
        last: gid of the last row, 0 for none.
        at: its journal time.
        epoch: how often the journal has been taken over.
        clean: whether the last owner stopped in order.
        seed: drawn when the file was made; randomness of turns is derived from it.
        mail, effects, timers: the working sets, in the order in which they were made.
        warnings: what a person should know, such as a missing head.
        system_seq: seq of the last row of the ``SYSTEM`` stream.
        books: the gate's books, in the order in which their entries were first written.
    """

    last: int
    at: float
    epoch: int
    clean: bool
    seed: str
    mail: tuple[Mail, ...]
    effects: tuple[Effect, ...]
    timers: tuple[Timer, ...]
    warnings: tuple[str, ...] = ()
    system_seq: int = 0
    books: tuple[Entry, ...] = ()


MAX_STATE = 4_000_000
"""Bytes of one actor's state as JSON; a turn that makes a larger one larger still fails with ``StateTooLarge``."""


class Known(Struct, frozen=True):
    """What a journal holds of a key that a caller outside gives.

    Attributes:
        digest: of what was said with it, wire name and body.
        asked: whether that was a request.
        reply: the recorded answer; None while there is none.
        erased: there was one, and retention has erased it.
    """

    digest: str
    asked: bool = True
    reply: Reply | None = None
    erased: bool = False


class Want(Struct, frozen=True):
    """An actor that is to come into memory.

    Attributes:
        address: who.
        after: seq of the last of its rows that is known already.
        schema: a snapshot under this fingerprint will do for the rows up to it; empty for none.
        paged: its rows may come as a ``Page``, from a journal that has them quicker so.
    """

    address: Address
    after: int = 0
    schema: str = ""
    paged: bool = False


class Page(Struct, frozen=True, gc=False):
    """Rows of one actor in one value: all that a fold looks at, and no object for each.

    Attributes:
        first: seq of the first row; the others follow without a gap.
        count: how many.
        incarnation: of each of them.
        at: journal time of the last.
        last: gid of the last.
        gids, kinds: of each, with commas between them; no kinds where each is a ``turn``.
        payloads: one a line. (A payload holds no line break: JSON writes it as an escape.)
    """

    first: int
    count: int
    incarnation: int
    at: float
    last: int
    gids: str
    kinds: str
    payloads: bytes


class Found(Struct, frozen=True):
    """What a journal holds of an actor that is to come into memory; see ``JournalCore.find``.

    Attributes:
        address: who.
        rows: its rows after the wanted one (or the snapshot), in order, at most ``FOUND_ROWS``.
        more: there are further rows: ask again, after the last of these.
        line: where it stands; None where it has no rows.
        last: gid of its last row.
        erased: its rows go on, but the next one's payload was erased by retention.
        damaged: its rows go on, but the next one cannot be read, and why.
        snapshot: under the wanted fingerprint, of a row that still has the hash that it had then.
        page: its rows, in the place of ``rows``, which is empty then.
    """

    address: Address
    rows: tuple[Row, ...] = ()
    more: bool = False
    line: ActorLine | None = None
    last: int = 0
    erased: bool = False
    damaged: str = ""
    snapshot: Snapshot | None = None
    page: Page | None = None


FOUND_ROWS = 1_000
"""Rows of one actor that are read and folded at a time, so that a long history does not hold up everybody else."""


class JournalCore(Protocol):
    """The synchronous core: what the simulator runs directly and the shell runs in one hop to the writer's thread.

    Who calls whom: one owner calls ``open``, then any number of ``append`` and reads, then ``close``. ``append`` is
    called with batches whose first gid is the last one's plus one. A failed ``append`` has written nothing, or says by
    ``tail`` that it has.
    """

    def open(self) -> Opened:
        """Take the journal over.

        Raises:
            JournalHeld: another process owns it.
            JournalNewer: a newer version wrote it; untouched.
            JournalReadOnly: it cannot be written.
            JournalDamaged: it is behind what was acknowledged, or not a journal.
        """
        ...

    def reload(self) -> Opened:
        """After an append that failed: what the medium holds now, as ``open`` would say it. The journal stays owned, and readable
        whether this succeeds or not, so that a full disk does not take away what can be read.

        Raises:
            JournalDamaged: what was acknowledged is not there.
            JournalFull, JournalReadOnly, JournalError: the medium cannot be opened anew.
        """
        ...

    def append(self, batch: Batch) -> None:
        """Write a batch, wholly or not at all, durably when it returns.

        Raises:
            JournalFull: no space or an I/O error; nothing was acknowledged. The core stays readable.
            JournalError: the batch does not follow the last row, or the core is closed.
        """
        ...

    def tail(self) -> int:
        """gid of the last durable row, read from the medium: what a caller asks who does not know whether its append went in."""
        ...

    def stream(self, address: Address, after: int = 0) -> tuple[Row, ...]:
        """The rows of one actor with seq > after, in order; empty for an address that has none."""
        ...

    def find(self, wants: tuple[Want, ...]) -> tuple[Found, ...]:
        """What is needed to bring these actors into memory, in the order in which they are wanted. Damage to one of them is
        told in its ``Found``, so that the others come in.

        Raises:
            JournalError: the medium cannot be read at all.
        """
        ...

    def rows(self, after: int = 0, limit: int = 1_000) -> tuple[Row, ...]:
        """Rows with gid > after, in order, at most ``limit``."""
        ...

    def actors(self, prefix: str = "") -> tuple[ActorLine, ...]:
        """Lines of actors whose address is ``prefix`` or below it (all for an empty one), by address."""
        ...

    def keys(self, pairs: tuple[tuple[Address, str], ...]) -> tuple[Key, ...]:
        """Those of these (address, key) pairs that were used, in the order in which they are asked for."""
        ...

    def snapshot(self, address: Address) -> Snapshot | None:
        """The snapshot of an actor; None where there is none, or none that belongs to a row which stands in this journal."""
        ...

    def put_snapshots(self, snapshots: tuple[Snapshot, ...], /) -> None:
        """Keep snapshots, one an actor, the newest. Those of rows that are not committed are left out.

        Raises:
            JournalFull, JournalError: they were not kept; nothing else is lost.
        """
        ...

    def close(self) -> None:
        """Let go of it. Twice does nothing."""
        ...
