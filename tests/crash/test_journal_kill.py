"""SIGKILL at random moments: every acknowledged row is there, and the chain holds.

Fifteen lives of one journal; ``make soak`` has a hundred journals.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests import soak
from tests.supervisor.journal.process import heard, running
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.sqlite import SqliteJournal
from understudy.supervisor.journal.verify import verify

APPENDS = """
import random
from understudy.protocols.ids import Address
random.seed(int(sys.stdin.readline()))
with_names = [Address(f"desk/{n}") for n in range(20)]
journal = SqliteJournal(path)
opened = journal.open()
assert opened.warnings == (), opened.warnings
author = Author(opened.last, {name: len(journal.stream(name)) for name in with_names})
while True:
    count = random.choice((1, 1, 2, 10, 100, 600))
    rows = tuple(author.row(random.choice(with_names), cause=f"{author.last}.0") for _ in range(count))
    journal.append(Batch(rows))
    say(rows[-1].gid)
"""


LIVES = 15
JOURNALS = soak.count("lives") // LIVES
PROGRESS = soak.Progress("lives", JOURNALS * LIVES)


@pytest.mark.parametrize("seed", range(20_261_121, 20_261_121 + JOURNALS))
def test_no_acknowledged_row_is_lost_by_kill_9(tmp_path: Path, seed: int) -> None:
    path, chance = tmp_path / "desk.db", random.Random(seed)
    acknowledged = 0
    for life in range(LIVES):
        with running(APPENDS, path) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{seed * LIVES + life}\n")
            process.stdin.flush()
            for _ in range(chance.choice((1, 2, 5, 20, 60))):
                acknowledged = int(heard(process))
            process.kill()
            for line in process.stdout:  # what it still said before it died
                if line.endswith("\n"):
                    acknowledged = int(line)
        with read_only(path) as reader:
            found = verify(reader)
        assert (found.bad, found.why) == (0, "")
        assert found.rows >= acknowledged
    PROGRESS.step(LIVES)
    journal = SqliteJournal(path)
    assert journal.open().last >= acknowledged > 100
    journal.close()
