"""The working sets: what is open. A fold over rows, kept in memory and written with each batch.

``take`` folds one row in; ``cut`` gives the rows since the last cut with the net change of the sets: what was opened and
closed in between leaves no trace.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from ..protocols.books import Entry, kept
from ..protocols.effects import Effect
from ..protocols.ids import OUTSIDE, Address
from ..protocols.journal import ActorLine, Batch, Mail, Opened, Record, Row, Timer
from ..protocols.tasks import Overdue
from .cell import OPEN_STATES, Cell
from .keys import Keys

FOR_PEOPLE = frozenset({"asking", "in_doubt"})
"""States in which an effect waits for a person."""

INSIDE = "inside"
"""State of an effect that another actor does: whether anything moves is to be seen there."""

DEADLINE = Overdue.__wire__
"""A timer that only ends what still waits: nothing goes on by itself because of it."""


class WorkingSets:
    """Open mail, effects and timers, and how much of it each run has.

    Attributes:
        mail, effects, timers: what is open, by id, oldest first.
        asking: for each run, how many of its effects wait for a person.
        moving: for each run, how many of its effects and timers do not; the deadline of its task is none of these.
        questions: for each run, ids of the effects that wait for a person.
        of: for each actor, ids of its open effects.
        books: the gate's books, by key.
        waiting_bytes: of the rows taken since the last cut.
        changed: runs whose open effects or timers changed; whoever looks empties it.
    """

    def __init__(self, opened: Opened) -> None:
        self.mail: dict[str, Mail] = {m.envelope.id: m for m in opened.mail}
        self.effects: dict[str, Effect] = {}
        self.timers: dict[str, Timer] = {}
        self.asking: Counter[Address] = Counter()
        self.moving: Counter[Address] = Counter()
        self.questions: dict[Address, dict[str, None]] = {}
        self.of: dict[Address, dict[str, None]] = {}
        self.changed: set[Address] = set()
        self.books: dict[str, Entry] = {entry.key: entry for entry in opened.books}
        self._keys = Keys()
        self.waiting_bytes = 0
        self._rows: list[Row] = []
        self._touched: dict[str, None] = {}
        self._cells: dict[Address, Cell] = {}
        self._system: ActorLine | None = None
        for effect in opened.effects:
            self._effect(effect)
        for timer in opened.timers:
            self._timer(timer)
        self._touched.clear()
        self._cut = opened.last
        """The last row before those that wait to be cut. Mail of later ones is at the end of ``mail``, and stored nowhere yet."""
        self._touched_mail: dict[str, None] = {}
        """Mail that is stored, and was closed or changed since."""
        self._stored_effects = set(self.effects)
        self._stored_timers = set(self.timers)
        self._touched_books: dict[str, None] = {}
        self._stored_books = set(self.books)

    def take_plain(self, row: Row, record: Record, cell: Cell) -> None:
        """Fold the row of a plain turn in (see ``Draft``): as ``take``, of which most does not concern it."""
        self._rows.append(row)
        self.waiting_bytes += len(row.payload)
        self._cells[row.stream] = cell
        mail, gid, took = self.mail, row.gid, record.took
        if took:
            taken = mail.pop(took, None)
            if taken is None:
                self._close(took)
            elif taken.gid <= self._cut:
                self._touched_mail[took] = None
        for envelope in record.sends:
            mail[envelope.id] = Mail(envelope, gid)

    def take(self, row: Row, record: Record, stands: Cell | ActorLine | None) -> None:
        """Fold a row in. ``stands``: its actor (where it stands is looked at when the batch is cut), or the line of the
        journal's own stream; None for neither."""
        self._rows.append(row)
        self.waiting_bytes += len(row.payload)
        if isinstance(stands, Cell):
            self._cells[row.stream] = stands
        elif stands is not None:
            self._system = stands
        if record.message is not None or record.replies or row.kind == "expired":
            self._keys.take(row, record)
        post = record.post
        if post is not None and (post.stashed or post.kept):
            self._keep(row, record)
        elif record.took:
            self._close(record.took)
        for envelope in record.sends:
            self._open_mail(Mail(envelope, row.gid))
        if record.message is not None and row.kind in ("accepted", "settled", "expired") and record.failure is None:
            self._open_mail(Mail(record.message, row.gid))
        if record.marked:
            self._mark(record.marked, row.gid)
        for effect in (*record.effects, *record.changes):
            self._effect(effect)
        for timer in record.timers:
            self._timer(timer)
        for id in record.dropped:
            self._close(id)
        for entry in record.books:
            kept(self.books, entry, row.gid)
            self._touched_books[entry.key] = None

    def cut(self) -> Batch | None:
        """What was taken since the last cut; None for nothing."""
        if not self._rows:
            return None
        touched, touched_mail = self._touched, self._touched_mail
        mail = (*(self.mail[id] for id in touched_mail if id in self.mail), *self._new_mail())
        effects = tuple(self.effects[id] for id in touched if id in self.effects)
        timers = tuple(self.timers[id] for id in touched if id in self.timers)
        freed, keys, answers = self._keys.cut()
        books = tuple(self.books[key] for key in self._touched_books if key in self.books)
        batch = Batch(
            rows=tuple(self._rows),
            mail=mail,
            mail_closed=tuple(id for id in touched_mail if id not in self.mail),
            effects=effects,
            effects_closed=tuple(id for id in touched if id in self._stored_effects and id not in self.effects),
            timers=timers,
            timers_closed=tuple(id for id in touched if id in self._stored_timers and id not in self.timers),
            actors=(*(cell.line() for cell in self._cells.values()), *((self._system,) if self._system else ())),
            keys_freed=freed,
            keys=keys,
            answers=answers,
            books=books,
            books_closed=tuple(k for k in self._touched_books if k in self._stored_books and k not in self.books),
        )
        for stored, opened, closed in (
            (self._stored_effects, (e.id for e in effects), batch.effects_closed),
            (self._stored_timers, (t.id for t in timers), batch.timers_closed),
            (self._stored_books, (entry.key for entry in books), batch.books_closed),
        ):
            stored.update(opened)
            stored.difference_update(closed)
        self.waiting_bytes, self._cut = 0, batch.rows[-1].gid
        self._rows, self._touched, self._touched_mail, self._cells, self._system = [], {}, {}, {}, None
        self._touched_books = {}
        return batch

    @property
    def newest(self) -> Address:
        """Whose the newest row since the last cut is; empty where there is none."""
        return self._rows[-1].stream if self._rows else OUTSIDE

    @property
    def waiting_rows(self) -> int:
        """Rows taken since the last cut."""
        return len(self._rows)

    def _mark(self, ids: tuple[str, ...], gid: int) -> None:
        """The process died while these were pending."""
        for id in ids:
            mail, timer = self.mail.get(id), self.timers.get(id)
            if mail is not None:
                self._open_mail(msgspec.structs.replace(mail, marks=mail.marks + 1))
            elif timer is not None:  # it has rung, and is mail from now on
                self._close(id)
                self._open_mail(Mail(timer.envelope, gid, marks=1))

    def _keep(self, row: Row, record: Record) -> None:
        """The message of a turn stays open, as mail, whatever it was before."""
        timer = self.timers.get(record.took)
        if timer is not None:  # it has rung
            self._close(record.took)
            self._open_mail(Mail(timer.envelope, row.gid))
        elif record.message is not None:
            self._open_mail(Mail(record.message, row.gid))

    def _new_mail(self) -> list[Mail]:
        """Mail that was opened since the last cut, oldest first."""
        new: list[Mail] = []
        for id, mail in reversed(self.mail.items()):
            if mail.gid <= self._cut:
                break
            if id not in self._touched_mail:  # closed and opened anew, which is a change
                new.append(mail)
        new.reverse()
        return new

    def _open_mail(self, mail: Mail) -> None:
        id = mail.envelope.id
        if id in self.mail and self.mail[id].gid <= self._cut:
            self._touched_mail[id] = None
        self.mail[id] = mail

    def _timer(self, timer: Timer) -> None:
        self.timers[timer.id] = timer
        run = _run(timer.envelope.context.run, timer.envelope.to)
        if timer.envelope.wire != DEADLINE:
            self.moving[run] += 1
        self.changed.add(run)
        self._touched[timer.id] = None

    def _effect(self, effect: Effect) -> None:
        before = self.effects.get(effect.id)
        run = _run(effect.context.run, effect.stream)
        if before is not None and before.state != INSIDE:
            _less(self.asking if before.state in FOR_PEOPLE else self.moving, run)
        if effect.state in OPEN_STATES:
            self.effects[effect.id] = effect
            if effect.state != INSIDE:
                (self.asking if effect.state in FOR_PEOPLE else self.moving)[run] += 1
            self.of.setdefault(effect.stream, {})[effect.id] = None
        else:
            self.effects.pop(effect.id, None)
            _drop(self.of, effect.stream, effect.id)
        if effect.state in FOR_PEOPLE:
            self.questions.setdefault(run, {})[effect.id] = None
        else:
            _drop(self.questions, run, effect.id)
        self.changed.add(run)
        self._touched[effect.id] = None

    def _close(self, id: str) -> None:
        mail = self.mail.pop(id, None)
        if mail is not None:
            if (
                mail.gid <= self._cut
            ):  # otherwise it was opened since the last cut: it leaves no trace, as most mail between actors
                self._touched_mail[id] = None
            return
        timer = self.timers.pop(id, None)
        if timer is not None:
            self._touched[id] = None
            run = _run(timer.envelope.context.run, timer.envelope.to)
            if timer.envelope.wire != DEADLINE:
                _less(self.moving, run)
            self.changed.add(run)


def _run(run: Address, otherwise: Address) -> Address:
    return otherwise if run == OUTSIDE else run


def _less(counter: Counter[Address], run: Address) -> None:
    counter[run] -= 1
    if counter[run] <= 0:
        del counter[run]


def _drop(index: dict[Address, dict[str, None]], key: Address, id: str) -> None:
    ids = index.get(key)
    if ids is not None:
        ids.pop(id, None)
        if not ids:
            del index[key]
