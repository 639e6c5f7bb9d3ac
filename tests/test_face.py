"""The face is a table of contents."""

import ast
import itertools
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Literal, cast, get_origin

import pytest

import understudy

FACE = Path(understudy.__file__)
HOME = cast(dict[str, str], vars(understudy)["_HOME"])  # type checkers are shown the imports, not the table


def _imports_for_type_checkers() -> dict[str, str]:
    """Public name -> module, from the face's `if TYPE_CHECKING:` block."""
    found: dict[str, str] = {}
    for statement in _branches().body:
        assert isinstance(statement, ast.ImportFrom), f"line {statement.lineno}: only imports stand here"
        assert statement.level == 1, f"line {statement.lineno}: the face imports its own floors only"
        for alias in statement.names:
            assert alias.asname == alias.name, f"line {statement.lineno}: `as {alias.name}` re-exports"
            found[alias.name] = statement.module or ""
    return found


def _branches() -> ast.If:
    (branches,) = (node for node in ast.parse(FACE.read_text()).body if isinstance(node, ast.If))
    return branches


def test_type_checkers_and_python_are_shown_the_same_names() -> None:
    assert _imports_for_type_checkers() == HOME


def test_all_lists_each_public_name_once() -> None:
    exported = cast(list[str], vars(understudy)["__all__"])
    assert sorted(exported) == sorted(HOME)
    assert len(exported) == len(set(exported))


@pytest.mark.parametrize("name", sorted(HOME))
def test_each_name_is_the_one_its_module_holds(name: str) -> None:
    assert getattr(understudy, name) is getattr(import_module(f"understudy.{HOME[name]}"), name)
    assert name in dir(understudy)


def test_each_public_name_says_what_it_is() -> None:
    undocumented = [name for name in HOME if not _said_of(name).strip()]
    assert undocumented == []


def _said_of(name: str) -> str:
    """A docstring; that of a ``Literal``, which can hold none, stands below it in its module."""
    if get_origin(getattr(understudy, name)) is not Literal:
        return getattr(understudy, name).__doc__ or ""
    body = ast.parse(Path(import_module(f"understudy.{HOME[name]}").__file__ or "").read_text()).body
    for this, below in itertools.pairwise(body):
        if isinstance(this, ast.Assign) and isinstance(below, ast.Expr) and ast.unparse(this.targets[0]) == name:
            return str(ast.literal_eval(below.value))
    return ""


def test_a_name_that_is_not_there_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="module 'understudy' has no attribute 'nonesuch'"):
        getattr(understudy, "nonesuch")  # noqa: B009 - a checker would refuse the plain form


def test_the_face_holds_no_logic() -> None:
    top = [type(node).__name__ for node in ast.parse(FACE.read_text()).body]
    assert top == ["Expr", "ImportFrom", "Assign", "If"], "docstring, TYPE_CHECKING, __version__, the table"
    hidden = [type(node).__name__ for node in _branches().orelse]
    assert hidden == ["Assign", "Assign", "FunctionDef", "FunctionDef"], "_HOME, __all__, __getattr__, __dir__"


def _imported_by(program: str) -> set[str]:
    """Top-level modules that the program imports in a fresh interpreter, beyond those it starts with."""
    shown = f"import sys; before = set(sys.modules); {program}; print(*(set(sys.modules) - before))"
    run = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in run.stdout.split()}


def test_importing_the_face_imports_nothing_heavy() -> None:
    imported = _imported_by("import understudy")
    assert imported - sys.stdlib_module_names == {"understudy"}
    assert imported.isdisjoint(
        {"asyncio", "email", "http", "importlib.metadata", "inspect", "logging", "sqlite3", "ssl"}
    )


def test_using_each_public_name_imports_no_extra() -> None:
    imported = _imported_by("import understudy as us; [getattr(us, name) for name in us.__all__]")
    assert imported.isdisjoint(
        {"anthropic", "click", "genai_prices", "httpx2", "mcp", "openai", "pydantic", "rich", "trio"}
    )


def test_the_command_line_without_its_extra_names_the_line_to_install_it() -> None:
    program = (
        "import sys, importlib.util as util; found = util.find_spec;"
        "util.find_spec = lambda name, *rest: None if name in ('click', 'rich') else found(name, *rest);"
        "from understudy.__main__ import main; sys.exit(main())"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "The command line needs click and rich: pip install 'understudy[cli]'\n"
