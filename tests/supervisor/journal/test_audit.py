"""Whatever is changed in a table that matters is found, and named; what is disposable is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from understudy.protocols.journal import FORMAT
from understudy.supervisor.journal import migrate
from understudy.supervisor.journal.audit import Audit, audit
from understudy.supervisor.journal.driver import choose
from understudy.supervisor.journal.head import Head, Mark, OsHeadFile, head_path
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.sqlite import SqliteJournal
from understudy.supervisor.journal.verify import verify

RICH = Path(__file__).parents[2] / "golden" / "format-1.journal"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal with mail, effects, timers and keys, a restarting actor and an erased run."""
    shutil.copyfile(RICH, tmp_path / "desk.db")
    journal = SqliteJournal(tmp_path / "desk.db")
    journal.open()
    journal.close()
    return tmp_path / "desk.db"


def audited(path: Path) -> Audit:
    """What the audit says of a file."""
    with read_only(path) as reader:
        return audit(reader)


def change(path: Path, sql: str) -> None:
    """Damage it."""
    connection = choose().connect(f"file:{path}")
    before = connection.execute("SELECT total_changes()").fetchone()
    connection.execute(sql)
    assert connection.execute("SELECT total_changes()").fetchone() != before, "nothing was changed"
    connection.close()


def test_a_whole_journal_is_whole(path: Path) -> None:
    found = audited(path)
    assert found.whole
    assert (found.rows, found.erased, found.actors, found.open, found.keys) == (46, 6, 14, 5, 10)
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("sql", "table", "item"),
    [
        ("UPDATE inbox SET entry = replace(entry, 'while', 'whilf')", "inbox", "outside:accounts/ada#waiting"),
        ("UPDATE inbox SET entry = '{' || entry", "inbox", "outside:accounts/ada#waiting"),
        ("DELETE FROM inbox", "inbox", "outside:accounts/ada#waiting"),
        ("UPDATE inbox SET id = 'x'", "inbox", "x"),
        ("UPDATE effects SET entry = replace(entry, 'asking', 'intended') WHERE id = '16.0'", "effects", "16.0"),
        (
            'UPDATE effects SET entry = replace(entry, \'"to":"ada"\', \'"to":"eve"\') WHERE id = \'16.0\'',
            "effects",
            "16.0",
        ),
        ("DELETE FROM effects WHERE id = '40.0'", "effects", "40.0"),
        ("INSERT INTO effects (id, entry) SELECT '41.0', entry FROM effects WHERE id = '40.0'", "effects", "41.0"),
        ("UPDATE timers SET entry = replace(entry, '4795263618', '4795263619')", "timers", "31.0"),
        ("DELETE FROM timers WHERE id = '45.0'", "timers", "45.0"),
        ("UPDATE keys SET digest = 'x' || digest WHERE key = 'first'", "keys", "accounts/ada#first"),
        ("UPDATE keys SET gid = gid + 1 WHERE key = 'first'", "keys", "accounts/ada#first"),
        ("UPDATE keys SET answered = NULL WHERE key = 'first'", "keys", "accounts/ada#first"),
        ("UPDATE keys SET key = 'fjrst' WHERE key = 'first'", "keys", "accounts/ada#first"),
        ("DELETE FROM keys WHERE key = 'looked'", "keys", "troupe/looked#looked"),
        ("UPDATE streams SET life = 'running' WHERE address = 'accounts/ada'", "streams", "accounts/ada"),
        ("UPDATE streams SET incarnation = 7 WHERE address = 'accounts/ada'", "streams", "accounts/ada"),
        ("UPDATE streams SET seq = seq + 1 WHERE address = 'accounts/ada'", "streams", "accounts/ada"),
        (
            "UPDATE streams SET turns = turns + 1 WHERE address = 'troupe/erased/clerk'",
            "streams",
            "troupe/erased/clerk",
        ),
        ("UPDATE streams SET run = 'x' WHERE address = 'accounts/ada'", "streams", "accounts/ada"),
        ("UPDATE streams SET context = '{}' WHERE address = 'accounts/ada'", "streams", "accounts/ada"),
        ("UPDATE streams SET context = '' WHERE address = 'accounts/ada'", "streams", "accounts/ada"),
        ("UPDATE streams SET at = at + 1 WHERE address = 'accounts/ada'", "streams", "accounts/ada"),
        ("UPDATE streams SET began = at + 1 WHERE address = 'accounts/ada'", "streams", "accounts/ada"),
        ("INSERT INTO streams (address) VALUES ('accounts/eve')", "streams", "accounts/eve"),
        ("UPDATE meta SET value = '9' WHERE key = 'epoch'", "meta", "epoch"),
        ("UPDATE meta SET value = '1' WHERE key = 'clean'", "meta", "clean"),
    ],
)
def test_what_is_not_as_the_rows_say_is_named(path: Path, sql: str, table: str, item: str) -> None:
    change(path, sql)
    found = audited(path)
    assert not found.whole
    assert (table, item) in {(finding.table, finding.item) for finding in found.findings}
    assert found.bad == 0
    with read_only(path) as reader:
        assert not verify(reader).bad, "the chain alone does not see it"


