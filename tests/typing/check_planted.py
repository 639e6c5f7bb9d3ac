"""Proves that the checkers look: errors planted in every folder must each be reported.

A type checker with the wrong paths checks nothing and says success. So this makes a small copy of the tree (the
project's own configuration, face, links and `__init__` files), plants a module with known errors in each folder, runs
mypy, pyright and import-linter on it as `make check` does, and fails unless each error is found where it stands.

    python tests/typing/check_planted.py
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
TEMPLATES = Path(__file__).parent / "planted"
FLOORS = ("protocols", "actors", "tools", "supervisor")
OUTSIDE = ("tests", "examples", "benchmarks")

# Where each template goes.
PLANTS = {
    "protocols": "protocols.py.txt",
    "actors": "floor.py.txt",
    "tools": "floor.py.txt",
    "supervisor": "floor.py.txt",
    "src/understudy": "outside.py.txt",
    **dict.fromkeys(OUTSIDE, "outside.py.txt"),
}

BREACHES = ("understudy.protocols.planted -> time", "understudy.tools.planted -> understudy.actors.planted")

Found = set[tuple[str, str, int, str]]  # checker, file, line, rule


def _plant(tree: Path) -> Found:
    """Lay the small copy out in `tree`; return what must be found in it."""
    shutil.copy2(ROOT / "pyproject.toml", tree)
    left_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", tree / "src", symlinks=True, ignore=left_out)
    for folder in (*FLOORS, *OUTSIDE):
        (tree / folder).mkdir()
        if (ROOT / folder / "__init__.py").exists():
            shutil.copy2(ROOT / folder / "__init__.py", tree / folder)
    expected: Found = set()
    for folder, template in PLANTS.items():
        text = (TEMPLATES / template).read_text()
        (tree / folder / "planted.py").write_text(text)
        for number, line in enumerate(text.splitlines(), 1):
            for checker, rule in re.findall(r"(mypy|pyright): ([\w-]+)", line):
                expected.add((checker, f"{folder}/planted.py", number, rule))
    return expected


def _same_file(name: str) -> str:
    """mypy reaches the floors through the links in src/understudy: name the file by its own folder."""
    return re.sub(rf"^src/understudy/({'|'.join(FLOORS)})/", r"\1/", name)


def _mypy(tree: Path) -> tuple[Found, str]:
    run = _run(tree, str(BIN / "mypy"), "--cache-dir", os.devnull, "--no-pretty", "--no-error-summary")
    lines = re.findall(r"^(\S+?):(\d+): error: .*\[([\w-]+)\]$", run, re.MULTILINE)
    return {("mypy", _same_file(file), int(line), rule) for file, line, rule in lines}, run


def _pyright(tree: Path) -> tuple[Found, str]:
    run = _run(tree, str(BIN / "pyright"), "--pythonpath", sys.executable, "--outputjson")
    reports = json.loads(run)["generalDiagnostics"]
    return {
        ("pyright", _same_file(os.path.relpath(it["file"], tree)), it["range"]["start"]["line"] + 1, it.get("rule", ""))
        for it in reports
        if it["severity"] == "error"
    }, run


def _run(tree: Path, *command: str) -> str:
    # PYTHONPATH, so that import-linter sees the copy and not the installed library.
    env = {**os.environ, "PYTHONPATH": str(tree / "src"), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1", "COLUMNS": "200"}
    return subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, check=False).stdout


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder).resolve()
        expected = _plant(tree)
        found: Found = set()
        said: dict[str, str] = {}
        for check in (_mypy, _pyright):
            errors, said[check.__name__] = check(tree)
            found |= errors
        missed = [f"{file}:{line}: {checker} did not report {rule}" for checker, file, line, rule in expected - found]
        (tree / "tools" / "planted.py").write_text("from ..actors import planted\n")
        floors = said["import-linter"] = _run(tree, str(BIN / "lint-imports"), "--no-cache")
        missed += [f"import-linter did not report {breach}" for breach in BREACHES if breach not in floors]
    if missed:
        print(*said.values(), *sorted(missed), sep="\n", file=sys.stderr)
        return 1
    print(f"{len(expected) + len(BREACHES)} errors planted in {len(PLANTS)} folders, each one reported.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
