"""The table of defaults in docs/limits.md says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import understudy as us
from understudy.tools.checks.breaker import BREAKER
from understudy.tools.checks.rate import WAIT
from understudy.tools.gate import MODEL_RETRY

PAGE = Path(__file__).parents[2] / "docs" / "limits.md"
RATE = us.Rate(requests=1)
ROWS = {
    "`Rate.per`": [RATE.per],
    "`Rate.wait`": [RATE.wait],
    **{f"`Breaker.{name}`": [getattr(us.Breaker(), name)] for name in ("failures", "ratio", "per", "cooldown", "longest", "wait")},
    "`Breaker.slow`": [],
    "`Retry.attempts`": [us.Retry().attempts, MODEL_RETRY.attempts],
    "`Retry.base`": [us.Retry().base, MODEL_RETRY.base],
    "`Retry.cap`": [us.Retry().cap],
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_the_table_says_what_the_code_says(name: str) -> None:
    (row,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| {name} |")]
    said = row.split("|")[2]
    assert [float(number) for number in re.findall(r"[\d.]+", said)] == ROWS[name]


def test_what_nobody_declared_is_as_the_table_says() -> None:
    assert us.Breaker() == BREAKER
    assert us.Breaker().slow is None
    assert MODEL_RETRY.cap == us.Retry().cap
    assert RATE.wait == WAIT
