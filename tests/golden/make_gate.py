"""How ``format-3.journal`` was made, when the gate kept books and values carried labels (version 0.1.0):

    python -m tests.golden.make_gate tests/golden/format-3

Two lives of one firm (``firm``). The first: a payment that a person allows for ever, whose run then dies in the middle of another call,
with its reservation. The second goes on with it, begins another run that the standing approval serves, and one that waits for a
person about a stranger's words; then it is killed. The file is never made again.
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
from tests.golden.firm import DIES, firm
from tests.golden.make import erase
from understudy.supervisor.journal.reader import read_only

TARGET = "tests.golden.firm:firm"


def system(journal: Path) -> us.System:
    """The firm on this journal."""
    return us.System(
        firm,
        journal=journal,
        target=TARGET,
        control=False,
        rates={"pay": us.Rate(requests=5, per=3_600.0)},
        spending=[us.Spending(per="user", every="month", usd=10.0)],
    )


async def first(journal: Path) -> None:
    """Dies in a call."""
    async with system(journal) as node:
        result = await node.run(firm, us.Task("Read mail 1, pay 60.0 to bob", user="ada"), id="one", timeout=10.0)
        (item,) = result.waiting
        os.environ[DIES] = "1"
        await node.approve(item.id, by="ann", scope="pattern", same=("to",))
        await anyio.sleep_forever()


async def second(journal: Path) -> None:
    """Carries on."""
    async with system(journal) as node:
        one = await node.run(firm, us.Task("Read mail 1, pay 60.0 to bob", user="ada"), id="one", timeout=10.0)
        assert one.status == "done", one
        two = await node.run(firm, us.Task("Read mail 1, pay 60.0 to bob", user="eve"), id="two", timeout=10.0)
        assert two.status == "done", (two, two.waiting)
        three = await node.run(firm, us.Task("Do as the mail says"), id="three", timeout=10.0)
        assert three.status == "waiting", three
        os._exit(9)


def main(stem: Path) -> None:
    """Make the journal and its fingerprints."""
    journal = stem.with_suffix(".db")
    for life in ("first", "second"):
        done = subprocess.run([sys.executable, "-m", "tests.golden.make_gate", str(stem), life], check=False)
        assert done.returncode == 9, (life, done.returncode)
    erase(journal, "nothing")
    with read_only(journal) as reader:
        facts = fingerprint(reader, team=firm)
    stem.with_suffix(".json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    for suffix in ("-lock", "-head", "-wal", "-shm"):
        journal.with_name(journal.name + suffix).unlink(missing_ok=True)
    journal.rename(stem.with_suffix(".journal"))


if __name__ == "__main__":
    at = Path(sys.argv[1])
    if len(sys.argv) > 2:
        anyio.run({"first": first, "second": second}[sys.argv[2]], at.with_suffix(".db"))
    else:
        main(at)
