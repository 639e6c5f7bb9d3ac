"""``kill -9`` after each commit of what supervisors are in the middle of: they go on where they were, and nothing is done again.

And what a process does that has bad children: one that fails in its own start for ever, one that swallows its cancellation.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from tests.crash.images import memory
from tests.crash.programs.bad_children import Seen
from tests.crash.programs.tree import STORIES, End, Told

ROOT = Path(__file__).parents[2]


def killed_everywhere(*options: str) -> list[End]:
    """Every story, killed after each commit."""
    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        command = [sys.executable, "-m", "tests.crash.programs.tree", folder, *options]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    return [msgspec.json.decode(line, type=End) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("story", STORIES)
def test_a_supervisor_that_is_killed_after_any_commit_goes_on_where_it_was(story: str) -> None:
    ends = killed_everywhere(story)
    wrong = [end for end in ends if end.wrong]
    assert not wrong, f"{len(wrong)} of {len(ends)}, the first: {wrong[0]}"
    killed = Counter(end.killed for end in ends)
    assert killed[2] >= 4, f"hardly ever killed: {killed}"


def test_a_supervisor_that_forgets_what_it_was_doing_is_seen() -> None:
    wrong = [line for end in killed_everywhere("--forget", "restart") for line in end.wrong]
    assert wrong


# -- bad children -------------------------------------------------------------------------------------------------------


def seen_by(journal: Path, *arguments: str) -> Seen:
    """Run the program with the bad children to its end."""
    command = [sys.executable, "-m", "tests.crash.programs.bad_children", str(journal), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Seen)


def test_a_child_that_fails_in_its_own_start_for_ever_waits_in_its_backoff_and_costs_next_to_nothing(
    tmp_path: Path,
) -> None:
    seen = seen_by(tmp_path / "bad.db", "start", "5")
    print(f"{seen.cpu / seen.wall:.1%} of a processor, {seen.answered} asks answered in {seen.wall:.1f} s")
    waiting = [child for child in seen.children if child.status == "waiting"]
    assert waiting
    assert all(child.due is not None and child.due > child.since for child in waiting)
    assert all(child.failure is not None and "not today" in child.failure.message for child in waiting)
    assert len({child.due for child in waiting}) >= 3, "it is tried again and again"
    assert seen.answered >= 5
    assert seen.cpu < 0.05 * seen.wall


def test_a_call_that_swallows_its_cancellation_holds_up_no_stop_and_no_end_and_is_named(tmp_path: Path) -> None:
    journal = tmp_path / "bad.db"
    seen = seen_by(journal, "stop")
    assert seen.answered == 1
    assert seen.wall < 10.0, "its supervisor waits for its 0.2 s, and for word of it"
    assert seen.closing < 15.0, "the system drains for 0.5 s"
    told = Told(journal)
    assert [(down["how"], down["left"]) for down in told.events("team", "down")] == [("killed", ["stubborn"])]
    notes = [record.note["leaked"] for record in told.records if "leaked" in record.note]
    assert any("stubborn" in note for note in notes), notes
