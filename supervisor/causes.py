"""What a run has caused: the actors below its address, and whatever was done anywhere because of what they sent.

    a row of the run -> mail, calls, reminders -> the rows that take them, wherever -> what these send …

So a task that was handed to an agent that is mounted elsewhere belongs to the run, with all that this agent did for it; and of an
actor that many runs use belongs what it did for this one. What such an actor tells others (rather than asks) is followed only to those
that it began: a place that one run frees is the next one's, and what that does with it was not caused by the first. A fold over rows,
which says itself whose rows it needs next:

    while wanted := causes.wanted():
        causes.take([row for address in wanted for row in <rows of that actor>])
"""

from __future__ import annotations

from collections.abc import Iterable

from ..protocols.codec import decode
from ..protocols.envelope import OUTCOME, OutcomeBody
from ..protocols.ids import Address
from ..protocols.journal import Record, Row
from ..protocols.tasks import Task
from .journal.batch import record_of
from .journal.reading import reading, row_name


class Causes:
    """One run.

    Args:
        run: its address.
        own: the actors at and below it.

    Attributes:
        rows: all rows that were taken, by gid.
        effects: ids of the effects that belong to the run.
        erased: rows of it whose text is gone.
    """

    def __init__(self, run: Address, own: Iterable[Address]) -> None:
        self.run = run
        self.rows: dict[int, Row] = {}
        self.effects: set[str] = set()
        self.erased = 0
        self._records: dict[int, Record] = {}
        self._asked: set[Address] = set()
        self._wanted: set[Address] = {*own}

    def wanted(self) -> tuple[Address, ...]:
        """Actors whose rows are to be taken next; none when all is there."""
        now = tuple(sorted(self._wanted))
        self._asked |= self._wanted
        self._wanted = set()
        return now

    def take(self, rows: Iterable[Row]) -> None:
        """All rows of the actors that were wanted."""
        for row in rows:
            with reading(row_name(row)):
                self._records[row.gid] = record_of(row)
            self.rows[row.gid] = row
        self._follow()

    def _follow(self) -> None:
        """Causes come before what they cause, so one walk in order finds all."""
        ids, told, tasks, joined = set[str](), set[str](), set[str](), dict[Address, str]()
        begun = set[Address]()
        self.effects, self.erased = set(), 0
        for gid in sorted(self.rows):
            row, record = self.rows[gid], self._records[gid]
            stream, cause = row.stream, row.cause.rstrip("!@")
            own = self._own(stream)
            caused = own or cause in ids or (cause in told and stream in begun)
            if caused and cause in tasks and stream not in joined:
                joined[stream] = _run_of(record)
            if not caused and not (stream in joined and _run_of(record) == joined[stream]):
                continue
            if row.seq == 1:
                begun.add(stream)
            self.erased += record.erased
            self.effects |= {effect.id for effect in record.effects}
            ids |= {effect.id for effect in record.effects} | {timer.id for timer in record.timers}
            for sent in record.sends:
                answer = sent.wire == OUTCOME
                if answer and not self._own(sent.to) and decode(sent.body, OutcomeBody).of not in ids:
                    continue  # it goes back to who asked, and not because of this run
                shared = not own and stream not in joined
                (told if shared and sent.reply_to is None and not answer else ids).add(sent.id)
                if sent.wire == Task.__wire__:
                    tasks.add(sent.id)
                if sent.to and sent.to not in self._asked:
                    self._wanted.add(sent.to)

    def _own(self, address: Address) -> bool:
        return address == self.run or address.startswith(f"{self.run}/")


def _run_of(record: Record) -> str:
    """On whose behalf a row was made, as far as it says so."""
    if record.context is not None:
        return record.context.run
    for effect in (*record.effects, *record.changes):
        return effect.context.run
    return next((sent.context.run for sent in record.sends), "")