def test_the_first_bad_row_is_named(path: Path) -> None:
    change(path, "UPDATE rows SET payload = replace(payload, '5', '6') WHERE gid = 25")
    found = audited(path)
    assert (found.rows, found.bad, found.findings[0].table, found.findings[0].item) == (24, 25, "rows", "25")


def test_a_payload_that_is_there_although_it_was_erased_is_found(path: Path) -> None:
    change(path, "UPDATE rows SET payload = '{}' WHERE gid = 9")
    assert audited(path).bad == 9


def test_a_broken_index_is_found(path: Path) -> None:
    connection = choose().connect(f"file:{path}")
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute(
        "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_timers_1')"
        " WHERE name = 'sqlite_autoindex_effects_1'"
    )
    connection.close()
    assert "pages" in {finding.table for finding in audited(path).findings}


def test_a_snapshot_is_disposable(path: Path) -> None:
    change(path, "INSERT INTO snapshots VALUES (1, 1, 1, x'00', 's', 'no json')")
    assert audited(path).whole


@pytest.mark.parametrize(("gid", "whole"), [(46, False), (47, False), (0, True)])
def test_rows_that_were_acknowledged_and_are_not_there_are_found_by_the_head(path: Path, gid: int, whole: bool) -> None:
    head_path(path).unlink()
    Head(head_path(path), None, Mark(gid, b"x" * 16), strict=True, open_file=OsHeadFile).close()
    found = audited(path)
    assert found.whole == whole
    if not whole:
        assert (found.findings[0].table, found.bad) == ("rows", gid)


def test_a_missing_head_is_warned_about(path: Path) -> None:
    head_path(path).unlink()
    found = audited(path)
    assert found.whole
    assert "no head" in found.warnings[0]


def test_progress_is_told_for_each_step(path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    with read_only(path) as reader:
        audit(reader, lambda doing, done, of: told.append((doing, done, of)))
    assert told[:2] == [("chain", 0, 46), ("pages", 0, 46)]
    assert told[-1] == ("fold", 46, 46)


def test_a_file_of_an_older_format_is_looked_at_as_it_is(tmp_path: Path) -> None:
    shutil.copyfile(RICH, tmp_path / "old.db")
    assert audited(tmp_path / "old.db").whole
    with read_only(tmp_path / "old.db") as reader:
        assert reader.query("PRAGMA user_version") == [(1,)]


@pytest.mark.parametrize(
    ("sql", "name"),
    [
        ("UPDATE sqlite_master SET sql = replace(sql, 'SUM(s.turns)', 'SUM(s.turnt)') WHERE name = 'runs'", "runs"),
        (
            "UPDATE sqlite_master SET sql = replace(sql, 'REFERENCES streams', 'REFERENCES stseams') WHERE name = 'rows'",
            "rows",
        ),
        ("DELETE FROM sqlite_master WHERE name = 'spend'", "spend"),
    ],
)
def test_a_changed_table_or_view_is_named(path: Path, sql: str, name: str) -> None:
    connection = choose().connect(f"file:{path}")
    connection.execute("PRAGMA writable_schema = 1")
    connection.execute(sql)
    connection.close()
    found = audited(path)
    assert [(finding.table, finding.item) for finding in found.findings] == [("schema", name)]


def test_an_index_that_somebody_added_is_their_own_affair(path: Path) -> None:
    connection = choose().connect(f"file:{path}")
    connection.execute("CREATE INDEX by_kind ON rows (kind)")
    connection.close()
    assert audited(path).whole


def test_a_journal_whose_migration_was_cut_off_is_whole_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(done: int, of: int) -> None:
        if done >= 20:
            raise Killed

    monkeypatch.setattr(migrate, "STEP", 7)
    shutil.copyfile(RICH, tmp_path / "desk.db")
    with pytest.raises(Killed):
        SqliteJournal(tmp_path / "desk.db", on_migration=kill).open()
    found = audited(tmp_path / "desk.db")
    assert (found.whole, found.rows, found.keys) == (True, 46, 10)
    assert f"format 1: its migration to format {FORMAT} has not begun or is not finished" in found.warnings[0]
    with read_only(tmp_path / "desk.db") as reader:
        assert 0 < reader.query("SELECT COUNT(*) FROM keys")[0][0] < 10
    owner = SqliteJournal(tmp_path / "desk.db")
    owner.open()
    owner.close()
    assert "migration" not in "".join(audited(tmp_path / "desk.db").warnings)
