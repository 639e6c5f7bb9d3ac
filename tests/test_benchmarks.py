"""Each benchmark runs and prints its number in the common form. What the numbers are, `make bench` says."""

import runpy
import sys
from pathlib import Path

import _flush
import msgspec
import pytest
from _bank import ACCOUNTS, Deposit
from _grow import bend
from _measure import Line, Options, race

import understudy as us

FOLDER = Path(__file__).parents[1] / "benchmarks"
FILES = {path.stem: path for path in sorted(FOLDER.glob("[!_]*.py"))}

ROWS = {
    "ask": [3, 3],
    "disk_bytes": [13],
    "durable_inside": [7, 7],
    "durable_one_writer": [8],
    "durable_outside": [6, 6],
    "idle_bytes": [5],
    "import_cost": [14, 14],
    "peers": [],
    "recovery": [11],
    "ring": [2],
    "spawn": [4],
    "start": [12],
    "tell_burst": [1],
    "verify": [15],
    "gate": [16],
}
"""Which rows of the list of targets each file measures."""

GROWTH = ["growth_actors", "growth_rows", "growth_runs"]


def _run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a file as a program, here. (A process for each would take most of the time that there is.)"""
    options = ["--quick", "--json", "--rounds=1"]
    monkeypatch.setattr(sys, "argv", [str(FILES[name]), *options])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(FILES[name]), run_name="__main__")
    assert not left.value.code


def test_every_benchmark_is_known_here() -> None:
    assert sorted(FILES) == sorted([*ROWS, *GROWTH])


@pytest.mark.parametrize("name", ROWS)
def test_a_benchmark_prints_its_rows(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(name, monkeypatch)
    lines = [msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["row"] for line in lines if line["must"] is not None] == ROWS[name]
    for line in lines:
        assert line["ratio"] > 0 or line["row"] == 5  # a thousand actors can fit into pages that were there before
        assert line["what"]
        assert line["against"]
        assert line["verdict"] == "-", "a tiny size must not be judged"


@pytest.mark.parametrize("name", GROWTH)
def test_a_growth_curve_prints_its_points(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(name, monkeypatch)
    points = [msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines()]
    assert [point["size"] for point in points] == sorted({point["size"] for point in points})
    assert all(cost is None or cost > 0 for point in points for cost in point["costs"].values())


# --- The form itself ---------------------------------------------------------------------------------------------------------------


def _line(ratio: float, low: float, high: float, *, less: bool = False, judged: bool = True) -> Line:
    must, aim = (1.5, 1.2) if less else (0.5, 0.8)
    return Line(0, "it", "a peer", 1.0, 1.0, "/s", ratio, low, high, 9, must, aim, less=less, judged=judged)


def test_a_verdict_says_which_target_the_median_reaches() -> None:
    assert _line(0.9, 0.8, 1.0).verdict == "aim"
    assert _line(0.6, 0.5, 0.7).verdict == "must"
    assert _line(0.4, 0.3, 0.45).verdict == "MISSED"
    assert _line(1.1, 1.0, 1.3, less=True).verdict == "aim"
    assert _line(1.4, 1.3, 1.6, less=True).verdict == "must"
    assert _line(1.7, 1.6, 1.8, less=True).verdict == "MISSED"


def test_a_miss_within_the_noise_is_called_near() -> None:
    assert _line(0.48, 0.40, 0.55).verdict == "near"
    assert _line(1.55, 1.45, 1.7, less=True).verdict == "near"


def test_what_is_not_judged_has_no_verdict() -> None:
    assert _line(0.1, 0.1, 0.1, judged=False).verdict == "-"


async def test_a_race_takes_its_ratios_round_by_round_and_forgets_the_first() -> None:
    ours, peer = iter([90.0, 2.0, 4.0, 2.0]), iter([1.0, 1.0, 4.0, 1.0])  # a slow second round, on both sides

    async def mine() -> float:
        return next(ours)

    async def theirs() -> float:
        return next(peer)

    times = await race(mine, theirs, 3)
    line = times.rate(0, "it", "a peer", 10, must=0.4, aim=0.6, options=Options())
    assert (line.ratio, line.ours, line.peer) == (0.5, 5.0, 10.0)


def test_a_cost_bends_where_it_leaves_the_least_before_it() -> None:
    assert bend([(1, 9.0), (10, 2.0), (100, 2.5), (1_000, 3.5), (10_000, 9.0)]) == (1_000, 1.75)
    assert bend([(1, 9.0), (10, 2.0), (100, 2.9)]) is None


async def test_the_delay_hits_every_commit_and_every_flush_of_the_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    with _flush.flushes() as flush:
        async with us.System(ACCOUNTS, journal=tmp_path / "a.db") as system:
            await system.tell("accounts/ada", Deposit(1))
            flush.delay, flush.commits, flush.files = 0.002, 0, 0
            await system.tell("accounts/ada", Deposit(1))
            assert (flush.commits, flush.files, slept) == (1, 1, [0.002, 0.002])
            flush.delay = 0.0


async def test_a_way_past_the_delay_is_an_error(tmp_path: Path) -> None:
    with _flush.flushes():
        connection = _flush.driver().connect(str(tmp_path / "a.db"))
        with pytest.raises(AttributeError, match="teach"):
            connection.commit()
        connection.close()
