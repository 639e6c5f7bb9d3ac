"""Journals of older versions are opened, brought to this format and come to the same; see ``make`` for how they were made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import understudy as us
from tests.golden import make_gate
from tests.golden.ensemble import ensemble
from tests.golden.fingerprint import fingerprint
from tests.golden.firm import firm
from tests.golden.make_tree import PLAN
from tests.golden.troupe import Deposit
from understudy.protocols.ids import Address
from understudy.protocols.journal import FORMAT, Key
from understudy.protocols.tasks import Task
from understudy.supervisor.journal.audit import audit
from understudy.supervisor.journal.driver import choose
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.sqlite import SqliteJournal
from understudy.supervisor.journal.verify import Verified, verify
from understudy.supervisor.replay.verify import replay

HERE = Path(__file__).parent
ERASED = "troupe/erased"


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A copy of the one of format 1."""
    path = tmp_path / "troupe.db"
    shutil.copyfile(HERE / "format-1.journal", path)
    return path


def opened(path: Path) -> None:
    """As its next owner does, who writes nothing."""
    core = SqliteJournal(path)
    core.open()
    core.close()


def expected() -> object:
    """What was folded when it was made."""
    return json.loads((HERE / "format-1.json").read_text())


@pytest.mark.parametrize("migrated", [False, True])
def test_every_actor_and_everything_open_comes_to_the_same(journal: Path, migrated: bool) -> None:
    if migrated:
        opened(journal)
    with read_only(journal) as reader:
        assert reader.query("PRAGMA user_version") == [(FORMAT if migrated else 1,)]
        assert fingerprint(reader, but=ERASED) == expected()
        assert verify(reader) == Verified(46)


def test_a_changed_event_changes_the_fingerprint(journal: Path) -> None:
    connection = choose().connect(f"file:{journal}")
    connection.execute("""UPDATE rows SET payload = replace(payload, '{"amount":5}', '{"amount":6}')""")
    connection.close()
    with read_only(journal) as reader:
        assert fingerprint(reader, but=ERASED) != expected()


# What a later version decides may carry a field more (an ask names its asker's request since format 2), which replay then names.
@pytest.mark.parametrize(
    ("run", "field"),
    [("accounts/ada", ""), ("accounts/bob", ""), ("troupe/asking/clerk", ""), ("troupe/looked", "sends")],
)
def test_its_runs_are_decided_again_and_differ_in_nothing_but_what_was_added(
    journal: Path, run: str, field: str
) -> None:
    opened(journal)
    report = replay(journal, run)
    assert (report.difference.field if report.difference else "") == field
    if report.difference is not None:
        recorded, now = json.loads(report.difference.recorded), json.loads(report.difference.now)
        for envelope in now:
            del envelope["reply_to"]["request"]
        assert now == recorded


def test_its_keys_are_found_in_its_rows(journal: Path) -> None:
    opened(journal)
    with read_only(journal) as reader:
        found = [
            Key(Address(to), key, "", gid, answered or 0)
            for to, key, gid, answered in reader.query(
                "SELECT address, key, gid, answered FROM keys JOIN streams ON id = stream ORDER BY gid"
            )
        ]
        digests = reader.query("SELECT digest FROM keys")
    assert found == [
        Key(Address("troupe/looked"), "looked", "", 2, 7),
        Key(Address("troupe/asking"), "asking", "", 14),
        Key(Address("troupe/paid"), "paid", "", 17, 24),
        Key(Address("accounts/ada"), "first", "", 25, 25),
        Key(Address("accounts/ada"), "noted", "", 26),
        Key(Address("accounts/ada"), "refused", "", 27, 27),
        Key(Address("accounts/bob"), "closing", "", 33, 33),
        Key(Address("troupe/sent"), "sent", "", 38),
        Key(Address("accounts/ada"), "break again", "", 44, 44),
        Key(Address("accounts/ada"), "waiting", "", 46),
    ]
    assert all(len(digest) == 32 for (digest,) in digests)


def test_a_tree_of_format_2_comes_to_the_same(tmp_path: Path) -> None:
    path = tmp_path / "ensemble.db"
    shutil.copyfile(HERE / "format-2.journal", path)
    with read_only(path) as reader:
        assert fingerprint(reader, team=ensemble) == json.loads((HERE / "format-2.json").read_text())
        assert verify(reader).bad == 0
    assert replay(path, "ensemble/planned").difference is None


async def test_a_tree_of_format_2_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ensemble.db"
    shutil.copyfile(HERE / "format-2.journal", path)
    async with us.System(ensemble, journal=path) as system:
        assert await system.ask("sink", Deposit(1)) == 3, "what it had is there"
        assert [child.id for child in await system.supervisor("ensemble").which()] == ["till", "back"]
        assert (await system.run(ensemble, Task("tides", plan=PLAN), id="planned")).status == "done"


def test_a_firm_of_format_3_comes_to_the_same(tmp_path: Path) -> None:
    path = tmp_path / "firm.db"
    shutil.copyfile(HERE / "format-3.journal", path)
    with read_only(path) as reader:
        found = fingerprint(reader, team=firm)
        assert found == json.loads((HERE / "format-3.json").read_text())
        assert {name.split()[1].split("/")[0] for name in found["open"] if name.startswith("books")} >= {
            "budget",
            "grant",
        }
        assert verify(reader).bad == 0
        assert audit(reader).findings == ()
    for run in ("one", "two", "three"):
        assert replay(path, f"firm/{run}").difference is None


async def test_a_firm_of_format_3_goes_on_with_what_was_spent_and_allowed(tmp_path: Path) -> None:
    path = tmp_path / "firm.db"
    shutil.copyfile(HERE / "format-3.journal", path)
    async with make_gate.system(path) as system:
        (grant,) = system.grants()
        assert (grant.tool, grant.by) == ("pay", ("ann",))
        (item,) = system.inbox()
        assert "stranger" in item.text
        again = await system.run(firm, us.Task("Read mail 1, pay 60.0 to bob", user="ada"), id="four", timeout=10.0)
        assert again.status == "done", "the standing approval serves it"
