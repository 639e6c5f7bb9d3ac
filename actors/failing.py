"""The record of a turn that raised, or of mail that is put aside without a turn, and who is told of it."""

from __future__ import annotations

import math

import msgspec
from msgspec import Raw

from ..protocols.approvals import Question
from ..protocols.codec import NULL, decode, encode
from ..protocols.effects import Effect
from ..protocols.envelope import Context, Envelope, Reply
from ..protocols.failures import Failure
from ..protocols.hooks import NO_CALENDAR, Calendar
from ..protocols.ids import OUTSIDE, Address, item_id
from ..protocols.journal import MAX_ROW, Record, RowKind
from ..protocols.lifecycle import ChildFailed
from ..protocols.mail import Post
from .asking import heard, open_request
from .cell import Cell, context_for, under
from .draft import Draft, settled
from .mailbox import Item
from .orders import attempt_of
from .outcome import outcome_envelope
from .patience import addressed, opened
from .reminders import tick_anyway
from .sizes import brief
from .undelivered import Word
from .watching import gone


def word_of_failure(cell: Cell, envelope: Envelope, failure: Failure, id: str, now: float) -> tuple[Envelope, ...]:
    """What an actor's supervisor is told; nothing where there is none."""
    supervisor = cell.mount.supervisor if cell.mount else OUTSIDE
    if not supervisor:
        return ()
    context = under(cell, context_for(cell.address, envelope))
    where, run = cell.address, context.run
    word = ChildFailed(where, cell.memory.incarnation, failure, envelope.id, run, attempt=attempt_of(envelope))
    if cost := spent(cell):  # a default is left out of the row only where it is the default itself
        word = msgspec.structs.replace(word, cost=cost)
    data = Raw(encode(word))
    return (Envelope(id, supervisor, ChildFailed.__wire__, data, sender=cell.address, context=context, at=now),)


def _leads(cell: Cell, child: Address) -> bool:
    """Whether a supervisor starts and stops this child: then whoever begins it anew, or has ended it, sees to the child, too."""
    if cell.mount is None or cell.mount.among is None or cell.broken is not None:
        return False
    mount = cell.mount.among.find(child)
    return mount is not None and mount.supervisor == cell.address and mount.begun != "by mail"


def spent(cell: Cell) -> float:
    """US dollars that an actor says it has spent; 0 where it cannot say."""
    if cell.mount is None or cell.broken is not None:
        return 0.0
    try:
        said = float(cell.mount.actor.spent(cell.state))
    except Exception:  # noqa: BLE001 - the actor's own code: the failure that is told must not be lost for it
        return 0.0
    return said if math.isfinite(said) else 0.0


def failed(
    cell: Cell, item: Item, failure: Failure, gid: int, now: float, kind: RowKind = "failed", *,
    word: Word | None = None, again: bool = False, silent: bool = False, calendar: Calendar = NO_CALENDAR,
    short: bool = False,
) -> Draft:  # fmt: skip
    """The record of a turn that raised, or (``parked``, ``expired``) of mail that is put aside without one.

    ``word``: what its sender is told where nobody waits for an answer. ``again``: the message is to be tried again.
    ``silent``: whoever asked waits no more. ``short``: all that is said of it would be too large, so less is.
    """
    envelope = item.envelope
    if short:
        failure = brief(failure)
    context = under(cell, context_for(cell.address, envelope))
    sends: list[Envelope] = []
    replies: list[Reply] = []
    supervisor = cell.mount.supervisor if cell.mount else OUTSIDE
    if kind == "failed" or cell.broken:
        sends += word_of_failure(cell, envelope, failure, item_id(gid, 0), now)
    child = decode(envelope.body, ChildFailed).child if envelope.wire == ChildFailed.__wire__ else None
    if child is not None and supervisor and not _leads(cell, child):  # who is above decides: nobody stays suspended
        sends.append(msgspec.structs.replace(envelope, id=item_id(gid, 3), to=supervisor, sender=cell.address))
    left = open_request(cell, envelope) if kind == "failed" and not again else ""
    asker = cell.memory.askers[left] if left else envelope.reply_to
    if again or silent:
        pass
    elif asker is not None:
        told = msgspec.structs.replace(failure, where=cell.address)
        if asker.address == OUTSIDE:
            replies.append(Reply(asker, NULL, told))
        else:
            sends.append(outcome_envelope(item_id(gid, 1), asker, NULL, told, cell.address, context, now))
    elif word is not None:
        told_of = msgspec.structs.replace(envelope, body=NULL) if short else envelope
        sends += word(told_of, failure, item_id(gid, 1), now)
    over = ((), ()) if again else heard(cell, envelope)
    watchers: tuple[Address, ...] = ()
    if cell.broken is not None and cell.memory.postal is not None and not short:
        watchers = tuple(cell.memory.postal.watchers)
        sends += (gone(cell, w, context, failure, item_id(gid, 4 + n), now) for n, w in enumerate(watchers))
    record = Record(
        took=envelope.id if item.durable else "",
        message=None if item.durable else envelope,
        sends=tuple(sends),
        replies=tuple(replies),
        timers=tick_anyway(cell, item, item_id(gid, 4 + len(watchers)), now, calendar),
        effects=() if supervisor or kind != "failed" else (_last_resort(cell, failure, context, gid, now, child),),
        changes=tuple(settled(cell, item)),
        answered=(left,) if left else (),
        failure=failure,
        attempts=item.marks,
        life="restarting" if kind == "failed" and supervisor else None,
        context=context if cell.memory.seq == 0 else None,
        dropped=tuple(over[1]),
        post=Post(kept=True) if again else Post(heard=over[0], unwatched=watchers) if over[0] or watchers else None,
    )
    payload = encode(record)
    if len(payload) > MAX_ROW and not short:
        return failed(
            cell, item, failure, gid, now, kind, word=word, again=again, silent=silent, calendar=calendar, short=True
        )
    return Draft(kind, record, cell.state, payload)


def _last_resort(cell: Cell, failure: Failure, context: Context, gid: int, now: float, child: Address | None) -> Effect:
    """The failure of an actor above which there is no supervisor goes to a person, with the child it was about, if it was."""
    text = f"{cell.address}, which nobody supervises, failed: {failure.message}"
    if child is not None:
        text += f" Start {child} again, which failed before, or stop it?"
    question = Question("escalation", text, failure=failure, takes=("retry", "stop"))
    question = addressed(question, cell.mount.people if cell.mount else None, now)
    effect = Effect(
        item_id(gid, 2), cell.address, "person", "failed", Raw(b"{}"), "person", tag=Raw(encode(child)),
        context=context, at=now, state="asking", question=question,
    )  # fmt: skip
    return opened(effect, now)
