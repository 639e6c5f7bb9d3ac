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
    _, *books = map(json.loads, first.stdout.splitlines())
    left = books[-1]
    found, *said, end = second.stdout.splitlines()
    if case in ("probe", "doubt"):  # it took its place after that, and the next life gives that back
        assert json.loads(found)["breaker/look"].get("probe")
    elif case == "yes":
        one = json.loads(found)["breaker/look"]
        assert one.get("allowed") or one.get("probe")  # it may have begun by now
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


def test_a_probe_that_may_not_run_twice_is_in_doubt_and_another_call_closes_the_breaker(tmp_path: Path) -> None:
    """The killed call does not go on by itself, so its place must have been given back."""
    _, said, end = lives(tmp_path, "doubt")
    assert said == ["more 0", "more 1", "more 2"]
    assert end == {}
    assert World(tmp_path).count("ran", "look") == 3 + 1 + 3


def test_a_question_before_a_probe_is_there_in_the_next_life_and_its_yes_lets_that_call_try(tmp_path: Path) -> None:
    left, said, end = lives(tmp_path, "asked")
    assert left["breaker/look"]["item"]
    assert said == ["probe", "more 0", "more 1", "more 2"]
    assert end == {}
    assert World(tmp_path).count("ran", "look") == 3 + 4


def test_a_yes_that_was_said_before_the_end_counts_after_it(tmp_path: Path) -> None:
    _, said, end = lives(tmp_path, "yes")
    assert said == ["probe", "more 0", "more 1", "more 2"]
    assert end == {}
    assert World(tmp_path).count("ran", "look") == 3 + 4


def test_what_a_person_took_out_of_service_is_so_in_the_next_life(tmp_path: Path) -> None:
    left, said, end = lives(tmp_path, "hand")
    assert (left["breaker/look"]["by"], left["breaker/look"]["endless"]) == ("ada", True)
    assert said == ["circuit_open"] * 3
    assert end == left
    assert World(tmp_path).count("ran", "look") == 3
