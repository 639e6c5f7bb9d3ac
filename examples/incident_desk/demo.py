"""``make demo``: the desk on all calls, killed twice on the way, and what came of it, counted.

Each life is a process of its own, ``understudy run …``, and always the same command. What is reported at the end is read from
the journal and from the witness file, which the tools write and Understudy knows nothing of.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from understudy.protocols.errors import JournalError
from understudy.protocols.ids import segment
from understudy.supervisor.cli.books import REFERENCE, Books
from understudy.supervisor.journal.reader import read_only

from .desk import desk
from .world import Sighting

CALLS = Path(__file__).with_name("calls.jsonl")
PATIENCE = 60.0
"""Seconds for a life to come to the place where it is killed; with a real model, for it to say anything."""

BEFORE_THE_FIRST = 60
"""Tool calls that have ended when the first kill comes: in the middle of the work."""


class Demo:
    """One demonstration, in a folder of its own."""

    def __init__(self, folder: Path, model: str) -> None:
        self.folder, self.model = folder, model
        self.journal = folder / "desk.db"
        self.witness = folder / "witness.jsonl"
        self.board = folder / "board.jsonl"
        self.calls: list[str] = [msgspec.json.decode(line)["id"] for line in CALLS.read_bytes().splitlines()]

    def begin(self, **world: str) -> subprocess.Popen[bytes]:
        """Start a life."""
        command = [sys.executable, "-m", "understudy", "run", "examples.incident_desk:desk", "--input", str(CALLS)]
        command += ["--journal", str(self.journal)] + (["--model", self.model] if self.model else [])
        environment = os.environ | {"DESK_WITNESS": str(self.witness), "DESK_BOARD": str(self.board)} | world
        with (self.folder / "output.txt").open("ab") as output:
            return subprocess.Popen(
                command, cwd=CALLS.parents[2], env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def seen(self) -> list[Sighting]:
        """What the witness saw so far."""
        if not self.witness.exists():
            return []
        lines = self.witness.read_bytes().split(b"\n")[:-1]  # the last may be on its way
        return [msgspec.json.decode(line, type=Sighting) for line in lines]

    def leaving(self) -> int:
        """How many `once` calls the journal would say are under way, should the process die now.

        Read from a copy of the file and its log, as the next life will find them. What the frozen process shares with other
        readers may be behind: it says that rows are in the log only after they have come to the disk.
        """
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            copy = Path(folder) / self.journal.name
            for end in ("", "-wal"):
                if (file := self.journal.with_name(self.journal.name + end)).exists():
                    shutil.copyfile(file, copy.with_name(copy.name + end))
            try:
                with read_only(copy) as reader:
                    return sum(e.effect == "once" and e.state == "started" for e in reader.effects())
            except JournalError:
                return 0  # there is none yet

    def kill(self, process: subprocess.Popen[bytes], there: Callable[[], bool], leaving: int) -> bool:
        """SIGKILL when it is there and just so many dispatches are under way. The process is frozen while we look, so
        that the report can say how many doubts there must be. False: it ended before."""
        until = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < until:
            if there() and _freeze(process):
                if self.leaving() == leaving:
                    process.kill()
                    process.wait()
                    return True
                before = self.seen()
                process.send_signal(signal.SIGCONT)
                soon = time.monotonic() + 0.5  # what it did in the meantime, the witness may have no line for
                while self.seen() == before and process.poll() is None and time.monotonic() < soon:
                    time.sleep(0.002)
            else:
                time.sleep(0.005)
        return False

    def run(self) -> int:
        """Show it."""
        say(
            f"{len(self.calls)} emergency calls, one team, three processes. Everything it does stands in {self.journal}"
        )
        say(f"\n1  understudy run examples.incident_desk:desk --input {CALLS.name} --journal desk.db")
        life = self.begin(DESK_SLOW="0.03")
        enough = self.kill(life, lambda: self._ended() >= BEFORE_THE_FIRST, leaving=0)
        say(
            f"   {self._ended()} tool calls are over, most calls are not. "
            + (f"kill -9 {life.pid}" if enough else "It ended.")
        )

        say("\n2  the same command again")
        life = self.begin(DESK_SLOW="0.03", DESK_HOLD="propose_dispatch:2")
        held = self.witness.with_name(self.witness.name + ".held")
        inside = self.kill(life, held.exists, leaving=1)
        say(
            f"   It is inside propose_dispatch, which must never run twice. kill -9 {life.pid}"
            if inside
            else "   It came to its end without a dispatch that could be killed."
        )

        say("\n3  the same command again, to the end")
        life = self.begin()
        code = life.wait()
        if code not in (0, 3):
            say(f"   It ended with exit code {code}:\n{(self.folder / 'output.txt').read_text()[-2_000:]}")
        return self.report(doubts=int(inside))

    def report(self, doubts: int) -> int:
        """Count, and say it so that a newcomer understands. Gives the exit code."""
        with Books(self.journal) as books:
            known = set(books.runs())
            runs = {f"{desk.name}/{segment(call)}": call for call in self.calls}
            lines = [line for line in books.lines((call, run) for run, call in runs.items()) if line.run in known]
            totals = books.totals(tuple(runs))
        stands = Counter(line.status for line in lines)
        lost = len(self.calls) - sum(stands[status] for status in ("done", "waiting", "cannot", "failed"))
        begun = Counter(s.key for s in self.seen() if s.tool == "propose_dispatch" and s.phase == "begin")
        pinned = Counter(self.board.read_bytes().splitlines()) if self.board.exists() else Counter[bytes]()
        twice = sum(n > 1 for n in begun.values()) + sum(n > 1 for n in pinned.values())
        again = sum(n > 1 for n in Counter(s.key for s in self.seen() if s.phase == "end").values())
        unsure = [entry for line in lines for entry in line.waiting if entry.kind == "in_doubt"]
        price = (
            f"${totals.would_cost:.2f} with {REFERENCE.partition(':')[2]}"
            if totals.would_cost is not None
            else "unknown"
        )
        say("\nWhat came of it, counted from the journal and from the witness file:\n")
        rows = [
            (len(self.calls), "calls"),
            (stands["done"], "done"),
            (stands["waiting"], "waiting for a person: approvals, and calls that nobody could classify"),
            *((stands[status], status) for status in ("cannot", "failed") if stands[status]),
            (lost, "lost"),
            (twice, f"dispatched twice ({len(begun)} dispatches were proposed)"),
            (len(unsure), "in doubt, not run again, and shown to a person: did it happen?"),
        ]
        for number, words in rows:
            say(f"  {number:4}  {words}")
        say(
            f"\n  {totals.answers} model calls, {totals.usage.input_tokens + totals.usage.output_tokens:,} tokens; cost: ",
            end="",
        )
        say(f"${totals.cost:.2f}" + (f", and it would have been {price}" if totals.unpriced else ""))
        say(
            f"  {totals.retries} retries of the flaky status service; {again} look-ups ran twice because of the kills, as look-ups may"
        )
        say("\nTo look closer:\n")
        shown = unsure[0].run if unsure else next(iter(runs))
        tail = f"--journal {self.journal}"
        for words, why in (
            (f"inbox {tail}", "what waits for a person, and how to answer"),
            (f"show {shown} {tail}", "the call that was killed in its dispatch" if unsure else "one call"),
            (f"replay {shown} {tail}", "decide it again from the file, without a model"),
        ):
            say(f"  {program()} {words}    # {why}")
        wrong = [f"{lost} calls are lost"] * bool(lost) + [f"{twice} dispatches happened twice"] * bool(twice)
        wrong += [f"{len(unsure)} calls are in doubt, and it should be {doubts}"] * (len(unsure) != doubts)
        wrong += [f"{stands['failed']} calls failed"] * bool(stands["failed"] and not self.model)
        if wrong:
            say(f"\nTHIS IS WRONG: {'; '.join(wrong)}. Please report it, with {self.folder}")
        return 1 if wrong else 0

    def _ended(self) -> int:
        return sum(s.phase != "begin" for s in self.seen())


def _freeze(process: subprocess.Popen[bytes]) -> bool:
    """Stop a process, all of its threads, and wait until they stand still. False: it ended meanwhile."""
    process.send_signal(signal.SIGSTOP)
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        return True
    process.returncode = os.waitstatus_to_exitcode(status)
    return False


def say(text: str, end: str = "\n") -> None:
    """Print at once."""
    print(text, end=end, flush=True)


def program() -> str:
    """How the command line is called from here."""
    beside = Path(sys.executable).with_name("understudy")
    if shutil.which("understudy") or not beside.exists():
        return "understudy" if shutil.which("understudy") else f"{sys.executable} -m understudy"
    here = os.path.relpath(beside)
    return here if len(here) < len(str(beside)) else str(beside)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m examples.incident_desk.demo", description=__doc__)
    parser.add_argument("--model", default="", help="a real model in the place of the rules, such as openai:gpt-5-mini")
    model: str = parser.parse_args().model
    return Demo(Path(tempfile.mkdtemp(prefix="understudy-demo-")), model).run()


if __name__ == "__main__":
    sys.exit(main())
