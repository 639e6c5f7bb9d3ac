"""The command line in processes of its own, and a small team for it in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TEAM = '''
"""A team of one: it looks, or it pays. A file ``gate`` (a named pipe) holds whoever comes into a tool."""
import os
import understudy as us


def been(what: str) -> None:
    with open("seen.txt", "a") as file:
        file.write(what + "\\n")
    if os.path.exists("gate"):
        open("gate").read()


@us.tool(effect="read")
def look(where: str) -> str:
    """Look somewhere."""
    been("look")
    return "rain"


@us.tool(effect="once")
def send(to: str) -> str:
    """Send a letter."""
    been("send")
    return "sent"


@us.tool(effect="once", approve=True)
def pay(to: str) -> str:
    """Pay somebody."""
    been("pay")
    return "paid"


clerk = us.Agent(
    "clerk",
    "Looks, sends, pays.",
    model=us.Rules("clerk", [
        us.Rule(us.Use("look", {"where": "Oslo"}), score={"look": 1.0}, before=("look",)),
        us.Rule(us.Use("send", {"to": "ada"}), score={"send": 1.0}, before=("send",)),
        us.Rule(us.Use("pay", {"to": "ada"}), score={"pay": 1.0}, before=("pay",)),
        us.Rule(us.Cannot("that is too hard"), score={"fly": 1.0}),
        us.Rule(us.Say("It rains."), score={"look": 1.0}, after=("look",)),
        us.Rule(us.Say("It is sent."), score={"send": 1.0}, after=("send",)),
        us.Rule(us.Say("It is paid."), score={"pay": 1.0}, after=("pay",)),
        us.Rule(us.Say("Hello."), score={"hello": 1.0}),
    ]),
    tools=[look, send, pay],
)
team = us.Supervisor("office", [clerk])
'''

ROOT = Path(__file__).parents[2]
SOON = 30.0


class Desk:
    """A folder with ``team.py`` in it, and the command line there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "team.py").write_text(TEAM)

    @property
    def seen(self) -> list[str]:
        """Which tools ran."""
        file = self.folder / "seen.txt"
        return file.read_text().split() if file.exists() else []

    def lines(self, *entries: object) -> str:
        """An input file; text goes in as it is."""
        text = "\n".join(entry if isinstance(entry, str) else json.dumps(entry) for entry in entries)
        (self.folder / "tasks.jsonl").write_text(text + "\n")
        return "tasks.jsonl"

    def run(self, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """A command, to its end."""
        return subprocess.run(
            command(words),
            cwd=self.folder,
            env=environment(env),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def json(self, *words: str, code: int = 0) -> Any:  # whatever JSON says
        """A command with --json; what it printed. Its exit code must be this one."""
        done = self.run(*words, "--json")
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    @contextmanager
    def running(self, *words: str, env: dict[str, str] | None = None) -> Generator[subprocess.Popen[str]]:
        """A command that runs until it ends or the block is left."""
        with subprocess.Popen(
            command(words),
            cwd=self.folder,
            env=environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    @contextmanager
    def held(self, *words: str) -> Generator[tuple[subprocess.Popen[str], Callable[[], None]]]:
        """A command whose first tool call is held inside; the function lets it go on."""
        gate = self.folder / "gate"
        os.mkfifo(gate)
        with self.running(*words) as process:
            pipe = _opened(gate, process)

            def let_go() -> None:
                gate.unlink(missing_ok=True)
                os.close(pipe)

            try:
                yield process, let_go
            finally:
                process.kill()
                if gate.exists():
                    let_go()


def command(words: Sequence[str]) -> list[str]:
    """How the command line is started here."""
    return [sys.executable, "-m", "understudy", *words]


def environment(more: dict[str, str] | None) -> dict[str, str]:
    """What a command sees: no key, and this very library."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    paths = [str(ROOT / "src"), *filter(None, [kept.get("PYTHONPATH")])]
    return kept | {"PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "200"} | (more or {})


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code and output of a process that ends."""
    out, err = process.communicate(timeout=SOON)
    return process.returncode, out, err


def interrupt(process: subprocess.Popen[str]) -> None:
    """Ctrl-C."""
    process.send_signal(signal.SIGINT)


def until(happens: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + SOON
    while not happens():
        if process.poll() is not None or time.monotonic() > end:
            raise AssertionError(
                f"it did not happen: {process.communicate() if process.poll() is not None else 'too slow'}"
            )
        time.sleep(0.005)


def _opened(gate: Path, process: subprocess.Popen[str]) -> int:
    """The writing end of a named pipe, once somebody reads it."""
    found: list[int] = []

    def somebody() -> bool:
        try:
            found.append(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return False
        return True

    until(somebody, process)
    return found[0]
