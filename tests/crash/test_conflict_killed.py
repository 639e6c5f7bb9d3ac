"""kill -9 in the middle of a conflict: it carries on where it was, and nothing that was done is done again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from understudy.actors.cell import read_record
from understudy.protocols.codec import decode
from understudy.protocols.conflicts import ConflictResolved
from understudy.supervisor.journal.reader import read_only

ROOT = Path(__file__).parents[2]


def life(journal: Path, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.crash.programs.conflicted", str(journal), *more]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_judge_that_is_killed_goes_on_and_the_workers_are_not_asked_again(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    assert life(journal, "die").returncode == -signal.SIGKILL
    with read_only(journal) as reader:
        before = reader.rows(limit=1_000)
    second = life(journal, RESUMED="1")
    assert second.stdout.strip() == "wave", second.stderr
    with read_only(journal) as reader:
        rows = reader.rows(limit=1_000)
    started = [effect.name for row in rows for effect in read_record(row).changes if row.kind == "started"]
    assert sorted(started) == ["a", "b"], "each worker once, before the kill"
    assert not any(row.stream in ("desk/r/a", "desk/r/b") for row in rows[len(before) :])
    events = [event for row in rows for event in read_record(row).events if event.wire == ConflictResolved.__wire__]
    found = [decode(event.data, ConflictResolved) for event in events]
    assert {event.decided.by for event in found} == {"judge judge"}
    assert [claim.plain for claim in found[0].conflict.claims] == ["tide", "wave"]
    third = life(journal, RESUMED="1")
    assert third.stdout.strip() == "wave", "and the answer stands"
