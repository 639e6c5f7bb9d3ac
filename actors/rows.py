"""Rows of the kernel: what a turn, or something without a turn, made becomes a row, is folded in, and what else it means."""

from __future__ import annotations

from msgspec import Raw

from ..protocols.circuits import closed
from ..protocols.codec import encode
from ..protocols.envelope import Context
from ..protocols.ids import SYSTEM
from ..protocols.journal import ActorLine, Record, Row, RowKind
from .cell import Cell, context_for
from .draft import Draft, settled
from .ephemeral import Ephemeral
from .holdings import Holdings
from .mailbox import Item
from .orders import flying, word_to_halt
from .releases import (
    Abort,
    Answered,
    Done,
    Withdraw,
)
from .sizes import fitting


class Rows(Holdings):
    """How the kernel makes rows."""

    def note(self, facts: dict[str, str]) -> None:
        """Write a row about the node itself."""
        self._write_system("system", Record(note=facts))

    def stop(self, reason: str) -> None:
        """Write the row that says that this life ended in order."""
        self.note({"stopped": reason})

    def write(self, cell: Cell, kind: RowKind, record: Record, cause: str) -> None:
        """Make a row without a turn. Raises NotStorable, and then nothing has changed."""
        self._row(cell, Draft(kind, record, None, fitting(encode(record))), cause)

    def _more(self, cell: Cell, item: Item) -> None:
        run = item.envelope.context.run or cell.address
        self._mail_of[run] = self._mail_of.get(run, 0) + 1

    def _less(self, cell: Cell, item: Item) -> None:
        run = item.envelope.context.run or cell.address
        left = self._mail_of[run] - 1
        if left:
            self._mail_of[run] = left
        else:
            del self._mail_of[run]
        self.sets.changed.add(run)

    def _is_in(self, item: Item) -> None:
        """Its row was made: who brought it is told when that is durable."""
        if item.closes:
            self.memory.taken.append(item.closes)
            item.closes = ""
        for brought in item.inputs:
            self.after(Done(brought))

    def _plain_row(self, cell: Cell, item: Item, draft: Draft) -> None:
        """``_less`` and ``_row`` for a plain turn (see ``Draft``), as most are: the same without what does not concern it, 0.6 us less.
        Mostly what it took and what it sends are of one run, whose count then changes once."""
        record, memory, taken = draft.record, cell.memory, item.envelope
        self.gid = gid = self.gid + 1
        row = Row(
            gid, cell.address, memory.seq + 1, memory.incarnation, "turn", taken.id, self.now, Raw(draft.payload)
        )  # fmt: skip
        cell.fold_plain(row, record, draft.state)
        self.sets.take_plain(row, record, cell)
        if row.seq - cell.kept >= self._aging.every:
            self._aging.cells[cell.address] = cell
        crossed: Cell | None = None
        cells, least = self._cells, self._directory.least_backlog
        run, more = taken.context.run or cell.address, -1
        for envelope in record.sends:
            to = cells.get(envelope.to)
            if to is None or to.mount is None:
                found = self.addressee(envelope.to)
                if isinstance(found, Ephemeral):
                    self.memory.take(found, Item(envelope, True))
                    continue
                to = found
            sent = Item(envelope, True)
            if envelope.context.run == run:
                more += 1
            else:
                self._more(to, sent)
            self._arrive(to, sent)
            mailbox = to.mailbox
            if (len(mailbox.work or ()) > least or mailbox.rare is not None) and self._crosses(to):
                crossed = to
        if more:
            self._mail_of[run] += more
            if not self._mail_of[run]:
                del self._mail_of[run]
        self.sets.changed.add(run)
        if crossed is not None:
            self._overloaded(cell, crossed)

    def _row(self, cell: Cell, draft: Draft, cause: str) -> None:
        self.gid += 1
        record, memory = draft.record, cell.memory
        incarnation = memory.incarnation
        if record.life == "running" and draft.kind == "turn":  # it was restarted
            incarnation += 1
        row = Row(self.gid, cell.address, memory.seq + 1, incarnation, draft.kind, cause, self.now, Raw(draft.payload))
        cell.fold(row, record, draft.state)
        self._suspend(cell)
        self.sets.take(row, record, cell)
        if row.seq - cell.kept >= self._aging.every:
            self._aging.cells[cell.address] = cell
        crossed: Cell | None = None
        least = self._directory.least_backlog
        for envelope in record.sends:
            known = self._cells.get(envelope.to)
            to = known if known is not None and known.mount is not None else self.addressee(envelope.to)
            self.put(to, Item(envelope, True), "turn")
            if isinstance(to, Cell):
                mailbox = to.mailbox
                if (len(mailbox.work or ()) > least or mailbox.rare is not None) and self._crosses(to):
                    crossed = to
        self._follow(cell, row, record, draft)
        if memory.postal is not None and (record.changes or record.post is not None):
            self._ends(cell, record)
        if crossed is not None:
            self._overloaded(cell, crossed)

    def _follow(self, cell: Cell, row: Row, record: Record, draft: Draft) -> None:
        """What else a row means."""
        for reply in record.replies:
            self.after(Answered(reply))
        if record.message is not None or record.replies or draft.kind == "expired":
            self._taken.take(row, record)
        for timer in record.timers:
            self.alarm(timer.at, timer.id)
        if record.books and (names := closed(record.books)):
            self._set_free(names, at_once=False)
        for effect in record.changes:
            if effect.state == "withdrawn" or (effect.state == "settled" and effect.id in self.flights.flying):
                self.flights.over(effect.id)
                self.after(Withdraw(effect.id))
            elif effect.state == "settled":
                self.flights.over(effect.id)
        for effect in record.effects:
            if effect.state == "intended":
                self.flights.launch(cell, effect)
            elif effect.state == "asking":
                self.flights.asked(cell, effect)
        if cell.memory.life in ("finished", "stopped") or cell.mount is None:
            if cell.mailbox.stashed():
                self._come_back(cell)
            self._retiring.append((self.gid, cell))

    def _take_in(self, id: str) -> None:
        """Give mail from outside that no turn has taken a row of its own."""
        cell, item, kind = self._unsaved.pop(id)
        context = context_for(cell.address, item.envelope) if cell.memory.seq == 0 else None
        record = Record(message=item.envelope, changes=tuple(settled(cell, item)), context=context)
        self.write(cell, kind, record, id)
        item.durable = True
        item.settles = ""
        if item.envelope.expires is not None:
            self.alarm(item.envelope.expires, id)  # an alarm that has rung before found nothing durable to drop
        self._is_in(item)
        if item.suspect:
            self._suspects.enter(cell, item)
            self._outbox.append((self.gid, (id,)))

    def _ends(self, cell: Cell, record: Record) -> None:
        """An actor that is to end in order: go on when its last call has come to its end, and cancel those that outlast it."""
        postal = cell.memory.postal
        assert postal is not None
        if record.post is not None and record.post.down:
            for effect in cell.memory.effects.values():
                if effect.state == "started" and effect.id in self.flights.flying:
                    self.after(Abort(effect.id))
        elif postal.halting is not None and not flying(cell):
            word = word_to_halt(cell, self.gid, self.now)
            self.put(cell, Item(word, durable=False), "accepted")
            self._take_in(word.id)  # in the same batch as the last call's end: nobody else would say it after a crash

    def _suspend(self, cell: Cell) -> None:
        memory = cell.memory
        if memory.life == "restarting" or (
            memory.life == "absent" and memory.postal is not None and memory.postal.given_up is not None
        ):
            self._suspended[cell.address] = cell
        elif self._suspended:
            self._suspended.pop(cell.address, None)

    def _write_system(self, kind: RowKind, record: Record) -> None:
        payload = Raw(fitting(encode(record)))
        self.gid += 1
        self._system_seq += 1
        row = Row(self.gid, SYSTEM, self._system_seq, 0, kind, "", self.now, payload)
        self.sets.take(row, record, ActorLine(SYSTEM, "running", 0, self._system_seq, Context(), self.now))
