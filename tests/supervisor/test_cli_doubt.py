"""A call that may not run twice is in doubt as soon as its process is dead, and a person can settle it then."""

from __future__ import annotations

import pytest

from tests.supervisor.cli import Desk


@pytest.fixture
def killed(desk: Desk) -> str:
    """A journal whose owner was killed inside of a call that may not run twice, and that nobody took over; the call's id."""
    with desk.held("run", "team:clerk", "send", "--id", "send") as (process, _):
        assert desk.json("inbox") == []
        assert [line["status"] for line in desk.json("runs")] == ["unfinished"]
        process.kill()
        process.wait()
    (item,) = desk.json("inbox")
    assert item["kind"] == "in_doubt"
    id: str = item["id"]
    return id


def test_a_call_is_in_doubt_from_the_moment_its_process_died(desk: Desk, killed: str) -> None:
    (line,) = desk.json("runs")
    assert (line["status"], line["waiting"][0]["id"]) == ("waiting", killed)
    told = desk.json("show", "send")
    assert (told["status"], told["waiting"][0]["id"]) == ("waiting", killed)
    assert told["lines"][-2]["text"] == 'send(to="ada") is in doubt'


@pytest.mark.parametrize(
    ("answer", "seen"),
    [(["--happened", "--result", "sent"], 1), (["--not-happened"], 1), (["--run-again"], 2)],
)
def test_a_doubt_is_settled_before_anybody_starts_the_team_again(
    desk: Desk, killed: str, answer: list[str], seen: int
) -> None:
    assert desk.run("settle", killed, *answer, "--by", "eve").returncode == 0
    assert desk.json("inbox") == []
    assert desk.run("settle", killed, *answer).returncode == 2
    assert desk.json("run", "team:clerk")["runs"][0]["output"] == "It is sent."
    assert desk.seen == ["send"] * seen
    texts = [line["text"] for line in desk.json("show", "send")["lines"]]
    doubted = texts.index('send(to="ada") is in doubt')
    assert doubted < next(n for n, text in enumerate(texts) if text.startswith(f"eve answers {killed}"))
    assert texts.count('send(to="ada") is in doubt') == 1
    done = desk.run("replay", "send")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
