"""What a soak says of itself."""

from __future__ import annotations

import pytest

from tests import soak


def test_a_soak_is_never_less_than_ci_and_grows_with_its_factor() -> None:
    for name, proof in soak.PROOFS.items():
        assert soak.count(name, 0.0) == soak.count(name, 0.000_001) == proof.ci
        assert soak.count(name, 1.0) == proof.soak > proof.ci
        assert soak.count(name, 2.0) == 2 * proof.soak


def test_its_plan_says_what_is_run_and_about_how_long() -> None:
    first, *lines = soak.plan(0.1)
    assert "about " in first
    assert len(lines) == len(soak.PROOFS)
    assert lines[0] == "     10,000 images of lost power, about 70 s"


@pytest.mark.parametrize("text", ["yes", "-1", "nan", "1e9"])
def test_what_is_no_factor_is_refused(text: str) -> None:
    with pytest.raises(SystemExit, match="is no factor"):
        soak._factor(text)


def test_progress_is_told_every_minute_with_what_is_left() -> None:
    now, told = 0.0, list[str]()
    progress = soak.Progress("seeds", 1_000, tell=told.append, clock=lambda: now)
    for second in range(0, 130, 10):
        now = float(second)
        progress.step(50)
    assert told == [
        "350 of 1,000 seeds of the bank, about 111 s left".replace("111 s", "2 min"),
        "650 of 1,000 seeds of the bank, about 65 s left",
    ]
