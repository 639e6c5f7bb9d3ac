"""What the documentation shows is true: each Python snippet runs, each link leads somewhere.

The snippets of a page run in order, as one program, in a folder of their own and in a fresh process. Around them:

* a fence such as ```` ```python title="desk.py" ```` is first written to that file, for an import that follows;
* `tests/docs/PAGE.py`, where there is one, runs before the page's first snippet: it stands a scripted model in for
  the network, or a function in for the reader's own.

Every snippet runs; there is no way to leave one out.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted({ROOT / "README.md", *(ROOT / "docs").rglob("*.md")})
FENCE = re.compile(r"^( *)```python\b([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r'title="([\w./-]+)"')
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")

pages = pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES])


def _program(page: Path, folder: Path) -> str:
    """The page's snippets as one program; each line stays at its number, so that tracebacks name the page's."""
    text = page.read_text()
    program = ""
    for fence in FENCE.finditer(text):
        indent, info, code = fence.groups()
        code = re.sub(rf"^{indent}", "", code, flags=re.MULTILINE)
        if title := TITLE.search(info):
            (folder / title[1]).parent.mkdir(parents=True, exist_ok=True)
            (folder / title[1]).write_text(code)
        program += "\n" * (text.count("\n", 0, fence.start(3)) - program.count("\n")) + code
    return program


@pages
def test_the_snippets_of_a_page_run(page: Path, tmp_path: Path) -> None:
    program = _program(page, tmp_path)
    if not program:
        return
    before = ROOT / "tests" / "docs" / f"{page.stem}.py"
    sources = [(before.read_text(), before)] if before.exists() else []
    sources.append((program, page))
    steps = [f"exec(compile({source!r}, {str(path)!r}, 'exec'), names)" for source, path in sources]
    runner = tmp_path / "run_page.py"
    runner.write_text("\n".join(["names = {'__name__': '__main__'}", *steps]))
    run = subprocess.run(
        [sys.executable, runner], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pages
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    dead = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert dead == []
