"""Full and failing disks: a typed refusal, no false acknowledgement; reading goes on, and so does writing later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from tests.contracts.author import ADA, Author
from tests.contracts.journal import same
from tests.supervisor.journal.process import run
from understudy.protocols.errors import JournalDamaged, JournalError, JournalFull, JournalReadOnly
from understudy.supervisor.journal.driver import Connection, Cursor, Driver, Value, choose, translate
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.sqlite import SqliteJournal
from understudy.supervisor.journal.verify import verify

FULL = """
import resource
def room(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
journal = SqliteJournal(path); journal.open(); author = Author(); acknowledged = 0
journal.append(author.batch(20)); acknowledged = 20
room(os.stat(path + "-wal").st_size + 8_000)
refused = 0
while not refused:
    saved = Author(author.last, author.seqs)
    try:
        journal.append(author.batch(20)); acknowledged += 20
    except JournalFull as error:
        refused += 1
        author = saved
assert journal.tail() == acknowledged == len(journal.rows()), "reads go on"
try:
    journal.append(Author(author.last, author.seqs).batch(200))
except JournalFull as error:
    refused += 1
assert journal.tail() == acknowledged == len(journal.rows())
room(resource.RLIM_INFINITY)
journal.append(author.batch(20)); acknowledged += 20
say(refused, acknowledged, journal.tail())
journal.close()
"""


def test_a_full_disk_refuses_reads_on_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    refused, acknowledged, tail = map(int, run(FULL, path)[0].split())
    assert refused == 2
    assert acknowledged == tail
    with read_only(path) as reader:
        assert verify(reader).rows == tail
    journal = SqliteJournal(path)
    assert (journal.open().last, journal.warnings) == (tail, ())
    journal.close()


def test_a_full_disk_at_the_start_is_said_so(tmp_path: Path) -> None:
    opens = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, resource.RLIM_INFINITY))
try:
    SqliteJournal(path).open()
except JournalFull:
    say("full")
"""
    assert run(opens, tmp_path / "desk.db") == ["full"]


class Faulty:
    """A connection of the real driver; ``plan`` is told each statement and may raise, before or after it ran."""

    def __init__(self, connection: Connection, plan: Callable[[str, str], None]) -> None:
        self._connection = connection
        self._plan = plan

    def execute(self, sql: str, parameters: Sequence[Value] = (), /) -> Cursor:
        self._plan("before", sql)
        cursor = self._connection.execute(sql, parameters)
        self._plan("after", sql)
        return cursor

    def close(self) -> None:
        self._connection.close()


def raised(code: int) -> Exception:
    """What the driver raises for a SQLite result code."""
    error = choose().errors[0](f"code {code}")
    vars(error)["sqlite_errorcode"] = code
    return error


def faulty(plan: Callable[[str, str], None]) -> Driver:
    """The real driver with faults."""
    real = choose()

    def connect(uri: str) -> Connection:
        return Faulty(real.connect(uri), plan)

    return msgspec.structs.replace(real, connect=connect)


class Once:
    """Raises at the first statement that begins so, once it is armed."""

    def __init__(self, when: str, begins: str, code: int) -> None:
        self.when, self.begins, self.code, self.armed = when, begins, code, False

    def __call__(self, when: str, sql: str) -> None:
        if self.armed and when == self.when and sql.startswith(self.begins):
            self.armed = False
            raise raised(self.code)


@pytest.mark.parametrize("begins", ["BEGIN", "INSERT INTO streams", "INSERT INTO rows", "COMMIT"])
def test_an_error_anywhere_in_an_append_leaves_nothing_of_it(tmp_path: Path, begins: str) -> None:
    plan, author = Once("before", begins, 10), Author()
    journal = SqliteJournal(tmp_path / "desk.db", driver=faulty(plan))
    journal.open()
    plan.armed = True
    batch = author.batch(3)
    with pytest.raises(JournalFull, match="append"):
        journal.append(batch)
    assert journal.tail() == 0
    assert journal.rows() == ()
    journal.append(batch)
    assert same(journal.rows(), batch.rows)
    journal.close()


def test_a_commit_that_went_in_and_said_it_did_not_is_never_made_twice(tmp_path: Path) -> None:
    plan, author = Once("after", "COMMIT", 10), Author()
    journal = SqliteJournal(tmp_path / "desk.db", driver=faulty(plan))
    journal.open()
    journal.append(author.batch())
    plan.armed = True
    batch = author.batch(2)
    with pytest.raises(JournalFull):
        journal.append(batch)
    assert journal.tail() == 3
    with pytest.raises(JournalError, match="does not follow"):
        journal.append(batch)
    journal.append(author.batch())
    assert [row.gid for row in journal.stream(ADA)] == [1, 2, 3, 4]
    journal.close()
    with read_only(tmp_path / "desk.db") as reader:
        assert verify(reader).rows == 4


def test_a_medium_that_lost_what_was_acknowledged_is_not_written_again(tmp_path: Path) -> None:
    path, plan, author = tmp_path / "desk.db", Once("before", "COMMIT", 10), Author()
    journal = SqliteJournal(path, driver=faulty(plan))
    journal.open()
    journal.append(author.batch(3))
    other = choose().connect(f"file:{path}")
    other.execute("DELETE FROM rows WHERE gid = 3")
    other.close()
    plan.armed = True
    batch = author.batch()
    with pytest.raises(JournalFull):
        journal.append(batch)
    with pytest.raises(JournalDamaged, match="no longer holds row 3"):
        journal.append(batch)
    assert journal.tail() == 2
    journal.close()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (13, JournalFull),
        (10 | 19 << 8, JournalFull),  # IOERR_SHMSIZE
        (10 | 33 << 8, JournalDamaged),  # IOERR_CORRUPTFS
        (8, JournalReadOnly),
        (14, JournalReadOnly),
        (11, JournalDamaged),
        (26, JournalDamaged),
        (5, JournalError),
        (1, JournalError),
        (0, JournalError),
    ],
)
def test_each_code_of_sqlite_has_its_error(code: int, kind: type[JournalError]) -> None:
    error = translate(choose(), raised(code), "do it")
    assert type(error) is kind
    assert str(error).startswith("could not do it")


def test_an_old_sqlite_is_warned_about_and_checkpoints_by_itself_only(tmp_path: Path) -> None:
    statements: list[str] = []
    old = msgspec.structs.replace(faulty(lambda when, sql: statements.append(sql)), version=(3, 51, 2), name="old")
    journal, author = SqliteJournal(tmp_path / "desk.db", driver=old), Author()
    (warning,) = journal.open().warnings
    assert "3.51.2 (old) has the WAL-reset bug" in warning
    assert journal.pragmas()["wal_autocheckpoint"] == "0"
    for _ in range(25):
        journal.append(author.batch(2_000))
    assert any(sql.startswith("PRAGMA wal_checkpoint") for sql in statements)
    assert (tmp_path / "desk.db-wal").stat().st_size < 12_000_000
    journal.close()
    assert not msgspec.structs.replace(old, version=(3, 51, 3)).warning
