"""Seeded runs of the production kernel with faults at every step, and planted bugs that the same runs must find.

2,000 seeds in CI (`make test`), 100,000 in `make soak`, 300 otherwise.
`UNDERSTUDY_SEEDS=5000 UNDERSTUDY_SEED=300 pytest tests/simulation -s` runs so many more, from that one on.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests import soak
from tests.simulation.many import many
from tests.simulation.run_bank import run
from tests.telling import Tell
from understudy.actors import arrivals, execute, failing
from understudy.actors.cell import Cell
from understudy.actors.draft import Draft
from understudy.actors.ephemeral import Ephemeral, Owed
from understudy.actors.ephemerals import Ephemerals
from understudy.actors.kernel import Kernel
from understudy.actors.mailbox import Item
from understudy.actors.releases import Answered, Done, Release, Start
from understudy.actors.residents import Residents
from understudy.actors.snapshots import restore
from understudy.actors.taken import NEVER, Taken
from understudy.actors.working_sets import WorkingSets
from understudy.protocols.codec import encode
from understudy.protocols.effects import Effect
from understudy.protocols.envelope import OUTCOME, Context, Reply
from understudy.protocols.failures import Failure
from understudy.protocols.hooks import Next
from understudy.protocols.ids import OUTSIDE
from understudy.protocols.journal import Found, Known, Opened, RowKind, Snapshot
from understudy.protocols.lifecycle import ChildFailed
from understudy.supervisor.simulation.attempts import Attempts, _Flight
from understudy.supervisor.simulation.simulated import Simulated
from understudy.tools import ledger

SEEDS = int(os.environ.get("UNDERSTUDY_SEEDS", soak.count("seeds")))
FIRST = int(os.environ.get("UNDERSTUDY_SEED", "0"))
WITHIN = 200
"""Seeds within which each planted bug must be found."""

SELDOM = 20
"""Times that a fault must hit a state, or it proves nothing about it."""


def test_a_bank_survives_a_storm_of_faults(tell: Tell) -> None:
    """Safety after every crash and at the end; liveness after the storm: everything comes to an end."""
    saw = many(FIRST, SEEDS, soak.Progress("seeds", SEEDS))
    tell(
        f"{saw.seeds:,} seeds, {saw.steps:,} steps, {saw.rows:,} rows, {saw.beats:,} ticks; faults, and what each hit:"
        + "".join(
            f"\n  {fault:15} " + ", ".join(f"{what} {n:,}" for (f, what), n in sorted(saw.hits.items()) if f == fault)
            for fault in sorted({fault for fault, _ in saw.hits})
        )
    )
    if saw.failed is not None:
        seed, what = saw.failed
        kind = "liveness: something never ends" if saw.live else "safety: something is wrong"
        again = f"UNDERSTUDY_SEEDS=1 UNDERSTUDY_SEED={seed} pytest tests/simulation/test_bank.py -k storm"
        pytest.fail(f"seed {seed}: {kind}\n{what}\nagain: {again}", pytrace=False)
    if SEEDS >= 2_000:
        rare = {hit: n for hit, n in saw.hits.items() if n < SELDOM}
        assert not rare, f"hit too seldom to mean anything: {rare}"
        unhit = {(f, w) for f in ("crash", "commit fails", "commit unknown") for w in STATES[f]} - saw.hits.keys()
        assert not unhit, f"never hit: {unhit}"


STATES = {
    "crash": {"feed", "load", "run", "commit", "release", "perform", "outcome", "tick"},
    "commit fails": {"system", "attempt", "accepted", "turn", "parked", "expired", "settled", "started", "failed"},
    "commit unknown": {"system", "attempt", "accepted", "turn", "parked", "expired", "settled", "started", "failed"},
}
"""What each fault must have hit: every kind of step, and every kind of row as the most telling one of its batch."""


def test_the_same_seed_makes_the_same_journal() -> None:
    one, two = run(7), run(7)
    assert one.seen.rows == two.seen.rows
    assert one.node.hits == two.node.hits


# -- planted bugs: each is a mistake that somebody could make in the product --------------------------------------------

Plant = Callable[[pytest.MonkeyPatch], None]


def _early(kind: type[Release]) -> Plant:
    """What should wait for its row's commit is let out at once."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        after = Kernel.after

        def hasty(self: Kernel, release: Release) -> None:
            if isinstance(release, kind):
                self._outbox.appendleft((0, release))
            else:
                after(self, release)

        patch.setattr(Kernel, "after", hasty)

    return plant


