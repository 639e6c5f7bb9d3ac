"""Mail that gets no turn: nobody is there, the actor is over or cannot be read, or the mail may be what kills the process.

Pure, like ``execute``: gives the row to make instead of a turn's, or nothing where a turn is due.
"""

from __future__ import annotations

import msgspec

from ..protocols.codec import digest, encode
from ..protocols.envelope import OUTCOME, Envelope
from ..protocols.failures import Failure
from ..protocols.hooks import NO_CALENDAR, Calendar
from ..protocols.ids import OUTSIDE, item_id
from ..protocols.journal import Record
from ..protocols.mail import Post, Watch
from .cell import Cell, context_for, under
from .draft import Draft, settled
from .failing import failed, word_of_failure
from .mailbox import Item
from .orders import LOST_ON_THE_ENDED, TAKEN_BY_THE_ENDED
from .outcome import outcome_envelope
from .releases import Answered
from .reminders import tick_anyway
from .undelivered import Word, too_late
from .watching import NOTICES, gone

POISON_MARKS = 3
"""A message that was pending at so many deaths of the process is put aside: it may be what kills it."""


def left_out(cell: Cell, item: Item, gid: int, now: float, calendar: Calendar) -> Draft:
    """The row of a reminder that came too late to be delivered."""
    record = Record(took=item.envelope.id, timers=tick_anyway(cell, item, item_id(gid, 0), now, calendar))
    return Draft("expired", record, None, encode(record))


def sure_of_a_turn(cell: Cell, item: Item) -> bool:
    """Whether ``put_aside`` would give nothing, as it does for most mail: seen at a glance. False is no answer."""
    envelope = item.envelope
    return (
        cell.memory.life == "running"
        and cell.broken is None
        and not item.marks
        and not item.settles
        and envelope.reply_to is None
        and envelope.expires is None
        and cell.mount is not None
    )


def put_aside(
    cell: Cell, item: Item, gid: int, now: float, word: Word | None = None, calendar: Calendar = NO_CALENDAR
) -> Draft | Answered | None:
    """What becomes of mail that gets no turn: a row, or just an answer (nothing new is to be remembered); None for a turn.

    ``word``: what the sender of a dead letter is told.
    """
    envelope = item.envelope
    refused = _refusal(cell, envelope)
    if (refused is not None or cell.memory.life == "finished") and _unmissed(cell, envelope):
        return _notice(cell, item, refused, gid, now)
    if envelope.expires is not None or envelope.reply_to is not None:
        late = too_late(envelope, now)
        if late is not None:
            return failed(cell, item, late, gid, now, "expired", word=word)
    if item.settles and (refused is not None or cell.memory.life in ("finished", "stopped")):
        if cell.broken is None or refused is None:
            record = Record(message=item.envelope, changes=tuple(settled(cell, item)))
            return Draft("parked", record, None, encode(record))
        # The outcome is kept for code that can read the actor, and its supervisor is told that this code cannot.
        up = word_of_failure(cell, item.envelope, refused, item_id(gid, 0), now)
        record = Record(message=item.envelope, changes=tuple(settled(cell, item)), sends=up)
        return Draft("settled", record, None, encode(record))
    if refused is not None:
        return failed(cell, item, refused, gid, now, "parked", word=word, calendar=calendar)
    if cell.memory.life == "finished" and not _taken(envelope):
        return _recorded_answer(cell, item, gid, now, word)
    if item.marks >= POISON_MARKS and not _vital(cell, item):
        why = f"the process died {item.marks} times while this message was pending"
        return failed(cell, item, Failure("abandon", "poison", why, where=cell.address), gid, now, calendar=calendar)
    return None


def _taken(envelope: Envelope) -> bool:
    """Whether it is an order that one takes who has ended."""
    return envelope.lane == "control" and envelope.wire in TAKEN_BY_THE_ENDED


def _refusal(cell: Cell, envelope: Envelope) -> Failure | None:
    """Why nothing can be given to this actor at all."""
    where = cell.address
    if cell.mount is None and cell.broken is not None:
        return cell.broken  # it was memory-only, and in a life of the node before this one
    if cell.mount is None:
        return Failure("change_arguments", "no_such_actor", f"nothing is mounted at {where!r}", where=where)
    if cell.broken is not None and cell.broken.code == "erased":
        return cell.broken
    if cell.broken is not None:
        message = f"{where} cannot be read by this code; its rows are untouched"
        return Failure("abandon", "unreadable", message, where=where, cause=cell.broken)
    if cell.memory.life == "stopped" and not _taken(envelope):
        return Failure("abandon", "stopped", f"{where} was stopped", where=where)
    if cell.memory.life == "absent" and cell.mount.begun == "by name" and envelope.lane == "work":
        why = f"{where} was not started"
        hint = f"start it first: await system.supervisor({str(cell.mount.supervisor)!r}).start({str(where)!r})"
        return Failure("change_arguments", "not_started", why, hint, where=where)
    return None


def _unmissed(cell: Cell, envelope: Envelope) -> bool:
    """Whether nobody misses this where it is not taken: word between actors, or an answer to who has ended."""
    if envelope.wire == OUTCOME:
        return bool(envelope.sender) and cell.memory.life in ("finished", "stopped")
    return envelope.wire in NOTICES or (envelope.lane == "control" and envelope.wire in LOST_ON_THE_ENDED)


def _notice(cell: Cell, item: Item, refused: Failure | None, gid: int, now: float) -> Draft:
    """Drop it; a watcher is told at once, and an answer is counted."""
    envelope = item.envelope
    over = refused or Failure("abandon", "finished", f"{cell.address} has finished", where=cell.address)
    sends: tuple[Envelope, ...] = ()
    if envelope.wire == Watch.__wire__ and envelope.sender:
        context = context_for(cell.address, envelope)
        sends = (gone(cell, envelope.sender, context, over, item_id(gid, 0), now),)
    record = Record(
        took=envelope.id if item.durable else "",
        message=None if item.durable else envelope,
        sends=sends,
        post=Post(late=1) if envelope.wire == OUTCOME else None,
    )
    return Draft("parked", record, cell.state, encode(record))


def _recorded_answer(cell: Cell, item: Item, gid: int, now: float, word: Word | None) -> Draft | Answered:
    """A finished actor answers a request that it answered before, and no other."""
    back = item.envelope.reply_to
    known = cell.memory.last if back is not None else None
    last = known.get(digest(item.envelope.wire, item.envelope.body)) if known else None
    if back is None or last is None:
        why = Failure("abandon", "finished", f"{cell.address} has finished", where=cell.address)
        return failed(cell, item, why, gid, now, "parked", word=word)
    answer = msgspec.structs.replace(last, to=back)
    if back.address == OUTSIDE and not item.durable:
        return Answered(answer)
    if back.address == OUTSIDE:
        record = Record(took=item.envelope.id, replies=(answer,))
    else:
        context = under(cell, context_for(cell.address, item.envelope))
        mail = outcome_envelope(item_id(gid, 0), back, last.value, last.failure, cell.address, context, now)
        record = Record(took=item.envelope.id, sends=(mail,))
    return Draft("parked", record, None, encode(record))


def _vital(cell: Cell, item: Item) -> bool:
    """Mail that others wait for and that no user's code takes: put aside, it would leave them suspended for ever."""
    if item.envelope.lane == "control" or cell.mount is None:
        return item.envelope.lane == "control"
    return cell.mount.vital
