"""A file of an older format becomes one of this format wholly, whenever its migration is cut off."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.supervisor.journal.dying import Killed, killed_after
from understudy.protocols.errors import JournalFull
from understudy.protocols.journal import FORMAT
from understudy.supervisor.journal import migrate
from understudy.supervisor.journal.driver import choose
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.sqlite import SqliteJournal

OLD = Path(__file__).parents[2] / "golden" / "format-1.journal"
KEYS = "SELECT stream, key, digest, gid, answered FROM keys"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of format 1."""
    shutil.copyfile(OLD, tmp_path / "desk.db")
    return tmp_path / "desk.db"


def opened(path: Path, on_migration: migrate.Progress | None = None) -> None:
    """As an owner that writes nothing."""
    core = SqliteJournal(path, on_migration=on_migration)
    core.open()
    core.close()


def version(path: Path) -> object:
    """Of its format."""
    with read_only(path) as reader:
        return reader.query("PRAGMA user_version")[0][0]


def keys(path: Path) -> object:
    """All of them."""
    with read_only(path) as reader:
        return sorted(map(str, reader.query(KEYS)))


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many transactions for few rows."""
    monkeypatch.setattr(migrate, "STEP", 7)


@pytest.mark.usefixtures("small_steps")
def test_a_kill_at_any_statement_leaves_the_old_format_or_the_new_one_and_the_next_owner_goes_on(
    path: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "whole.db"
    shutil.copyfile(path, whole)
    opened(whole)
    cut_off = 0
    for statements in range(1, 200):
        fresh = tmp_path / f"{statements}.db"
        shutil.copyfile(path, fresh)
        connection = choose().connect(f"file:{fresh}")
        try:
            migrate.migrate(killed_after(connection, statements), lambda done, of: None)
        except Killed:
            cut_off += 1
            assert version(fresh) in (1, 2)
            opened(fresh)
        else:
            connection.close()
            assert cut_off > 20
            break
        finally:
            connection.close()
        assert version(fresh) == FORMAT
        assert keys(fresh) == keys(whole)
        with read_only(fresh) as reader:
            assert "migrating" not in reader.meta()
        fresh.unlink()
    else:
        raise AssertionError("it never came to its end")


@pytest.mark.usefixtures("small_steps")
def test_it_goes_on_where_it_was_cut_off_and_says_how_far_it_is(path: Path) -> None:
    def cut_at(row: int) -> Callable[[int, int], None]:
        def told(done: int, of: int) -> None:
            seen.append((done, of))
            if done >= row:
                raise Killed

        return told

    seen: list[tuple[int, int]] = []
    with pytest.raises(Killed):
        opened(path, cut_at(20))
    assert seen == [(0, 46), (7, 46), (14, 46), (21, 46)]
    seen.clear()
    opened(path, cut_at(999))
    assert seen == [(21, 46), (28, 46), (35, 46), (42, 46), (46, 46)]
    seen.clear()
    opened(path, cut_at(999))
    assert seen == []


@pytest.mark.usefixtures("small_steps")
def test_rows_that_an_older_version_wrote_in_between_are_found(path: Path) -> None:
    def killed(done: int, of: int) -> None:
        if done >= 40:
            raise Killed

    with pytest.raises(Killed):
        opened(path, killed)
    connection = choose().connect(f"file:{path}")
    connection.execute(
        """INSERT INTO rows SELECT 47, stream, 11, incarnation, 'accepted', 'x', at,
           replace(payload, '"key":"waiting"', '"key":"later"'), hash, NULL FROM rows WHERE gid = 46"""
    )
    connection.close()
    (path.parent / "desk.db-head").unlink(missing_ok=True)
    opened(path)
    with read_only(path) as reader:
        assert reader.query("SELECT gid FROM keys WHERE key = 'later'") == [(47,)]


def test_what_is_no_record_is_left_to_whoever_reads_that_actor(path: Path) -> None:
    connection = choose().connect(f"file:{path}")
    connection.execute("UPDATE rows SET payload = '{not json' WHERE gid = 25")
    connection.execute("UPDATE rows SET payload = json_insert(payload, '$.odd', 1) WHERE gid = 27")
    connection.close()
    opened(path)
    with read_only(path) as reader:
        assert reader.query("SELECT COUNT(*) FROM keys WHERE gid IN (25, 27)") == [(0,)]
        assert reader.query("SELECT COUNT(*) FROM keys") == [(8,)]


def test_a_full_disk_stops_it_and_leaves_the_file_readable(path: Path) -> None:
    def full(done: int, of: int) -> None:
        raise JournalFull("no space", hint="make room")

    with pytest.raises(JournalFull):
        opened(path, full)
    assert version(path) == 1
    opened(path)
    assert version(path) == FORMAT


def test_a_long_migration_says_how_far_it_is_and_a_short_one_nothing(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    told = migrate.say(Path("desk.db"), clock=lambda: now)
    for second in range(5):
        now = float(second)
        told(second * 100, 400)
    said = [(record.rows, record.of) for record in caplog.records]  # type: ignore[attr-defined]
    assert said == [(200, 400), (400, 400)]