def _dedup_dropped(patch: pytest.MonkeyPatch) -> None:
    def never(self: Kernel, item: Item, looked: Known | None) -> bool:
        return False

    patch.setattr(Kernel, "_was_taken", never)


def _keys_of_rows_that_a_look_did_not_show_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    def hasty(self: Taken, durable: int) -> None:
        self.floor = NEVER
        forget(self, durable)

    forget = Taken.forget
    patch.setattr(Taken, "forget", hasty)


def _outcome_forgotten(patch: pytest.MonkeyPatch) -> None:
    def forgetful(self: WorkingSets, opened: Opened) -> None:
        init(self, opened)
        self.mail = {id: mail for id, mail in self.mail.items() if mail.envelope.wire != OUTCOME}

    init = WorkingSets.__init__
    patch.setattr(WorkingSets, "__init__", forgetful)


def _once_restarted_after_a_crash(patch: pytest.MonkeyPatch) -> None:
    def careless(effect: Effect, now: float) -> Next:
        return Next("start")

    patch.setattr(ledger, "after_crash", careless)


def _once_tried_again_after_silence(patch: pytest.MonkeyPatch) -> None:
    def careless(effect: Effect, failure: Failure, now: float, rng: object) -> Next:
        return Next("start", due=now)

    patch.setattr(ledger, "after_silence", careless)


def _tried_again_while_a_thread_still_runs(patch: pytest.MonkeyPatch) -> None:
    def careless(self: Attempts, flight: _Flight, now: float) -> object:
        left, self._left = self._left, {}
        try:
            return attempt(self, flight, now)
        finally:
            self._left = left

    attempt = Attempts._attempt
    patch.setattr(Attempts, "_attempt", careless)


def _timers_forgotten(patch: pytest.MonkeyPatch) -> None:
    def forgetful(self: Kernel, *, clean: bool) -> None:
        recover(self, clean=clean)
        self._alarms = [(due, id) for due, id in self._alarms if id not in self.sets.timers]
        heapq.heapify(self._alarms)

    recover = Kernel._recover
    patch.setattr(Kernel, "_recover", forgetful)


def _consumed_mail_stays_open(patch: pytest.MonkeyPatch) -> None:
    def leaky(self: WorkingSets, id: str) -> None:
        if id not in self.mail or id.endswith(("1", "3", "5", "7", "9")):
            close(self, id)

    close = WorkingSets._close
    patch.setattr(WorkingSets, "_close", leaky)


def _kernel_kept_after_a_failed_commit(patch: pytest.MonkeyPatch) -> None:
    def carry_on(self: Simulated) -> None:
        pass

    patch.setattr(Simulated, "_rebuild", carry_on)


def _rows_ahead_of_the_append_count_as_durable(patch: pytest.MonkeyPatch) -> None:
    def hasty(self: Kernel, gid: int) -> list[Release]:
        return committed(self, self.gid)

    committed = Kernel.committed
    patch.setattr(Kernel, "committed", hasty)


def _word_of_a_failed_child_is_lost(patch: pytest.MonkeyPatch) -> None:
    def silent(
        cell: Cell, item: Item, failure: Failure, gid: int, now: float, kind: RowKind = "failed", **more: Any
    ) -> Draft:
        draft = failing.failed(cell, item, failure, gid, now, kind, **more)
        record = msgspec.structs.replace(
            draft.record, sends=tuple(e for e in draft.record.sends if e.wire != ChildFailed.__wire__)
        )
        return Draft(draft.kind, record, draft.state, encode(record))

    patch.setattr(execute, "failed", silent)


def _mail_lost_while_loading(patch: pytest.MonkeyPatch) -> None:
    def forgetful(self: Kernel, found: Found) -> None:
        if found.rows:
            self._cells[found.address].mailbox.clear()
        loaded(self, found)

    loaded = Kernel.loaded
    patch.setattr(Kernel, "loaded", forgetful)


