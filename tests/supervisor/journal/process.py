"""Other processes, for tests of what happens between them and when they die."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[3]

PREAMBLE = """
import os, sys
from pathlib import Path
from tests.contracts.author import ADA, BOB, Author
from understudy.protocols.errors import *
from understudy.protocols.journal import Batch
from understudy.supervisor.journal.sqlite import SqliteJournal
from understudy.supervisor.journal.reader import read_only
path = sys.argv[1]
def say(*words):
    print(*words, flush=True)
"""


def run(code: str, path: Path) -> list[str]:
    """Run a program to its end; what it said, line by line. ``path`` is its journal."""
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + code, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@contextmanager
def running(code: str, path: Path) -> Generator[subprocess.Popen[str]]:
    """A program that runs until it ends or the block is left."""
    command = [sys.executable, "-c", PREAMBLE + code, str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def heard(process: subprocess.Popen[str]) -> str:
    """The next line that it says; empty when it has ended."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


@contextmanager
def public_folder() -> Generator[Path]:
    """A folder of nobody's: root may do anything, so tests of permissions run as ``nobody`` there."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:  # pytest's own folders are closed to others
        folder = Path(name)
        folder.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        yield folder


NOBODY = 65534

AS_NOBODY = f"""
from understudy.supervisor.journal.driver import choose
choose()
if os.geteuid() == 0:
    os.setegid({NOBODY}); os.seteuid({NOBODY})
"""
