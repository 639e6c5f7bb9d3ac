"""``kill -9`` at fifty random moments of the incident desk, each time started again: the same answers, the same journal.

``make soak`` has sixty such storms.

Every other life is ``understudy run``, the others a program that also plays the dispatcher who approves, so that approved
calls are cut off as well.

Effects are counted in the witness file that the desk's tools fsync and on the dispatcher's board, never in the journal.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw

import understudy as us
from examples.incident_desk import desk
from examples.incident_desk.tools import Proposal
from examples.incident_desk.world import Sighting
from tests import soak
from tests.crash.normal import normal
from tests.crash.standing import Standing
from understudy.protocols.ids import Address
from understudy.protocols.journal import ActorLine, Row
from understudy.supervisor.journal.reader import read_only
from understudy.supervisor.journal.verify import verify

ROOT = Path(__file__).parents[2]
KILLS = 50
SEED = int(os.environ.get("STORM_SEED", "20261121"))
STORMS = soak.count("storms")
PROGRESS = soak.Progress("storms", STORMS)
QUIET = 0.15
"""Seconds that a machine with nothing else to do needs to import everything."""

START = 0.35
"""Seconds that a life spends on starting there; some die in them."""

SIDE_BY_SIDE = 3
"""Calls that are taken at the same time."""

SOME_WAIT = 3
"""How ``understudy run`` ends when nothing failed and some runs wait for people."""

LONGEST = 1.1
"""Seconds after which every life has been killed."""

SLOW = os.environ.get("STORM_SLOW", "0.12")
"""Seconds that each tool takes, so that many are under way at every moment."""


class Desk:
    """One journal with its world, and the program over it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.journal, self.witness, self.board = folder / "desk.db", folder / "witness", folder / "board"

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """A life of the program that plays the dispatcher."""
        return self._start("tests.crash.programs.storm", str(self.journal), *options)

    def start_cli(self) -> subprocess.Popen[bytes]:
        """A life of the command line."""
        calls = str(ROOT / "examples/incident_desk/calls.jsonl")
        where = ("--input", calls, "--journal", str(self.journal), "--at-once", str(SIDE_BY_SIDE), "--json")
        return self._start("understudy", "run", "examples.incident_desk:desk", *where)

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        environment = {"DESK_WITNESS": str(self.witness), "DESK_BOARD": str(self.board), "DESK_SLOW": SLOW}
        command = [sys.executable, "-m", *words]
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

    def actors(self) -> tuple[ActorLine, ...]:
        """Where each actor stands."""
        with read_only(self.journal) as reader:
            return reader.actors("desk")

    def begun(self, tool: str) -> Counter[str]:
        """How often the tool began, by idempotency key."""
        seen = [msgspec.json.decode(line, type=Sighting) for line in self.witness.read_bytes().splitlines()]
        return Counter(s.key for s in seen if s.tool == tool and s.phase == "begin")

    def proposals(self) -> Counter[Proposal]:
        """What was pinned to the board, and how often."""
        return Counter(msgspec.json.decode(line, type=Proposal) for line in self.board.read_bytes().splitlines())


def slowness() -> float:
    """How many times slower than a quiet one this machine is now: or no life would ever come beyond its start."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import understudy.__main__, examples.incident_desk"], cwd=ROOT, check=True)
    return max(1.0, (time.monotonic() - began) / QUIET)


def storm(folder: Path, seed: int) -> list[Desk]:
    """Fifty kills. Where the work ends sooner, it is begun again on another journal."""
    chance, slow = random.Random(seed), 1.0
    moments = [round(chance.uniform(0, START if chance.random() < 0.2 else LONGEST), 3) for _ in range(KILLS)]
    print(f"STORM_SEED={seed}, killed after {moments} s")
    desks = [Desk(folder / "stormy-1")]
    while moments:
        if len(moments) % 10 == 0:
            slow = slowness()
        by_dispatcher = len(moments) % 2
        with desks[-1].start() if by_dispatcher else desks[-1].start_cli() as process:
            try:
                process.communicate(timeout=moments[0] * slow)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                assert process.returncode == -signal.SIGKILL
                moments.pop(0)
            else:
                assert process.returncode == (0 if by_dispatcher else SOME_WAIT)
                desks.append(Desk(folder / f"stormy-{len(desks) + 1}"))
    return desks


@pytest.mark.parametrize("seed", range(SEED, SEED + STORMS))
def test_a_storm_of_kills_changes_no_answer_and_no_turn(tmp_path: Path, seed: int) -> None:
    calm = Desk(tmp_path / "calm")
    undisturbed = calm.start()
    stormy = storm(tmp_path, seed)
    expected = calm.end(undisturbed)
    assert len(calm.proposals()) == calm.begun("propose_dispatch").total() > 30
    for one in stormy:
        check(one, calm, expected)
    PROGRESS.step()


def check(one: Desk, calm: Desk, expected: dict[str, Standing]) -> None:
    """Go on to the end, settle what is in doubt by what stands on the board, and compare everything."""
    assert one.journal.stat().st_size, "no life came beyond its start"
    done = sum(1 for line in one.actors() if line.life == "finished" and line.address.count("/") == 1)
    reached = one.end(one.start())
    assert reached.keys() == expected.keys()
    doubtful = {id for id, standing in reached.items() if is_in_doubt(standing)}
    begun = one.begun("propose_dispatch")
    print(
        f"{one.journal}: {done} of {len(expected)} calls were done after the storm; of {begun.total()} proposals",
        end=" ",
    )
    print(f"{len(doubtful)} are in doubt: {', '.join(sorted(doubtful))}")
    assert {id: s for id, s in reached.items() if id not in doubtful} == {
        id: s for id, s in expected.items() if id not in doubtful
    }
    assert all(reached[id].status == "waiting" for id in doubtful)
    assert set(begun.values()) == {1}
    assert set(one.proposals().values()) == {1}

    with one.start_cli() as again:  # the command line finds nothing to do
        again.communicate(timeout=120)
        assert again.returncode == SOME_WAIT
    assert one.begun("propose_dispatch") == begun

    settled = one.end(one.start("--settle"))
    assert settled == expected
    assert one.proposals() == calm.proposals()
    check_journals(calm.rows(), one.rows())


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


async def test_the_comparison_of_journals_sees_a_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calm = Desk(tmp_path / "calm")
    monkeypatch.setenv("DESK_BOARD", str(calm.board))
    async with us.System(desk, journal=calm.journal) as system:
        inputs = {"district": Raw(b'"Lindenau"'), "phone": Raw(b'"1"')}
        result = await system.run(
            desk, us.Task("Meine Frau redet so komisch, ganz verwaschen.", inputs=inputs), id="one"
        )
        await system.approve(result.waiting[0].id)
        await system.run(desk, us.Task("Meine Frau redet so komisch, ganz verwaschen.", inputs=inputs), id="one")
    rows = calm.rows()
    started = next(row for row in rows if row.kind == "started")
    assert normal(row for row in rows if row is not started) == normal(rows)
    last = next(row for row in reversed(rows) if row.kind == "turn")
    assert normal(row for row in rows if row is not last) != normal(rows)
    for turn in rows:
        if turn.kind == "turn" and b"propose_dispatch" in (payload := bytes(turn.payload)):
            other = msgspec.structs.replace(
                turn, payload=Raw(payload.replace(b"propose_dispatch", b"propose_despatch"))
            )
            assert normal(other if row is turn else row for row in rows) != normal(rows)