def _a_snapshot_one_row_behind_is_believed(patch: pytest.MonkeyPatch) -> None:
    def believing(self: Kernel, found: Found) -> None:
        if found.snapshot is not None:
            found = msgspec.structs.replace(found, rows=found.rows[1:])
        loaded(self, found)

    loaded = Kernel.loaded
    patch.setattr(Kernel, "loaded", believing)


def _a_snapshot_forgets_what_is_remembered_besides_the_state(patch: pytest.MonkeyPatch) -> None:
    def forgetful(cell: Cell, kept: Snapshot) -> bool:
        known = restore(cell, kept)
        cell.memory.askers, cell.memory.timers = {}, {}
        return known

    patch.setattr(arrivals, "restore", forgetful)


def _an_actor_leaves_before_its_rows_are_durable(patch: pytest.MonkeyPatch) -> None:
    def hasty(self: Residents, now: float, durable: int) -> list[Cell]:
        return leave(self, now, 1 << 62)

    leave = Residents.leave
    patch.setattr(Residents, "leave", hasty)


def _memory_only_answer_does_not_wait(patch: pytest.MonkeyPatch) -> None:
    def hasty(
        self: Ephemerals,
        cell: Ephemeral,
        owed: Owed,
        value: msgspec.Raw,
        failure: Failure | None,
        context: Context | None,
    ) -> None:
        if owed.to is not None and owed.to.address == OUTSIDE:
            assert isinstance(self.pump, Kernel)
            self.pump._outbox.appendleft((0, Answered(Reply(owed.to, value, failure))))
        else:
            pay(self, cell, owed, value, failure, context)

    pay = Ephemerals._pay
    patch.setattr(Ephemerals, "_pay", hasty)


def _what_memory_only_actors_took_stays_open(patch: pytest.MonkeyPatch) -> None:
    def forgetful(self: Kernel, item: Item) -> None:
        item.closes = ""
        is_in(self, item)

    is_in = Kernel._is_in
    patch.setattr(Kernel, "_is_in", forgetful)


PLANTED: dict[str, Plant] = {
    "acknowledged before commit": _early(Done),
    "answered before commit": _early(Answered),
    "effect begun before commit": _early(Start),
    "dedup dropped": _dedup_dropped,
    "outcome forgotten at recovery": _outcome_forgotten,
    "timers forgotten at recovery": _timers_forgotten,
    "once restarted after a crash": _once_restarted_after_a_crash,
    "once tried again after silence": _once_tried_again_after_silence,
    "tried again while a thread still runs": _tried_again_while_a_thread_still_runs,
    "consumed mail stays open": _consumed_mail_stays_open,
    "kernel kept after a failed commit": _kernel_kept_after_a_failed_commit,
    "keys of rows that a look did not show are forgotten": _keys_of_rows_that_a_look_did_not_show_are_forgotten,
    "mail lost while loading": _mail_lost_while_loading,
    "a snapshot one row behind is believed": _a_snapshot_one_row_behind_is_believed,
    "a snapshot forgets what is remembered besides the state": _a_snapshot_forgets_what_is_remembered_besides_the_state,
    "an actor leaves before its rows are durable": _an_actor_leaves_before_its_rows_are_durable,
    "reply of a memory-only actor leaves before the commit it depends on": _memory_only_answer_does_not_wait,
    "what memory-only actors took stays open": _what_memory_only_actors_took_stays_open,
    "rows ahead of the append count as durable": _rows_ahead_of_the_append_count_as_durable,
    "word of a failed child is lost": _word_of_a_failed_child_is_lost,
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(bug: str, monkeypatch: pytest.MonkeyPatch, tell: Tell) -> None:
    PLANTED[bug](monkeypatch)
    for seed in range(WITHIN):
        try:
            run(seed)
        except Exception as found:  # noqa: BLE001 - any way of noticing it will do
            tell(f"found at seed {seed}: {type(found).__name__}: {str(found)[:140]}")
            return
    pytest.fail(f"{bug}: not found within {WITHIN} seeds")
