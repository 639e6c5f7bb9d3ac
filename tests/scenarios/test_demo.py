"""``make demo``: what a newcomer sees first, with its two kills."""

import os
import re
import subprocess
import sys
from pathlib import Path

from examples.incident_desk import demo

ROOT = Path(__file__).parents[2]


def test_the_demo_kills_twice_loses_nothing_and_shows_the_one_doubt_to_a_person(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "examples.incident_desk.demo"],
        cwd=ROOT, env=os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT / "src")},
        capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("kill -9") == 2
    counts = {words: int(number) for number, words in re.findall(r"^ +(\d+)  (\w+(?: \w+)?)", run.stdout, re.MULTILINE)}
    assert (counts["calls"], counts["lost"], counts["dispatched twice"], counts["in doubt"]) == (86, 0, 0, 1)
    assert counts["done"] + counts["waiting for"] == 86
    commands = re.findall(r" (inbox|show|replay) (.*?) +# ", run.stdout)
    assert [name for name, _ in commands] == ["inbox", "show", "replay"]
    for name, words in commands:
        command = [sys.executable, "-m", "understudy", name, *words.split()]
        looked = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert looked.returncode == 0, looked.stderr


def test_the_report_says_so_where_a_dispatch_happened_twice(tmp_path: Path) -> None:
    """The control: a witness that saw one call begin twice."""
    show = demo.Demo(tmp_path, "")
    life = show.begin()
    assert life.wait() == 3
    assert show.report(doubts=0) == 0
    line = next(line for line in show.witness.read_text().splitlines() if "propose_dispatch" in line)
    with show.witness.open("a") as witness:
        witness.write(line + "\n")
    assert show.report(doubts=0) == 1


def test_the_report_says_so_where_a_call_is_lost(tmp_path: Path) -> None:
    """The control: a call that never came into the journal."""
    show = demo.Demo(tmp_path, "")
    assert show.begin().wait() == 3
    show.calls.append("call-999")
    assert show.report(doubts=0) == 1
