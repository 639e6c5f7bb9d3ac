"""Run all benchmarks, or those that are named, and print one table: the number's row, what it is, ratio, must, aim, verdict.

    python benchmarks                       all of them (what `make bench` runs)
    python benchmarks recovery verify       some
    python benchmarks --json                one JSON object for each line, nothing else on standard output
    python benchmarks --quick               a tiny size, to see that they run

Each file runs in a process of its own, one after the other. Exit codes: 0 all were measured, whatever came of it; 1 a
must was missed by more than the noise (only with --strict), or a benchmark failed; 2 wrong use.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
from _measure import Line, arguments, missed, report, table

FOLDER = Path(__file__).parent


def files() -> dict[str, Path]:
    """The benchmarks that have a target, by name. Growth curves are run by themselves."""
    return {path.stem: path for path in sorted(FOLDER.glob("[!_]*.py")) if not path.stem.startswith("growth_")}


def run(path: Path, options: list[str], lines: list[Line]) -> bool:
    """One file, whose lines are appended as they come; false if it failed."""
    command = [sys.executable, str(path), "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for text in process.stdout:
            lines.append(msgspec.json.decode(text, type=Line))
            print(table(lines[-1:]).splitlines()[1], file=sys.stderr)
    return process.returncode == 0


def main() -> int:
    """See above."""
    parser = arguments(__doc__ or "")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(files())}")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in files()]:
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(files())}")
    options = [f"--{name}" for name in ("quick", "full") if getattr(given, name)]
    options += [f"--rounds={given.rounds}"] if given.rounds else []
    options += [f"--folder={given.folder}"] if given.folder else []
    lines: list[Line] = []
    failed = [name for name in given.names or files() if not run(files()[name], options, lines)]
    lines.sort(key=lambda line: line.row)
    if given.json:
        for line in lines:
            print(msgspec.json.encode(report(line)).decode())
    else:
        print(table(lines))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed) or (given.strict and missed(lines)))


if __name__ == "__main__":
    sys.exit(main())
