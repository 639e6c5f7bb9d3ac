"""How ``format-1.journal`` was made, with the code of commit d367e03 (version 0.1.0):

    python -m tests.golden.make tests/golden/format-1

Three lives of one team (``troupe``): the first is closed in order, the second dies in the middle of a ``once`` call, the third dies
when all is acknowledged. Then the texts of one finished run are erased by hand (its rows keep their digests), the
write-ahead log is put into the file, and the fingerprints that every later version must fold again are written beside it.

The file is never made again for the same format: a new format gets a file of its own. (The fingerprints were taken again, by the code
of commit 5935f2b, when it was settled that a field at its default says nothing.)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import anyio

import understudy as us
from tests.golden.fingerprint import fingerprint
from tests.golden.troupe import Break, Close, Deposit, Note, Remember, troupe
from understudy.protocols.tasks import Task
from understudy.supervisor.journal.chain import content
from understudy.supervisor.journal.driver import choose
from understudy.supervisor.journal.reader import read_only

TARGET = "tests.golden.troupe:troupe"
ERASED = "troupe/erased"
A_CENTURY = 3_000_000_000.0


def system(journal: Path) -> us.System:
    """The team on this journal."""
    return us.System(troupe, journal=journal, target=TARGET, control=False)


async def first(journal: Path) -> None:
    """Work of every kind; closed in order."""
    async with system(journal) as node:
        await node.run(troupe, "look", id="looked")
        await node.run(troupe, "look again, and be forgotten", id="erased")
        await node.run(troupe, Task("pay", user="ada", tenant="acme", tags=("rent",)), id="asking")
        paid = await node.run(troupe, "pay", id="paid")
        await node.approve(paid.waiting[0].id, by="bob", reason="it is due")
        await node.run(troupe, "pay", id="paid")
        await node.ask("accounts/ada", Deposit(5), key="first")
        await node.ask("accounts/ada", Deposit(5), key="first")
        await node.tell("accounts/ada", Note("Λ 'quoted' \u2028"), key="noted")
        for refused, key in ((Deposit(-1), "refused"), (Break(), "")):
            try:
                await node.ask("accounts/ada", refused, key=key)
            except us.AskFailed as error:
                print(error)
        await node.tell("accounts/ada", Remember(A_CENTURY, "so late"))
        await node.tell("accounts/ada", Remember(0.01, "so soon"))
        await node.ask("accounts/bob", Close(), key="closing")
        await node.tell("accounts/bob", Note("to nobody"))  # parked: bob has finished
        await anyio.sleep(0.2)  # for the reminder


async def second(journal: Path) -> None:
    """Dies in the middle of a call that may happen once."""
    async with system(journal) as node:
        await node.run(troupe, "send", id="sent")


async def third(journal: Path) -> None:
    """Finds the doubt, lets an actor fail until it has to wait, and dies with mail before it."""
    async with system(journal) as node:
        while not any(item.kind == "in_doubt" for item in node.inbox()):  # noqa: ASYNC110 - nobody tells
            await anyio.sleep(0.01)
        try:
            await node.ask("accounts/ada", Break(), key="break again")
        except us.AskFailed as error:
            print(error)
        with anyio.move_on_after(1.0):
            await node.tell("accounts/ada", Note("while it waits"), key="waiting")
        os._exit(9)


def erase(journal: Path, run: str) -> None:
    """Null the texts of a run as retention does, and put everything into the one file."""
    with read_only(journal) as reader:
        rows = [row for line in reader.actors(run) for row in reader.stream(line.address)]
    connection = choose().connect(f"file:{journal}")
    for row in rows:
        digest = content(row.cause, bytes(row.payload))
        connection.execute("UPDATE rows SET cause = NULL, payload = NULL, digest = ? WHERE gid = ?", (digest, row.gid))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.execute("VACUUM")
    connection.close()


def main(stem: Path) -> None:
    """Make the journal and its fingerprints."""
    journal = stem.with_suffix(".db")
    for life, dies in (("first", False), ("second", True), ("third", True)):
        env = os.environ | ({"GOLDEN_DIES": "1"} if life == "second" else {})
        done = subprocess.run([sys.executable, "-m", "tests.golden.make", str(stem), life], env=env, check=False)
        assert done.returncode == (9 if dies else 0), (life, done.returncode)
    erase(journal, ERASED)
    with read_only(journal) as reader:
        facts = fingerprint(reader, but=ERASED)
    stem.with_suffix(".json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    for suffix in ("-lock", "-head", "-wal", "-shm"):
        journal.with_name(journal.name + suffix).unlink(missing_ok=True)
    journal.rename(stem.with_suffix(".journal"))


if __name__ == "__main__":
    at = Path(sys.argv[1])
    if len(sys.argv) > 2:
        anyio.run({"first": first, "second": second, "third": third}[sys.argv[2]], at.with_suffix(".db"))
    else:
        main(at)
