"""How ``format-3.journal`` was made, when the gate kept books and values carried labels (version 0.1.0):

    python -m tests.golden.make_gate tests/golden/format-3

Two lives of one firm (``firm``). The first: a payment that a person allows for ever, whose run then dies in the middle of another call,
with its reservation. The second goes on with it, begins another run that the standing approval serves, and one that waits for a
person about a stranger's words; then it is killed. The file is never made again.
"""

from __future__ import annotations

import os
from pathlib import Path

import anyio

import understudy as us
from tests.golden.firm import DIES, firm
from tests.golden.lives import made

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


if __name__ == "__main__":
    made("tests.golden.make_gate", firm, first, second)
