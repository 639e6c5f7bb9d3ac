"""README's first screen, word for word: its program is written to a file, its commands are run, and what it shows is what comes."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"


def _first_screen() -> tuple[str, str, list[tuple[str, list[str]]]]:
    """The program's file name and text, and each ``$`` command with the lines that are shown below it."""
    text = README.read_text()
    program = re.search(r'^```python title="([\w.]+)"\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)
    console = re.search(r"^```console\n(\$ .*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert program is not None
    assert console is not None
    commands: list[tuple[str, list[str]]] = []
    for line in console[1].splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            commands[-1][1].append(line)
    return program[1], program[2], commands


def test_the_first_screen_of_readme_happens_as_it_is_shown(tmp_path: Path) -> None:
    name, program, commands = _first_screen()
    (tmp_path / name).write_text(program)
    python = shlex.quote(sys.executable)
    here = {"python": python, "understudy": f"{python} -m understudy"}

    assert len(commands) == 5
    for command, shown in commands:
        word, _, rest = command.partition(" ")
        run = subprocess.run(
            f"{here.get(word, word)} {rest}",
            shell=True,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if shown == ["Killed"]:
            assert run.returncode in {137, -9}, run.stderr
        else:
            assert run.returncode == 0, (command, run.stdout, run.stderr)
            assert run.stdout.splitlines() == shown, (command, run.stdout, run.stderr)
