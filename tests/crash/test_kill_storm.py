"""``kill -9`` at fifty random moments of the incident desk, each time started again: the same answers, the same journal.

Effects are counted in the witness file that the desk's tools fsync and on the dispatcher's board, never in the journal.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from examples.incident_desk.tools import Proposal
from examples.incident_desk.world import Sighting
from tests.crash.normal import normal
from understudy.protocols.ids import Address
from understudy.protocols.journal import ActorLine, Row
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.verify import verify

ROOT = Path(__file__).parents[2]
KILLS = 50
SEED = int(os.environ.get("STORM_SEED", "20261121"))
START = 0.35
"""Seconds that a life spends on starting; some die in them."""

LONGEST = 1.1
"""Seconds after which every life has been killed."""

SLOW = os.environ.get("STORM_SLOW", "0.2")
"""Seconds that each tool takes, so that many are under way at every moment."""


class Question(Struct, frozen=True):
    """What a person is asked about a call."""

    kind: str
    text: str
    tool: str
    arguments: Raw
    key: str


class Standing(Struct, frozen=True):
    """Where one call stands, as the program says."""

    status: str
    output: Raw
    questions: tuple[Question, ...]


class Desk:
    """One journal with its world, and the program over it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.journal, self.witness, self.board = folder / "desk.db", folder / "witness", folder / "board"

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """A life of the program."""
        environment = {"DESK_WITNESS": str(self.witness), "DESK_BOARD": str(self.board), "DESK_SLOW": SLOW}
        command = [sys.executable, "-m", "tests.crash.programs.storm", str(self.journal), *options]
        return subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE)

    def end(self, process: subprocess.Popen[bytes]) -> dict[str, Standing]:
        """Wait until nothing moves any more, and where each call then stands."""
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        return msgspec.json.decode(said, type=dict[str, Standing])

    def rows(self) -> tuple[Row, ...]:
        """The whole journal, of which the chain holds."""
        with read_only(self.journal) as reader:
            found = verify(reader)
            assert (found.bad, found.why) == (0, "")
            rows = reader.rows(limit=100_000)
            assert found.rows == len(rows)
            return rows

    def begun(self, tool: str) -> Counter[str]:
        """How often the tool began, by idempotency key."""
        seen = [msgspec.json.decode(line, type=Sighting) for line in self.witness.read_bytes().splitlines()]
        return Counter(s.key for s in seen if s.tool == tool and s.phase == "begin")

    def proposals(self) -> Counter[Proposal]:
        """What was pinned to the board, and how often."""
        return Counter(msgspec.json.decode(line, type=Proposal) for line in self.board.read_bytes().splitlines())


def storm(desk: Desk) -> tuple[int, int]:
    """Start it and kill it, fifty times. How many lives were killed, and how many of these with work left."""
    chance = random.Random(SEED)
    moments = [round(chance.uniform(0, START if chance.random() < 0.2 else LONGEST), 3) for _ in range(KILLS)]
    print(f"seed {SEED}, killed after {moments} s")
    killed, unfinished = 0, 0
    while killed < KILLS:
        with desk.start() as process:
            try:
                process.communicate(timeout=moments[killed])
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                assert process.returncode == -signal.SIGKILL
                killed += 1
                unfinished += 1
            else:  # it ended sooner: nothing is left to do, and that is a life as well
                assert process.returncode == 0
                killed += 1
    return killed, unfinished


def test_a_storm_of_kills_changes_no_answer_and_no_turn(tmp_path: Path) -> None:
    calm, stormy = Desk(tmp_path / "calm"), Desk(tmp_path / "stormy")
    undisturbed = calm.start()
    killed, unfinished = storm(stormy)
    expected = calm.end(undisturbed)
    finished = sum(1 for actor in read_actors(stormy) if actor.life == "finished" and actor.address.count("/") == 1)
    print(f"{killed} lives, {unfinished} of them killed before they had ended; {finished} of {len(expected)} calls done")
    assert unfinished > KILLS * 0.6

    reached = stormy.end(stormy.start())
    doubtful = {id: standing for id, standing in reached.items() if is_in_doubt(standing)}
    print(f"{len(doubtful)} in doubt of {stormy.begun('propose_dispatch').total()} proposals: {', '.join(doubtful)}")
    assert reached.keys() == expected.keys()
    assert {id: s for id, s in reached.items() if id not in doubtful} == {
        id: s for id, s in expected.items() if id not in doubtful
    }
    assert doubtful
    assert all(standing.status == "waiting" for standing in doubtful.values())
    # No call was taken twice by itself, and those in doubt are just those that were cut off, or never entered, or done
    # without anybody's having heard of it.
    assert set(stormy.begun("propose_dispatch").values()) == {1}
    assert set(stormy.proposals().values()) == {1}

    settled = stormy.end(stormy.start("--settle"))
    assert settled == expected
    assert stormy.proposals() == calm.proposals()
    check_journals(calm.rows(), stormy.rows())


def read_actors(desk: Desk) -> tuple[ActorLine, ...]:
    with read_only(desk.journal) as reader:
        return reader.actors("desk")


def is_in_doubt(standing: Standing) -> bool:
    return any(question.kind == "in_doubt" for question in standing.questions)


def check_journals(calm: tuple[Row, ...], stormy: tuple[Row, ...]) -> None:
    kinds = Counter(row.kind for row in stormy)
    print(f"rows: {dict(Counter(row.kind for row in calm))} undisturbed, {dict(kinds)} in the storm")
    assert kinds["parked"] == kinds["failed"] == 0
    ours, theirs = normal(calm), normal(stormy)
    assert ours.keys() == theirs.keys()
    assert Address("desk/call-001") in ours
    for stream, lines in ours.items():
        assert theirs[stream] == lines, stream
