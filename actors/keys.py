"""Keys of callers outside, as a fold over rows: which were taken in, and where each has its recorded reply.

For the table that keeps them for ever. A message to whom nobody was mounted, or
that was never begun (it expired, say), leaves its key free.
"""

from __future__ import annotations

import msgspec

from ..protocols.codec import digest
from ..protocols.ids import Address
from ..protocols.journal import Key, Record, Row

Pair = tuple[Address, str]
"""An address and a key."""

_TAKES = frozenset({"turn", "failed", "accepted", "parked"})


class Keys:
    """Collects what rows say of keys, until it is cut."""

    def __init__(self) -> None:
        self._freed: dict[Pair, None] = {}
        self._new: dict[Pair, Key] = {}
        self._answers: dict[Pair, Key] = {}

    def take(self, row: Row, record: Record) -> None:
        """Fold a row in."""
        failure = record.failure
        if failure is not None and failure.code == "no_such_actor":
            return
        message = record.message
        if row.kind == "expired":
            if failure is not None:  # it was never begun
                self._free(row.stream, record.took or (message.id if message is not None else ""))
            return
        if message is not None and message.key and row.kind in _TAKES:
            key = Key(row.stream, message.key, digest(message.wire, message.body), row.gid)
            self._new.setdefault((row.stream, message.key), key)
        for reply in record.replies:
            asked = reply.to.keyed or row.stream
            if not reply.to.token.startswith(asked + "#"):
                continue  # asked without a key, or, before ``keyed`` was told, somebody else
            if (
                message is not None
                and not message.key
                and message.reply_to
                and message.reply_to.token == reply.to.token
            ):
                continue
            name = reply.to.token[len(asked) + 1 :]
            new = self._new.get((asked, name))
            if new is not None:
                self._new[asked, name] = msgspec.structs.replace(new, answered=row.gid)
            else:
                self._answers[asked, name] = Key(asked, name, "", 0, row.gid)

    def cut(self) -> tuple[tuple[Pair, ...], tuple[Key, ...], tuple[Key, ...]]:
        """Keys that are free again, keys taken in after that, and answers to earlier ones, since the last cut."""
        if not self._new and not self._answers and not self._freed:
            return (), (), ()
        cut = tuple(self._freed), tuple(self._new.values()), tuple(self._answers.values())
        self._freed, self._new, self._answers = {}, {}, {}
        return cut

    def _free(self, stream: Address, id: str) -> None:
        said = f"outside:{stream}#"
        if not id.startswith(said):
            return
        pair = stream, id.removeprefix(said)
        self._new.pop(pair, None)
        self._answers.pop(pair, None)
        self._freed[pair] = None
