"""Keys and answers of rows that a look into the journal may not show yet. What it does show stands in its table of keys.

A caller's key is looked up before its message is delivered, so the answer of that look is a little old: rows made since then
count too. They are kept until they are durable and no look that began before that is under way (``floor``).
"""

from __future__ import annotations

from collections import deque

from msgspec import Struct

from ..protocols.codec import digest
from ..protocols.envelope import Envelope, Reply
from ..protocols.failures import Failure
from ..protocols.journal import Known, Record, Row

_TAKES = frozenset({"turn", "failed", "accepted", "parked"})
NEVER = 1 << 62


def other_payload(envelope: Envelope) -> Failure:
    """Why a key was refused that said something else before."""
    what = f"{envelope.key!r} was used for another message to {envelope.to}"
    return Failure("change_arguments", "other_payload", what, hint="use a new id for new work", where=envelope.to)


def no_answer(envelope: Envelope, known: Known) -> Failure:
    """Why there is no answer to a key that was used before."""
    if known.erased:
        what = f"{envelope.key!r} was used before, and retention has erased what {envelope.to} answered"
        hint = "the archive that retention wrote still holds it; use a new id for new work"
        return Failure("abandon", "erased", what, hint=hint, where=envelope.to)
    what = f"{envelope.key!r} was used before, and nobody asked for an answer then"
    return Failure("abandon", "no_recorded_answer", what, hint="use a new id for new work", where=envelope.to)


class _Taken(Struct, frozen=True):
    """A message with a key, in or (``digest`` empty) free again."""

    gid: int
    digest: str = ""
    asked: bool = False


class Taken:
    """Of one kernel.

    Attributes:
        floor: gid of the last row that every look under way shows; kept by whoever looks.
    """

    def __init__(self) -> None:
        self.floor = NEVER
        self._keys: dict[str, _Taken] = {}
        self._replies: dict[str, tuple[int, Reply]] = {}
        self._order: deque[tuple[int, str, bool]] = deque()

    def take(self, row: Row, record: Record) -> None:
        """A row was made that takes a message with a key, gives an answer to one, or frees one."""
        message, failure = record.message, record.failure
        if row.kind == "expired" and failure is not None:
            self._put(record.took or (message.id if message is not None else ""), _Taken(row.gid))
            return
        nobody = failure is not None and failure.code == "no_such_actor"
        if message is not None and message.key and row.kind in _TAKES and not nobody:
            said = digest(message.wire, message.body)
            self._put(message.id, _Taken(row.gid, said, message.reply_to is not None))
        for reply in record.replies:
            if reply.to.keyed:
                self._replies[reply.to.token] = row.gid, reply
                self._order.append((row.gid, reply.to.token, True))

    def known(self, envelope: Envelope, looked: Known | None) -> Known | None:
        """What is known of a key by now. ``looked``: what the look into the journal showed."""
        taken = self._keys.get(envelope.id)
        if taken is not None:
            looked = Known(taken.digest, taken.asked) if taken.digest else None
        if looked is None or envelope.reply_to is None or (found := self._replies.get(envelope.reply_to.token)) is None:
            return looked
        return Known(looked.digest, looked.asked, found[1])

    def forget(self, durable: int) -> None:
        """Rows up to this one are durable."""
        order, until = self._order, min(durable, self.floor)
        while order and order[0][0] <= until:
            gid, id, reply = order.popleft()
            if reply and self._replies[id][0] == gid:
                del self._replies[id]
            elif not reply and self._keys[id].gid == gid:
                del self._keys[id]

    def _put(self, id: str, taken: _Taken) -> None:
        self._keys[id] = taken
        self._order.append((taken.gid, id, False))
