"""Each benchmark runs, and prints its number in the common form. What the numbers are, `make bench` says."""

import runpy
import sys
from pathlib import Path

import msgspec
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
FILES = {path.stem: path for path in sorted(FOLDER.glob("[!_]*.py")) if not path.stem.startswith("growth_")}

ROWS = {
    "ask": [3, 3],
    "disk_bytes": [13],
    "durable_inside": [7, 7],
    "durable_one_writer": [8],
    "durable_outside": [6, 6],
    "import_cost": [14, 14],
    "recovery": [11],
    "verify": [15],
}
"""Which rows of the list of targets each file measures."""


def _run(path: Path, *options: str, monkeypatch: pytest.MonkeyPatch) -> object:
    """Run a file as a program, here; returns its exit code. (A process for each would take most of the time that there is.)"""
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    monkeypatch.setattr(sys, "argv", [str(path), *options])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(path), run_name="__main__")
    return left.value.code


def test_every_benchmark_is_known_here() -> None:
    assert sorted(FILES) == sorted(ROWS)


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_benchmark_prints_its_rows(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not _run(FILES[name], "--quick", "--json", "--rounds=1", "--strict", monkeypatch=monkeypatch)
    lines = [msgspec.json.decode(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["row"] for line in lines if line["must"] is not None] == ROWS[name]
    for line in lines:
        assert line["ratio"] > 0
        assert line["what"]
        assert line["against"]
        assert line["verdict"] == "-", "a tiny size must not be judged"
