"""The contract of ``protocols.journal.JournalCore``, as a test that every back-end passes.

A subclass gives the fixture ``medium``: called, it makes a core over the same medium, as a new process would. One whose core
cannot be abandoned without ``close`` and opened again by another (it has no medium besides its process) says ``survives = False``;
where something that the operating system does at a process's death must be done by hand, ``die`` is overridden.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import get_args

import msgspec
import pytest
from msgspec import Raw

from ...protocols.errors import JournalError, TooLarge
from ...protocols.ids import SYSTEM, Address
from ...protocols.journal import MAX_ROW, Batch, JournalCore, Key, Opened, Record, Row, RowKind, Snapshot, Want
from ..journal import finding, memory
from .author import ADA, BOB, Author, effect, entry, line, mail, timer

Medium = Callable[[], JournalCore]


def alike(row: Row) -> tuple[object, ...]:
    """A row as a value: two ``Raw`` are equal only if they are one."""
    return (*msgspec.structs.astuple(row)[:-1], bytes(row.payload))


def same(left: tuple[Row, ...], right: tuple[Row, ...]) -> bool:
    """Whether two ranges of rows are equal, byte for byte."""
    return [alike(row) for row in left] == [alike(row) for row in right]


class JournalContract:
    """One suite, every implementation."""

    survives = True
    """Whether what was appended is there after the process has died without ``close``."""

    @staticmethod
    def die(core: JournalCore) -> None:
        """Let go of what the operating system takes from a dead process (locks, say), and of nothing else; never ``close``."""

    @pytest.fixture
    def core(self, medium: Medium) -> Iterator[JournalCore]:
        core = medium()
        core.open()
        yield core
        core.close()

    @staticmethod
    def again(core: JournalCore, medium: Medium) -> tuple[JournalCore, Opened]:
        """Close it and open it as the next process does."""
        core.close()
        core = medium()
        return core, core.open()

    # --- Opening

    def test_a_new_journal_is_empty_and_has_a_seed(self, medium: Medium) -> None:
        core = medium()
        opened = core.open()
        assert (opened.last, opened.epoch, opened.clean, opened.system_seq) == (0, 0, True, 0)
        assert (opened.mail, opened.effects, opened.timers, opened.books) == ((), (), (), ())
        assert len(opened.seed) >= 32
        assert core.tail() == 0
        assert core.rows() == core.stream(ADA) == ()
        assert core.actors() == ()
        core.close()

    def test_the_seed_and_the_last_time_come_back(self, core: JournalCore, medium: Medium) -> None:
        core.append(Author().batch(3))
        core, first = self.again(core, medium)
        core, second = self.again(core, medium)
        assert first.seed == second.seed
        assert (second.last, second.at) == (3, 1_003.0)
        core.close()

    def test_a_closed_journal_refuses_everything(self, medium: Medium) -> None:
        core = medium()
        calls: tuple[Callable[[], object], ...] = (
            lambda: core.append(Author().batch()),
            core.tail,
            core.rows,
            core.actors,
            lambda: core.stream(ADA),
            lambda: core.find((Want(ADA),)),
        )
        for call in calls:
            with pytest.raises(JournalError):
                call()
        core.open()
        core.close()
        core.close()
        for call in calls:
            with pytest.raises(JournalError):
                call()

    def test_a_journal_says_again_what_it_holds(self, core: JournalCore, medium: Medium) -> None:
        author = Author()
        core.append(
            msgspec.structs.replace(
                author.batch(2),
                mail=(mail("1.0"),),
                effects=(effect("1.1"),),
                timers=(timer("1.2"),),
                books=(entry("b/1"),),
            )
        )
        said = core.reload()
        assert (said.last, said.at, said.clean) == (2, 1_002.0, False)
        core.append(author.batch())
        core, found = self.again(core, medium)
        assert msgspec.json.encode(msgspec.structs.replace(found, last=2, at=1_002.0)) == msgspec.json.encode(said)
        core.close()
        with pytest.raises(JournalError, match="closed"):
            core.reload()

    def test_an_open_journal_cannot_be_opened_again(self, core: JournalCore) -> None:
        with pytest.raises(JournalError):
            core.open()

    def test_one_object_can_be_opened_closed_and_opened(self, medium: Medium) -> None:
        core, author = medium(), Author()
        for count in (1, 2, 3):
            core.open()
            core.append(author.batch())
            assert core.tail() == count
            core.close()

    # --- Finding actors

    def test_what_brings_an_actor_into_memory_is_found_in_parts(
        self, core: JournalCore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        author = Author()
        core.append(msgspec.structs.replace(author.batch(5), actors=(line(ADA, 5),)))
        core.append(author.batch(1, BOB))
        none, some = core.find((Want(Address("desk/nobody")), Want(ADA, 2)))
        assert (none.rows, none.line, none.last, none.more) == ((), None, 0, False)
        assert same(some.rows, core.stream(ADA, 2))
        assert (some.line, some.last, some.more, some.erased, some.damaged) == (line(ADA, 5), 5, False, False, "")
        for module in (memory, finding):
            monkeypatch.setattr(module, "FOUND_ROWS", 2)
        (first,), (last,) = core.find((Want(ADA, 2),)), core.find((Want(ADA, 4),))
        assert ([row.seq for row in first.rows], first.more) == ([3, 4], True)
        assert ([row.seq for row in last.rows], last.more) == ([5], False)
        (nothing,) = core.find((Want(ADA, 1 << 62),))
        assert (nothing.rows, nothing.line, nothing.last) == ((), line(ADA, 5), 5)

    def test_a_snapshot_stands_for_the_rows_up_to_its_own_and_only_for_the_code_that_took_it(
        self, core: JournalCore
    ) -> None:
        core.append(msgspec.structs.replace(Author().batch(5), actors=(line(ADA, 5),)))
        core.put_snapshots((Snapshot(ADA, 3, 3, "code", "{}"),))
        (found,) = core.find((Want(ADA, schema="code"),))
        assert found.snapshot == Snapshot(ADA, 3, 3, "code", "{}")
        assert same(found.rows, core.stream(ADA, 3))
        for want in (Want(ADA), Want(ADA, schema="later code"), Want(ADA, 1, "code"), Want(BOB, schema="code")):
            (found,) = core.find((want,))
            assert found.snapshot is None
            assert same(found.rows, core.stream(want.address, want.after))

    # --- Rows

    def test_rows_come_back_byte_for_byte_and_in_order(self, core: JournalCore, medium: Medium) -> None:
        author = Author()
        odd = Record(took="1.0", note={"greek": "λ", "quote": "'\"", "zero": "\0", "line": "\u2028", "clef": "𝄞"})
        rows = (author.row(ADA, odd, cause="o'clock"), author.row(BOB), author.row(ADA))
        core.append(Batch(rows[:1]))
        core.append(Batch(rows[1:]))
        core, _ = self.again(core, medium)
        assert same(core.rows(), rows)
        assert same(core.stream(ADA), (rows[0], rows[2]))
        assert same(core.stream(BOB), (rows[1],))
        core.close()

    def test_every_field_of_a_row_is_read_as_it_was_written(self, core: JournalCore, medium: Medium) -> None:
        author = Author()
        rows = tuple(
            msgspec.structs.replace(author.row(kind=kind, cause=f"{n}.7"), incarnation=n, at=1_000.0 + n / 3)
            for n, kind in enumerate(get_args(RowKind))
            if kind != "system"
        )
        core.append(Batch(rows))
        core, _ = self.again(core, medium)
        (found,) = core.find((Want(ADA),))
        for read in (core.rows(), core.stream(ADA), found.rows):
            assert same(read, rows)
        core.close()

    @pytest.mark.parametrize("count", [1, 7, 8, 9, 63, 64, 65, 511, 512, 513, 1_600])
    def test_a_batch_of_any_size_goes_in_whole(self, core: JournalCore, count: int) -> None:
        batch = Author().batch(count)
        core.append(batch)
        assert core.tail() == count
        assert same(core.rows(limit=count + 1), batch.rows)

    def test_rows_are_read_in_pages(self, core: JournalCore) -> None:
        rows = Author().rows(10)
        core.append(Batch(rows))
        assert same(core.rows(after=4, limit=3), rows[4:7])
        assert same(core.rows(after=8, limit=30), rows[8:])
        assert core.rows(after=10) == core.rows(after=99) == core.rows(limit=0) == ()

    def test_a_stream_is_read_from_any_row_on(self, core: JournalCore) -> None:
        author = Author()
        rows = tuple(author.row(stream) for stream in (ADA, BOB, BOB, ADA, ADA))
        core.append(Batch(rows))
        assert same(core.stream(ADA, after=1), (rows[3], rows[4]))
        assert core.stream(ADA, after=3) == core.stream(Address("desk/nobody")) == ()

    def test_many_streams_in_one_batch(self, core: JournalCore, medium: Medium) -> None:
        author = Author()
        names = [Address(f"desk/{n:04}") for n in range(1_000)]
        core.append(Batch(tuple(author.row(name) for name in names)))
        core.append(Batch(tuple(author.row(name) for name in reversed(names))))
        core, _ = self.again(core, medium)
        core.append(Batch((author.row(names[500]),)))
        assert [row.seq for row in core.stream(names[500])] == [1, 2, 3]
        core.close()

    # --- What is refused leaves nothing

    @pytest.mark.parametrize(("gid", "seq"), [(1, 0), (-1, 0), (0, 1), (0, -1)])
    @pytest.mark.parametrize("place", [0, 1], ids=["first row", "second row"])
    def test_a_row_that_does_not_follow_is_refused(self, core: JournalCore, gid: int, seq: int, place: int) -> None:
        author = Author()
        core.append(author.batch(2))
        rows = list(author.rows(2))
        wrong = rows[place]
        rows[place] = msgspec.structs.replace(wrong, gid=wrong.gid + gid, seq=wrong.seq + seq)
        with pytest.raises(JournalError):
            core.append(Batch(tuple(rows), mail=(mail("3.0"),), actors=(line(ADA, 4),)))
        assert core.tail() == 2
        assert core.actors() == ()
        core.append(Author(2, {ADA: 2}).batch())
        assert core.tail() == 3

    def test_a_row_before_its_predecessor_in_time_is_refused(self, core: JournalCore) -> None:
        author = Author()
        core.append(author.batch())
        with pytest.raises(JournalError):
            core.append(Batch((msgspec.structs.replace(author.row(), at=999.0),)))
        assert core.tail() == 1

    def test_a_batch_without_rows_is_refused(self, core: JournalCore) -> None:
        with pytest.raises(JournalError):
            core.append(Batch((), mail=(mail("1.0"),)))

    def test_a_row_over_the_limit_is_refused_and_one_at_it_is_taken(self, core: JournalCore, medium: Medium) -> None:
        author = Author()
        core.append(Batch((msgspec.structs.replace(author.row(), payload=record_of_size(MAX_ROW)),)))
        large = msgspec.structs.replace(author.row(), payload=record_of_size(MAX_ROW + 1))
        with pytest.raises(TooLarge):
            core.append(Batch((large,)))
        assert core.tail() == 1
        core, _ = self.again(core, medium)
        assert len(core.rows()[0].payload) == MAX_ROW
        core.close()

    def test_what_was_appended_is_there_after_a_death_without_a_close(self, medium: Medium) -> None:
        if not self.survives:
            pytest.skip("this journal has no medium besides its process")
        core, author = medium(), Author()
        seed = core.open().seed
        first = msgspec.structs.replace(author.batch(2), mail=(mail("1.0"),), actors=(line(ADA, 2),))
        core.append(first)
        core.append(last := author.batch())
        self.die(core)
        next_life = medium()
        assert next_life is not core, "medium() gives a core of its own, as a new process has"
        found = next_life.open()
        assert (found.last, found.seed, found.clean) == (3, seed, False)
        assert [m.envelope.id for m in found.mail] == ["1.0"]
        assert same(next_life.rows(), first.rows + last.rows)
        assert next_life.actors() == (line(ADA, 2),)
        next_life.close()

    @pytest.mark.parametrize("ends", ["closed", "told again"])
    def test_a_batch_that_is_refused_leaves_what_is_open_as_it_was(
        self, core: JournalCore, medium: Medium, ends: str
    ) -> None:
        author = Author()
        before = {
            "mail": (mail("1.0"),), "effects": (effect("1.1"),), "timers": (timer("1.2"),), "books": (entry("b/1"),),
        }  # fmt: skip
        core.append(msgspec.structs.replace(author.batch(), **before, actors=(line(ADA, 1),)))
        held = core.reload()
        changed = {
            "mail": (mail("9.0"),), "effects": (effect("1.1", "started"),), "timers": (timer("9.2"),),
            "books": (entry("b/1", 2, 8), entry("b/2", 1, 8)),
        }  # fmt: skip
        closed = {
            "mail_closed": ("1.0",), "effects_closed": ("1.1",), "timers_closed": ("1.2",), "books_closed": ("b/1",),
        }  # fmt: skip
        for sets in (changed, closed):
            with pytest.raises(JournalError):
                core.append(msgspec.structs.replace(Author(7).batch(), **sets, actors=(line(ADA, 8),)))
        if ends == "closed":
            core, found = self.again(core, medium)
        else:
            found = core.reload()
        assert msgspec.json.encode(found) == msgspec.json.encode(held)
        assert core.actors() == (line(ADA, 1),)
        core.close()

    # --- Working sets

    def test_what_is_open_comes_back_in_the_order_in_which_it_was_made(self, core: JournalCore, medium: Medium) -> None:
        author = Author()
        opened = {
            "mail": (mail("1.9"), mail("1.10")),
            "effects": (effect("1.2"), effect("1.1")),
            "timers": (timer("1.3"),),
        }
        core.append(msgspec.structs.replace(author.batch(), **opened))
        core.append(msgspec.structs.replace(author.batch(), mail=(mail("2.0"),), timers=(timer("2.1"), timer("2.0"))))
        core, found = self.again(core, medium)
        assert [m.envelope.id for m in found.mail] == ["1.9", "1.10", "2.0"]
        assert [e.id for e in found.effects] == ["1.2", "1.1"]
        assert [t.id for t in found.timers] == ["1.3", "2.1", "2.0"]
        assert msgspec.json.encode(found.effects) == msgspec.json.encode(opened["effects"])
        core.close()

    def test_what_changes_keeps_its_place(self, core: JournalCore, medium: Medium) -> None:
        author = Author()
        first = msgspec.structs.replace(
            author.batch(), mail=(mail("1.0"), mail("1.1")), effects=(effect("1.2"), effect("1.3"))
        )
        core.append(first)
        core.append(
            msgspec.structs.replace(author.batch(), mail=(mail("1.0", marks=1),), effects=(effect("1.2", "started"),))
        )
        core, found = self.again(core, medium)
        assert [(m.envelope.id, m.marks) for m in found.mail] == [("1.0", 1), ("1.1", 0)]
        assert [(e.id, e.state) for e in found.effects] == [("1.2", "started"), ("1.3", "intended")]
        core.close()

    def test_what_is_closed_is_gone_and_closing_what_is_not_open_does_nothing(
        self, core: JournalCore, medium: Medium
    ) -> None:
        author = Author()
        many = tuple(mail(f"1.{n}") for n in range(700))
        sets = {"effects": (effect("1.a"), effect("1.b")), "timers": (timer("1.c"),)}
        core.append(msgspec.structs.replace(author.batch(), mail=many, **sets))
        closed = tuple(m.envelope.id for m in many[:-1])
        core.append(
            msgspec.structs.replace(
                author.batch(),
                mail_closed=(*closed, "never'was"),
                effects_closed=("1.a", "1.c"),
                timers_closed=("1.c", "1.b"),
            )
        )
        core, found = self.again(core, medium)
        assert [m.envelope.id for m in found.mail] == ["1.699"]
        assert [e.id for e in found.effects] == ["1.b"]
        assert found.timers == ()
        core.close()

    def test_what_is_opened_and_closed_in_one_batch_is_closed(self, core: JournalCore, medium: Medium) -> None:
        core.append(msgspec.structs.replace(Author().batch(), mail=(mail("1.0"),), mail_closed=("1.0",)))
        core, found = self.again(core, medium)
        assert found.mail == ()
        core.close()

    def test_the_books_hold_the_newest_value_of_each_entry_that_is_not_struck_out(
        self, core: JournalCore, medium: Medium
    ) -> None:
        author = Author()
        first = (entry("rate/b"), entry("rate/a"), entry("grant/1", {"by": "ada", "to": "ö"}))
        core.append(msgspec.structs.replace(author.batch(), books=first))
        second = (entry("rate/b", 2, 2), entry("budget/c", 5, 2))
        core.append(msgspec.structs.replace(author.batch(), books=second, books_closed=("rate/a", "never/was")))
        core, found = self.again(core, medium)
        assert msgspec.json.encode(found.books) == msgspec.json.encode((second[0], first[2], second[1]))
        core.close()

    # --- Actors

    def test_lines_of_actors_are_found_by_what_they_are_below(self, core: JournalCore, medium: Medium) -> None:
        names = ["desk", "desk/b", "desk/a", "desk/a/1", "desk-2", "desk0", "des", "zoo"]
        author = Author()
        rows = tuple(author.row(Address(name)) for name in names)
        core.append(Batch(rows, actors=tuple(line(Address(name), 1) for name in names)))
        core, _ = self.again(core, medium)
        assert [found.address for found in core.actors()] == sorted(names)
        assert [found.address for found in core.actors("desk")] == ["desk", "desk/a", "desk/a/1", "desk/b"]
        assert [found.address for found in core.actors("desk/a")] == ["desk/a", "desk/a/1"]
        assert core.actors("nowhere") == ()
        assert core.actors("zoo") == (line(Address("zoo"), 1),)
        core.close()

    def test_the_last_line_of_an_actor_counts(self, core: JournalCore) -> None:
        author = Author()
        core.append(Batch(author.rows(1), actors=(line(ADA, 1), line(ADA, 1, turns=2))))
        last = line(ADA, 2, life="finished", at=1_002.0, turns=3)
        core.append(Batch(author.rows(1), actors=(last,)))
        assert core.actors() == (last,)

    def test_a_stream_without_a_line_is_no_actor(self, core: JournalCore) -> None:
        core.append(Author().batch())
        assert core.actors() == ()

    # --- Keys

    def test_a_key_is_found_by_whom_it_was_for_and_an_answer_finds_its_key(
        self, core: JournalCore, medium: Medium
    ) -> None:
        author = Author()
        batch = Batch((author.row(ADA), author.row(BOB), author.row(ADA)))
        first, other, done = Key(ADA, "k", "d1", 1), Key(BOB, "k", "d2", 2), Key(ADA, "l'\u2028", "d3", 3, answered=3)
        core.append(msgspec.structs.replace(batch, keys=(first, other, done)))
        core, _ = self.again(core, medium)
        pairs = ((ADA, "l'\u2028"), (ADA, "none"), (BOB, "k"), (Address("desk/nobody"), "k"), (ADA, "k"))
        assert core.keys(pairs) == (done, other, first)
        assert core.keys(()) == ()
        core.append(
            msgspec.structs.replace(author.batch(), answers=(Key(ADA, "k", "", 0, 4), Key(ADA, "none", "", 0, 4)))
        )
        assert core.keys(((ADA, "k"), (ADA, "none"))) == (msgspec.structs.replace(first, answered=4),)
        core.close()

    def test_a_key_that_is_known_stays_as_it_is(self, core: JournalCore) -> None:
        author = Author()
        core.append(msgspec.structs.replace(author.batch(), keys=(Key(ADA, "k", "d1", 1),)))
        core.append(msgspec.structs.replace(author.batch(), keys=(Key(ADA, "k", "d2", 2), Key(ADA, "l", "d3", 2))))
        assert core.keys(((ADA, "k"), (ADA, "l"))) == (Key(ADA, "k", "d1", 1), Key(ADA, "l", "d3", 2))

    def test_a_key_that_is_freed_can_be_taken_again_in_the_same_batch(self, core: JournalCore) -> None:
        author = Author()
        first = tuple(Key(ADA, key, "d1", 1, answered=1) for key in "abc")
        core.append(msgspec.structs.replace(author.batch(), keys=first))
        again = Key(ADA, "b", "d2", 2)
        freed = ((ADA, "a"), (ADA, "b"), (ADA, "none"))
        core.append(msgspec.structs.replace(author.batch(), keys_freed=freed, keys=(again,)))
        assert core.keys(((ADA, "a"), (ADA, "b"), (ADA, "c"))) == (again, first[2])

    def test_a_thousand_keys_in_one_batch(self, core: JournalCore) -> None:
        keys = tuple(Key(ADA, f"k{n}", "d", 1) for n in range(1_000))
        core.append(msgspec.structs.replace(Author().batch(), keys=keys))
        assert core.keys(tuple((key.address, key.key) for key in keys)) == keys
        answers = tuple(msgspec.structs.replace(key, answered=2) for key in keys)
        core.append(msgspec.structs.replace(Author(1, {ADA: 1}).batch(), answers=answers))
        assert core.keys(tuple((key.address, key.key) for key in keys)) == answers

    def test_keys_of_a_batch_that_is_refused_are_not_kept(self, core: JournalCore) -> None:
        wrong = Author(5).batch()
        with pytest.raises(JournalError):
            core.append(msgspec.structs.replace(wrong, keys=(Key(ADA, "k", "d", 6),)))
        assert core.keys(((ADA, "k"),)) == ()

    # --- Snapshots

    def test_the_newest_snapshot_of_a_committed_row_comes_back(self, core: JournalCore, medium: Medium) -> None:
        core.append(Author().batch(3))
        old, new = (Snapshot(ADA, n, n, "s1", f'{{"n":{n}}}') for n in (2, 3))
        core.put_snapshots((old,))
        assert core.snapshot(ADA) == old
        core.put_snapshots((new,))
        core.put_snapshots((old,))
        core, _ = self.again(core, medium)
        assert core.snapshot(ADA) == new
        assert core.snapshot(BOB) is None
        core.close()

    @pytest.mark.parametrize(("gid", "seq", "who"), [(4, 4, ADA), (2, 1, ADA), (2, 2, BOB), (0, 0, ADA)])
    def test_a_snapshot_of_no_committed_row_is_not_kept(
        self, core: JournalCore, gid: int, seq: int, who: Address
    ) -> None:
        core.append(Author().batch(3))
        core.put_snapshots((Snapshot(who, gid, seq, "s1", "{}"), Snapshot(ADA, 1, 1, "s1", "{}")))
        assert core.snapshot(ADA) == Snapshot(ADA, 1, 1, "s1", "{}")
        assert core.snapshot(BOB) is None

    # --- The journal itself

    def test_the_epoch_is_what_the_last_takeover_said(self, core: JournalCore, medium: Medium) -> None:
        author = Author()
        core.append(Batch((author.system(epoch="1"), author.row())))
        core, found = self.again(core, medium)
        assert (found.epoch, found.system_seq) == (1, 1)
        core.append(Batch((author.system(epoch="2"),)))
        core, found = self.again(core, medium)
        assert (found.epoch, found.system_seq) == (2, 2)
        core.close()

    def test_it_is_clean_only_if_its_last_row_is_a_stop(self, core: JournalCore, medium: Medium) -> None:
        author = Author()
        said: list[bool] = []
        for batch in (
            Batch((author.system(epoch="1"),)),
            Batch((author.row(), author.system(stopped="asked to"))),
            Batch((author.system(epoch="2"),)),
            Batch((author.system(stopped="asked to"), author.row())),
            Batch((author.row(), author.system(stopped="asked to"))),
        ):
            core.append(batch)
            core, found = self.again(core, medium)
            said.append(found.clean)
        assert said == [False, True, False, False, True]
        assert core.stream(SYSTEM)[-1].seq == 5
        core.close()


def record_of_size(size: int) -> Raw:
    """A record of exactly ``size`` bytes."""
    return Raw(b'{"took":"' + b"x" * (size - 11) + b'"}')
