"""An agent that spends, and death between its reservation and its settlement.

    python -m tests.crash.programs.spending JOURNAL before|after|during reserved|settled

dies before (after) the commit of the batch that reserves (settles) its first model call, or ``during`` that call. What the model bills
stands in the file ``billed``, one line a call, written by the model itself.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio

import understudy as us
from tests.crash.programs.deadly import deadly_journal, die, nothing, records
from understudy.protocols.journal import Batch
from understudy.protocols.model import ModelRequest

PRICE = us.Price(10.0, 30.0)
USED = us.Usage(800, 100)
BUDGET = us.Budget(usd=0.5)
DAY = us.Spending(per="user", every="day", usd=0.5)


def team(folder: Path, *, deadly: bool = False) -> us.Agent[str]:
    """An agent whose model answers at once, or dies over the question."""

    def reply(request: ModelRequest) -> us.ModelReply:
        with (folder / "billed").open("a") as file:
            file.write(f"{PRICE.nano(USED.input_tokens, USED.output_tokens)}\n")
            file.flush()
            os.fsync(file.fileno())
        if deadly:
            die()
        return us.ModelReply("said", usage=USED)

    model = us.Scripted(reply, repeat=True, name="m", price=PRICE)
    return us.Agent("a", "Answer.", model=model, budget=BUDGET, limits=us.Limits(answer=400))


def task() -> us.Task:
    return us.Task("spend", user="ada", tenant="acme")


def main(folder: str, when: str, what: str) -> None:
    """Run until death."""

    def sees(batch: Batch) -> bool:
        held = [e for record in records(batch) for e in record.books if e.key.startswith("budget/held/")]
        return any((bytes(e.value) == b"null") == (what == "settled") for e in held)

    async def live() -> None:
        agent = team(Path(folder), deadly=when == "during")
        async with us.System(agent, journal=Path(folder) / "journal.db", spending=[DAY]) as system:
            await system.run(agent, task(), id="1")

    with deadly_journal(before=sees if when == "before" else nothing, after=sees if when == "after" else nothing):
        anyio.run(live)


if __name__ == "__main__":
    main(*sys.argv[1:])
