"""kill -9 between reservation and settlement: the next process finds the books as they were, charges what nobody knows in full, and spends
no more than the budget."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import anyio
import pytest

import understudy as us
from tests.crash.programs.spending import DAY, PRICE, USED, task, team
from understudy.protocols.budget import Account, nano
from understudy.protocols.codec import decode
from understudy.supervisor.journal.reader import read_only

ROOT = Path(__file__).parents[2]
ONE = PRICE.nano(USED.input_tokens, USED.output_tokens)
KEYS = ("budget/run/a/1", "budget/user/day/acme/ada")


def books(journal: Path) -> dict[str, Account]:
    with read_only(journal) as reader:
        return {e.key: decode(e.value, Account) for e in reader.books() if e.key in KEYS}


@pytest.mark.parametrize(
    ("when", "what", "calls"),
    [
        ("before", "reserved", 1),  # it never left
        ("after", "reserved", 1),
        ("during", "reserved", 2),  # it was billed, and nobody heard of it
        ("before", "settled", 2),
        ("after", "settled", 1),
    ],
)
async def test_the_books_are_what_they_were(tmp_path: Path, when: str, what: str, calls: int) -> None:
    command = [sys.executable, "-m", "tests.crash.programs.spending", str(tmp_path), when, what]
    with anyio.fail_after(60.0):
        killed = await anyio.run_process(command, cwd=ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    journal = tmp_path / "journal.db"
    left = books(journal)
    settled = (when, what) == ("after", "settled")
    reserved = max((a.held_usd for a in left.values()), default=0)
    if (when, what) == ("before", "reserved"):
        assert left == {}
    else:
        assert left.keys() == set(KEYS)
        assert all(a.usd == (ONE if settled else 0) for a in left.values())
        assert (reserved == 0) == settled
    agent = team(tmp_path)
    async with us.System(agent, journal=journal, spending=[DAY]) as system:
        result = await system.run(agent, task(), id="1")
        assert result.output == "said"
    billed = [int(line) for line in (tmp_path / "billed").read_text().split()]
    assert len(billed) == calls
    charged = ONE + (0 if settled else reserved)
    for account in books(journal).values():
        assert (account.usd, account.held_usd) == (charged, 0)
        assert sum(billed) <= account.usd <= nano(0.5)
