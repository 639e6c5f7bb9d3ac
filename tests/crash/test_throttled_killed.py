"""SIGKILL beside a half-used rate, an open breaker and a probe under way: the next life finds the gate's books as they were."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from tests.crash.programs.world import World
from tests.crash.test_resume import life


def lives(folder: Path, case: str) -> tuple[dict[str, Any], list[str], dict[str, Any]]:
    """Books as the first life left them, what the second said of its calls, and the books at its end. What the second found is what
    the first left."""
    first = life("throttled", str(folder), case)
    assert first.returncode == -signal.SIGKILL, first.stderr
    second = life("throttled", str(folder), "on", case)
    assert second.returncode == -signal.SIGKILL, second.stderr
    _, left = map(json.loads, first.stdout.splitlines())
    found, *said, end = second.stdout.splitlines()
    if case == "probe":  # it took its place after that, and the next life gives that back
        assert json.loads(found)["breaker/look"].get("probe")
    else:
        assert json.loads(found) == left
    return left, said, json.loads(end)


def test_a_half_used_window_is_half_used_in_the_next_life(tmp_path: Path) -> None:
    left, said, _ = lives(tmp_path, "half")
    assert sum(slot[1] for slot in left["rate/look"]["spent"]) == 3
    assert said == ["more 0", "rate_limited", "rate_limited"]
    assert World(tmp_path).count("ran", "look") == 4


def test_an_open_breaker_is_open_in_the_next_life(tmp_path: Path) -> None:
    left, said, end = lives(tmp_path, "open")
    assert left["breaker/look"]["until"] > 0
    assert said == ["circuit_open"] * 3
    assert end == left
    assert World(tmp_path).count("ran", "look") == 3


def test_a_probe_that_was_killed_gives_its_place_back_and_one_after_it_closes_the_breaker(tmp_path: Path) -> None:
    _, said, end = lives(tmp_path, "probe")
    assert said == ["probe", "more 0", "more 1", "more 2"]
    assert end == {}
    assert World(tmp_path).count("ran", "look") == 3 + 2 + 3
