"""How a golden journal is made of several lives, each a process that is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio

import understudy as us
from tests.golden.fingerprint import fingerprint
from tests.golden.make import erase
from understudy.supervisor.journal.reader import read_only

Life = Callable[[Path], Awaitable[None]]


def made(module: str, team: us.Supervisor, *lives: Life) -> None:
    """What ``python -m MODULE STEM`` does: make the journal and its fingerprints; with the name of a life behind it, live that."""
    stem = Path(sys.argv[1])
    journal = stem.with_suffix(".db")
    if len(sys.argv) > 2:
        anyio.run({life.__name__: life for life in lives}[sys.argv[2]], journal)
        return
    for life in lives:
        done = subprocess.run([sys.executable, "-m", module, str(stem), life.__name__], check=False)
        assert done.returncode == 9, (life.__name__, done.returncode)
    erase(journal, "nothing")
    with read_only(journal) as reader:
        facts = fingerprint(reader, team=team)
    stem.with_suffix(".json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    for suffix in ("-lock", "-head", "-wal", "-shm"):
        journal.with_name(journal.name + suffix).unlink(missing_ok=True)
    journal.rename(stem.with_suffix(".journal"))
