"""``us.builtin.files``: what is in the folder, and no way out of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

import understudy as us
from understudy.tools.builtin.folders import Jail


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("secret")
    root = tmp_path / "root"
    (root / "notes").mkdir(parents=True)
    (root / "notes" / "may.txt").write_text("Blåbær")
    return root


def tools(root: Path, **options: Any) -> dict[str, Any]:
    return {tool.spec.name: tool for tool in us.builtin.files(root, **options)}


def test_reading_and_listing_are_given_and_writing_only_if_said(place: Path) -> None:
    assert list(tools(place)) == ["files_list", "files_read"]
    assert list(tools(place, write=True, name="notes")) == ["notes_list", "notes_read", "notes_write"]
    effects = [tool.spec.effect for tool in us.builtin.files(place, write=True)]
    assert effects == ["read", "read", "idempotent"]


def test_each_parameter_says_what_it_means(place: Path) -> None:
    for tool in us.builtin.files(place, write=True):
        schema = msgspec.json.decode(tool.spec.parameters)
        assert tool.spec.description
        assert all(parameter.get("description") for parameter in schema["properties"].values())


def test_a_folder_is_listed_and_a_file_is_read(place: Path) -> None:
    given = tools(place)
    (place / "link").symlink_to("notes/may.txt")
    assert [(e.name, e.kind, e.bytes) for e in given["files_list"]().entries] == [
        ("link", "other", 0),
        ("notes", "folder", 0),
    ]
    assert [(e.name, e.kind, e.bytes) for e in given["files_list"]("notes").entries] == [("may.txt", "file", 8)]
    assert given["files_read"]("./notes//may.txt").text == "Blåbær"


def test_a_long_file_is_read_in_parts(place: Path) -> None:
    (place / "long.txt").write_text("å" * 60_000)
    read = tools(place)["files_read"]
    first = read("long.txt")
    assert (len(first.text), first.characters, first.next) == (50_000, 60_000, 50_000)
    rest = read("long.txt", first.next)
    assert (len(rest.text), rest.next) == (10_000, None)


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt", "notes/../../secret.txt", "/etc/passwd", "~/.ssh/id_rsa", "..", "notes/..", "a\0b", "..\\secret.txt",
        "", ".", "a/" * 33 + "b", "out", "out/x", "folder/secret.txt", "notes", "nonesuch", "notes/may.txt/x", "x" * 300,
        "fifo", "socket", "same",
    ],
)  # fmt: skip
def test_no_path_leads_out_or_to_what_is_no_file(place: Path, path: str) -> None:
    (place / "out").symlink_to(place.parent / "secret.txt")
    (place / "folder").symlink_to(place.parent)
    os.mkfifo(place / "fifo")
    os.link(place.parent / "secret.txt", place / "same")
    with socket.socket(socket.AF_UNIX) as door:
        here = Path.cwd()
        os.chdir(place)  # a socket's path is short
        try:
            door.bind("socket")
        finally:
            os.chdir(here)
        with pytest.raises(us.ChangeArguments) as refused:
            tools(place)["files_read"](path)
    assert str(place) not in str(refused.value)


@pytest.mark.parametrize(
    "path", ["../new.txt", "/tmp/new.txt", "folder/new.txt", "out", "notes", "fifo", "made/../../new.txt"]
)
def test_nothing_is_written_outside_or_over_what_is_no_file(place: Path, path: str) -> None:
    (place / "out").symlink_to(place.parent / "secret.txt")
    (place / "folder").symlink_to(place.parent)
    os.mkfifo(place / "fifo")
    before = sorted(found.name for found in place.parent.iterdir())
    with pytest.raises(us.ChangeArguments):
        tools(place, write=True)["files_write"](path, "mine")
    assert sorted(found.name for found in place.parent.iterdir()) == before
    assert (place.parent / "secret.txt").read_text() == "secret"


def test_writing_makes_folders_replaces_as_a_whole_and_leaves_nothing_beside(place: Path) -> None:
    write = tools(place, write=True)["files_write"]
    for content in ("one", "two"):
        assert write("made/deep/a.txt", content).bytes == 3
        assert (place / "made" / "deep" / "a.txt").read_text() == content
    assert [found.name for found in (place / "made" / "deep").iterdir()] == ["a.txt"]


def test_who_could_not_read_a_file_cannot_after_it_was_replaced(place: Path) -> None:
    for mode in (0o600, 0o640, 0o755):
        (place / "own").write_text("before")
        (place / "own").chmod(mode)
        tools(place, write=True)["files_write"]("own", "after")
        assert ((place / "own").stat().st_mode & 0o777, (place / "own").read_text()) == (mode, "after")


def test_a_file_with_another_name_outside_is_replaced_here_and_not_there(place: Path) -> None:
    os.link(place.parent / "secret.txt", place / "same")
    tools(place, write=True)["files_write"]("same", "mine")
    assert ((place / "same").read_text(), (place.parent / "secret.txt").read_text()) == ("mine", "secret")


def test_what_is_too_large_or_no_text_is_refused(place: Path) -> None:
    (place / "large").write_bytes(b"x" * 11)
    (place / "binary").write_bytes(b"\xff\xfe")
    given = tools(place, write=True, most=10)
    for name, why in (("large", "11 bytes, more than 10"), ("binary", "no text")):
        with pytest.raises(us.ChangeArguments, match=why):
            given["files_read"](name)
    with pytest.raises(us.ChangeArguments, match="more than 10"):
        given["files_write"]("new", "x" * 11)
    with pytest.raises(us.ChangeArguments, match="half a character"):
        given["files_write"]("new", "\ud800")


def test_a_link_that_is_made_in_the_middle_leads_nowhere(place: Path) -> None:
    """Somebody swaps a folder for a link to the outside and back, as fast as they can."""
    (place.parent / "may.txt").write_text("outside")
    jail, over = Jail(place, 1_000), threading.Event()
    spare, inner, link = place / "spare", place / "notes", place.parent / "link"

    def swap() -> None:
        while not over.is_set():
            for step in (
                lambda: inner.rename(spare),
                lambda: link.symlink_to(place.parent),
                lambda: link.rename(inner),
                inner.unlink,
                lambda: shutil.rmtree(inner),  # writing makes folders that are not there
                lambda: spare.rename(inner),
            ):
                with contextlib.suppress(OSError):
                    step()

    swapping = threading.Thread(target=swap)
    swapping.start()
    refused = 0
    try:
        for _ in range(3_000):
            try:
                assert jail.read("notes/may.txt") == "Blåbær"
            except us.ChangeArguments:
                refused += 1
            try:
                jail.write("notes/new.txt", "inside")
            except us.ChangeArguments:
                refused += 1
    finally:
        over.set()
        swapping.join()
    assert refused
    assert not (place.parent / "new.txt").exists()


def test_a_folder_that_is_not_there_is_refused_when_the_tools_are_made(tmp_path: Path) -> None:
    with pytest.raises(us.DefinitionError, match="no such folder"):
        us.builtin.files(tmp_path / "nonesuch")
