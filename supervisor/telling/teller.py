"""A run is told, row by row."""

from __future__ import annotations

from collections.abc import Iterable

from ...protocols.ids import SYSTEM, Address
from ...protocols.journal import Row
from ...protocols.tasks import Result
from ..inbox import item
from ..journal.batch import record_of
from ..journal.reading import reading, row_name
from ..results import recorded
from ..story import Story
from ..team.progress import Progress, progress
from .above import FromAbove
from .words import in_words


class Teller(FromAbove):
    """See ``teller``."""

    def take(self, row: Row) -> None:
        """Tell one row."""
        self.row, record = row, record_of(row)
        mine = row.stream == self.run or row.stream.startswith(self.run + "/")
        if row.stream == SYSTEM:
            self._life(record)
            return
        if not mine:
            self._supervisor(record)
            return
        self.began, self.at = self.began or row.at, row.at
        if record.erased:
            self._erased()
            return
        for event in record.events:
            self._event(event, record)
        if row.kind in ("failed", "parked") and record.failure is not None:
            put = "its message is put aside" if row.kind == "failed" else "put aside without a turn"
            self._say(f"failed: {in_words(record.failure)}; {put}", "bad")
        if record.answer is not None:
            self._doubted(effect.id for effect in record.changes)
            self._answer(record.answer, record)
        for effect in record.changes:
            self._changed(effect, record)
        for effect in record.effects:
            self._intended(effect)
        self._said_inside(record)
        if row.kind == "turn" and record.life == "running":
            self.restarts += 1
            self._say(f"starts again (restart {row.incarnation})", "bad")
        if record.life == "stopped":
            self._say("is stopped", "bad")
        if row.stream == self.run:
            for reply in record.replies:
                self.failure = reply.failure
                self.result = recorded(reply.value) if reply.failure is None else None

    def leave(self) -> None:
        """The owner has died, and nobody has taken the journal over."""
        self._doubted(tuple(self.effects))

    def story(self) -> Story:
        """What was told."""
        waiting = tuple(entry for effect in self.effects.values() if (entry := item(effect)) is not None)
        result = self.result or (
            Result("failed", reason=self.failure.message, failure=self.failure) if self.failure is not None else None
        )
        moving = any(e.state not in ("asking", "in_doubt", "inside") or e.answer for e in self.effects.values())
        status = result.status if result is not None else "waiting" if waiting and not moving else "unfinished"
        gone = self.result is None and self.erased > 0  # whoever asked again was told so, as a failure
        return Story(
            str(self.run), "erased" if gone else status, self.task, result, self.began, self.at - self.began, waiting,
            self.thinks, self.calls, self.usage, self.cost, self.retries, self.restarts, self.lives, tuple(self.lines),
            self._progress(result.status if result is not None else ""), self.erased, self.simulated,
        )  # fmt: skip

    def _progress(self, ended: str) -> Progress | None:
        if self.team is None or self.erased:
            return None
        return progress(self.team, (e for e in self.effects.values() if e.stream == self.run), ended)

    def _erased(self) -> None:
        """One line for all rows whose text is gone."""
        self.erased += 1
        if self.erased == 1:
            self._say(
                "what was said and done here was erased by retention; the rows are still there", "quiet", who="journal"
            )


def tell(run: Address, rows: Iterable[Row], around: Iterable[Row] = (), *, left: bool = False) -> Story:
    """Fold a run.

    Args:
        run: its address.
        rows: all rows of its actors, in any order.
        around: rows of its supervisors and of the journal itself; of these what concerns the run is told.
        left: nobody owns the journal; calls that its owner had begun when it died are in doubt.

    Raises:
        LookupError: there are no rows of it.
        JournalDamaged: one of them is not what was written.
    """
    teller = Teller(run)
    mine = sorted(rows, key=lambda row: row.gid)
    if not mine:
        raise LookupError(f"there are no rows of {run}")
    first, last = mine[0].gid, mine[-1].gid
    others = [row for row in around if (row.gid < last if row.stream == SYSTEM else row.gid > first)]
    for row in sorted({row.gid: row for row in (*mine, *others)}.values(), key=lambda row: row.gid):
        with reading(row_name(row)):
            teller.take(row)
    with reading(f"what {run} left open"):
        if left:
            teller.leave()
        return teller.story()
