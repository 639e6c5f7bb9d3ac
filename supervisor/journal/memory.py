"""A journal in memory: for runs without a file, and for simulations.

Same behaviour as the SQLite one, as ``supervisor/kit/contract.py`` shows. The object is the medium: what was appended
is still there after ``close`` and comes back with the next ``open``. A simulation crashes by closing it and opening it
again.

Faults: ``fail_before`` is called with each batch before it is written, ``fail_after`` when it has been written and
before ``append`` returns; an error that either returns is raised. After ``fail_after`` the caller cannot know: that is
the commit whose outcome is unknown, and ``tail`` tells.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from ...protocols.books import Entry
from ...protocols.effects import Effect
from ...protocols.errors import JournalError
from ...protocols.ids import SYSTEM, Address
from ...protocols.journal import FOUND_ROWS, ActorLine, Batch, Found, Key, Mail, Opened, Row, Snapshot, Timer, Want
from .batch import check, system_facts

Fault = Callable[[Batch], JournalError | None]


class MemoryJournal:
    """A ``JournalCore`` over Python's memory. ``seed`` fixes what is otherwise drawn when the journal is made."""

    def __init__(
        self, *, seed: str | None = None, fail_before: Fault | None = None, fail_after: Fault | None = None
    ) -> None:
        self.fail_before = fail_before
        self.fail_after = fail_after
        self._seed = os.urandom(16).hex() if seed is None else seed
        self._open = False
        self._epoch = 0
        self._clean = True
        self._rows: list[Row] = []
        self._streams: dict[Address, list[Row]] = {}
        self._mail: dict[str, Mail] = {}
        self._effects: dict[str, Effect] = {}
        self._timers: dict[str, Timer] = {}
        self._books: dict[str, Entry] = {}
        self._actors: dict[Address, ActorLine] = {}
        self._keys: dict[tuple[Address, str], Key] = {}
        self._snapshots: dict[Address, Snapshot] = {}

    def open(self) -> Opened:
        if self._open:
            raise JournalError("the journal is open already", hint="close it first")
        self._open = True
        return self.reload()

    def reload(self) -> Opened:
        self._must_be_open()
        return Opened(
            last=len(self._rows),
            at=self._at,
            epoch=self._epoch,
            clean=self._clean,
            seed=self._seed,
            mail=tuple(self._mail.values()),
            effects=tuple(self._effects.values()),
            timers=tuple(self._timers.values()),
            books=tuple(self._books.values()),
            system_seq=len(self._streams.get(SYSTEM, ())),
        )

    def append(self, batch: Batch) -> None:
        self._must_be_open()
        check(batch, len(self._rows), self._at, lambda stream: len(self._streams.get(stream, ())))
        facts = system_facts(batch.rows)
        if self.fail_before and (error := self.fail_before(batch)):
            raise error
        self._write(batch)
        self._clean = facts.clean
        if facts.epoch is not None:
            self._epoch = facts.epoch
        if self.fail_after and (error := self.fail_after(batch)):
            raise error

    def tail(self) -> int:
        self._must_be_open()
        return len(self._rows)

    def stream(self, address: Address, after: int = 0) -> tuple[Row, ...]:
        self._must_be_open()
        return tuple(self._streams.get(address, ())[max(after, 0) :])

    def find(self, wants: tuple[Want, ...]) -> tuple[Found, ...]:
        self._must_be_open()
        return tuple(self._found(want) for want in wants)

    def rows(self, after: int = 0, limit: int = 1_000) -> tuple[Row, ...]:
        self._must_be_open()
        first = max(after, 0)
        return tuple(self._rows[first : first + max(limit, 0)])

    def actors(self, prefix: str = "") -> tuple[ActorLine, ...]:
        self._must_be_open()
        below = prefix + "/"
        return tuple(
            line
            for address, line in sorted(self._actors.items())
            if not prefix or address == prefix or address.startswith(below)
        )

    def keys(self, pairs: tuple[tuple[Address, str], ...]) -> tuple[Key, ...]:
        self._must_be_open()
        return tuple(self._keys[pair] for pair in pairs if pair in self._keys)

    def snapshot(self, address: Address) -> Snapshot | None:
        self._must_be_open()
        return self._snapshots.get(address)

    def put_snapshots(self, snapshots: tuple[Snapshot, ...]) -> None:
        self._must_be_open()
        for snapshot in snapshots:
            if 0 < snapshot.gid <= len(self._rows):
                row, before = self._rows[snapshot.gid - 1], self._snapshots.get(snapshot.address)
                if (row.stream, row.seq) == (snapshot.address, snapshot.seq) and (not before or before.gid <= row.gid):
                    self._snapshots[snapshot.address] = snapshot

    def close(self) -> None:
        self._open = False

    @property
    def _at(self) -> float:
        return self._rows[-1].at if self._rows else 0.0

    def _found(self, want: Want) -> Found:
        stream = self._streams.get(want.address, [])
        kept = self._snapshots.get(want.address) if want.schema and not want.after else None
        if kept is not None and kept.schema != want.schema:
            kept = None
        first = kept.seq if kept is not None else max(want.after, 0)
        rows = tuple(stream[first : first + FOUND_ROWS])
        more = len(stream) > first + FOUND_ROWS
        last = stream[-1].gid if stream else 0
        return Found(want.address, rows, more, self._actors.get(want.address), last, snapshot=kept)

    def _write(self, batch: Batch) -> None:
        for row in batch.rows:
            self._rows.append(row)
            self._streams.setdefault(row.stream, []).append(row)
        for pair in batch.keys_freed:
            self._keys.pop(pair, None)
        for key in batch.keys:
            self._keys.setdefault((key.address, key.key), key)
        for answer in batch.answers:
            known = self._keys.get((answer.address, answer.key))
            if known is not None:
                self._keys[known.address, known.key] = msgspec.structs.replace(known, answered=answer.answered)
        self._mail.update((m.envelope.id, m) for m in batch.mail)
        self._effects.update((e.id, e) for e in batch.effects)
        self._timers.update((t.id, t) for t in batch.timers)
        self._actors.update((a.address, a) for a in batch.actors)
        for item in batch.mail_closed:
            self._mail.pop(item, None)
        for item in batch.effects_closed:
            self._effects.pop(item, None)
        for item in batch.timers_closed:
            self._timers.pop(item, None)
        self._books.update((entry.key, entry) for entry in batch.books)
        for item in batch.books_closed:
            self._books.pop(item, None)

    def _must_be_open(self) -> None:
        if not self._open:
            raise JournalError("the journal is closed", hint="open it first")
