"""What is in the tree is what gets installed."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

import understudy

ROOT = Path(__file__).parents[1]
FLOORS = ("actors", "protocols", "supervisor", "tools")


def _setuptools() -> dict[str, Any]:
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    return settings


def _sources() -> dict[str, Path]:
    """Path inside the wheel -> file in the tree, for everything that belongs to the library."""
    face = ROOT / "src" / "understudy"
    found = {f"understudy/{path.name}": path for path in face.iterdir() if path.is_file()}
    for floor in FLOORS:
        for folder, _, names in os.walk(ROOT / floor):
            if not folder.endswith("__pycache__"):
                paths = (Path(folder, name) for name in names)
                found |= {f"understudy/{path.relative_to(ROOT).as_posix()}": path for path in paths}
    return found


def test_each_floor_is_linked_into_the_face_for_type_checkers_and_editors() -> None:
    links = {path.name: str(path.readlink()) for path in (ROOT / "src" / "understudy").iterdir() if path.is_symlink()}
    assert links == {floor: f"../../{floor}" for floor in FLOORS}


def test_the_folders_are_mapped_under_the_one_name() -> None:
    expected = {"understudy": "src/understudy"} | {f"understudy.{floor}": floor for floor in FLOORS}
    assert _setuptools()["package-dir"] == expected


def test_pyproject_lists_each_package_of_the_tree() -> None:
    packages = {name.rpartition("/")[0].replace("/", ".") for name in _sources() if name.endswith(".py")}
    listed = _setuptools()["packages"]
    assert sorted(listed) == sorted(packages), "[tool.setuptools] packages in pyproject.toml and the folders differ"


def test_each_package_says_what_it_is_for() -> None:
    silent = [
        package
        for package in _setuptools()["packages"]
        if not _sources()[f"{package.replace('.', '/')}/__init__.py"].read_text().lstrip().startswith('"""')
    ]
    assert silent == []


def test_the_dependencies_are_the_five() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [line.split(">")[0] for line in project["dependencies"]]
    assert sorted(names) == ["aiosqlite", "anyio", "msgspec", "pysqlite3", "structlog"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a wheel made from the sdist made from the tree holds: name -> content."""
    folder = tmp_path_factory.mktemp("dist")
    tree = folder / "tree"  # a copy, because setuptools leaves `build/` and an egg-info where it works
    tree.mkdir()
    for name in ("LICENSE", "README.md", "pyproject.toml"):
        shutil.copy2(ROOT / name, tree)
    left_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("src", *FLOORS):
        shutil.copytree(ROOT / name, tree / name, symlinks=True, ignore=left_out)
    _python("-c", "from setuptools.build_meta import build_sdist; build_sdist('..')", cwd=tree)
    (sdist,) = folder.glob("*.tar.gz")
    _python("-m", "pip", "wheel", "--no-deps", "--no-build-isolation", str(sdist), cwd=folder)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _python(*arguments: str, cwd: Path) -> None:
    command = [sys.executable, *arguments]
    run = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert run.returncode == 0, run.stdout


def test_the_wheel_holds_each_file_of_the_library_and_nothing_else(installed: dict[str, bytes]) -> None:
    library = {name: content for name, content in installed.items() if ".dist-info/" not in name}
    assert sorted(library) == sorted(_sources())
    assert library == {name: path.read_bytes() for name, path in _sources().items()}


def test_the_wheel_installs_under_one_name_and_brings_the_command(installed: dict[str, bytes]) -> None:
    described = {name.partition(".dist-info/")[2]: content.decode() for name, content in installed.items()}
    assert described["top_level.txt"].split() == ["understudy"]
    assert described["entry_points.txt"].splitlines() == [
        "[console_scripts]",
        "understudy = understudy.__main__:main",
    ]
    assert f"Version: {understudy.__version__}\n" in described["METADATA"]
    assert "licenses/LICENSE" in described
