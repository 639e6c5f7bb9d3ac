"""``us.builtin.files``: one folder, and no way out of it.

A path is walked name by name, each opened relative to the one before and never through a link (``openat`` with ``O_NOFOLLOW``), so a
link that is made in the middle of a call leads nowhere either. Only regular files with one name are read.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from ...protocols.errors import Abandon, ChangeArguments, DefinitionError, Failed, RetryLater
from ..declaring import tool
from ..tool import Tool

DEEPEST = 32
"""Folders inside each other that a path may name."""

AT_ONCE = 50_000
"""Characters that one read gives."""

LISTED = 1_000
"""Entries that one listing gives."""

FilePath = Annotated[
    str,
    Meta(description="Path relative to the folder, such as reports/may.txt. No .., no leading /.", max_length=1_000),
]
FolderPath = Annotated[
    str, Meta(description="Path of a folder, relative. If missing: the folder itself.", max_length=1_000)
]
Start = Annotated[int, Meta(description="Character to begin at, from 0. If missing: the beginning.", ge=0)]
Content = Annotated[str, Meta(description="The whole new content of the file; what it held before is gone.")]


class Text(Struct, frozen=True):
    """Text of a file.

    Attributes:
        text: from ``start`` on, 50,000 characters at most.
        characters: of the whole file.
        next: where to go on reading; None where this was the end.
    """

    text: str
    characters: int
    next: int | None


class Entry(Struct, frozen=True):
    """What stands in a folder.

    Attributes:
        name: its name.
        kind: ``file``, ``folder`` or ``other`` (links, devices and the like, which cannot be opened).
        bytes: a file's size.
    """

    name: str
    kind: str
    bytes: int


class Listing(Struct, frozen=True):
    """What is in a folder, by name.

    Attributes:
        entries: 1,000 at most.
        more: there are more.
    """

    entries: list[Entry]
    more: bool


class Written(Struct, frozen=True):
    """A file that was written.

    Attributes:
        bytes: its size now.
    """

    bytes: int


def files(
    root: str | os.PathLike[str],
    *,
    write: bool = False,
    most: int = 1_000_000,
    name: str = "files",
    private: bool = True,
    trusted: bool = False,
) -> tuple[Tool[..., Any], ...]:
    """Tools ``files_list`` and ``files_read`` for one folder, and ``files_write`` if it may be written.

    ``files_write`` is ``idempotent``: the file is replaced as a whole, in one step, so doing it again after a crash comes to the same. Who
    else writes the same file in between is overwritten.

    Args:
        root: the folder. It must be there.
        write: also give ``files_write``.
        most: bytes that a file may have, to be read or written.
        name: what the tools' names begin with, for more than one folder.
        private: what stands there is nobody else's business.
        trusted: nobody but those who are trusted writes there. Not where agents or strangers do.

    Raises:
        DefinitionError: there is no such folder, or this system cannot open files without following links.
    """
    folder = Path(root).absolute()
    if not folder.is_dir():
        raise DefinitionError(f"files({str(root)!r}): there is no such folder", hint="make it first")
    if os.open not in os.supports_dir_fd or not hasattr(os, "O_NOFOLLOW"):
        raise DefinitionError(
            "files() needs a system that opens files relative to a folder and without following links"
        )
    if most < 1:
        raise DefinitionError(f"files(most={most})", hint="bytes, above 0")
    jail = Jail(folder.resolve(), most)

    @tool(effect="read", name=f"{name}_list", kind="read", private=private, trusted=trusted)
    def listed(path: FolderPath = ".") -> Listing:
        """The files and folders in a folder, with sizes, by name."""
        return jail.listing(path)

    @tool(effect="read", name=f"{name}_read", kind="read", private=private, trusted=trusted)
    def read(path: FilePath, start: Start = 0) -> Text:
        """Read a text file (UTF-8), 50,000 characters at a time; `next` says where to go on."""
        text = jail.read(path)
        end = start + AT_ONCE
        return Text(text[start:end], len(text), end if end < len(text) else None)

    if not write:
        return (listed, read)

    @tool(effect="idempotent", name=f"{name}_write", kind="write", sinks=["path"], payload=["content"], trusted=True)
    def written(path: FilePath, content: Content) -> Written:
        """Write a text file as a whole (UTF-8); folders on its path are made. To change a part, read it first."""
        return Written(jail.write(path, content))

    return (listed, read, written)


class Jail:
    """A folder out of which no path leads."""

    def __init__(self, root: Path, most: int) -> None:
        self.root, self.most = root, most

    def listing(self, path: str) -> Listing:
        """What is in a folder."""
        with _refusing(path), self._folder(_parts(path, empty=True)) as folder, os.scandir(folder) as found:
            entries = list[Entry]()
            for number, entry in enumerate(found):
                if number >= 20 * LISTED:
                    break
                shown = os.fsencode(entry.name).decode("utf-8", "replace")
                with contextlib.suppress(FileNotFoundError):  # gone meanwhile
                    entries.append(_entry(shown, entry.stat(follow_symlinks=False)))
            entries.sort(key=lambda entry: entry.name)
            return Listing(entries[:LISTED], len(entries) > LISTED)

    def read(self, path: str) -> str:
        """The text of a file."""
        *folders, name = _parts(path)
        with _refusing(path), self._folder(folders) as folder:
            _regular(
                path, os.stat(name, dir_fd=folder, follow_symlinks=False), self.most
            )  # a device is not even opened
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
            file = os.open(name, flags, dir_fd=folder)
            with open(file, "rb") as opened:  # noqa: PTH123 - a descriptor
                _regular(path, os.fstat(file), self.most)
                data = opened.read(self.most + 1)
        if len(data) > self.most:
            raise _too_large(path, len(data), self.most)
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise ChangeArguments(f"{path!r} is no text (UTF-8)", hint="read another file") from error

    def write(self, path: str, content: str) -> int:
        """Replace a file by this content; gives its bytes."""
        try:
            data = content.encode()
        except UnicodeEncodeError as error:
            raise ChangeArguments("the content has half a character in it (a lone surrogate)") from error
        if len(data) > self.most:
            raise _too_large(path, len(data), self.most)
        *folders, name = _parts(path)
        with _refusing(path), self._folder(folders, make=True) as folder:
            mode: int | None = None
            with contextlib.suppress(FileNotFoundError):
                before = os.stat(name, dir_fd=folder, follow_symlinks=False)
                _regular(path, before, None)
                mode = before.st_mode & 0o777
            beside = f".{secrets.token_hex(8)}.part"
            file = os.open(
                beside,
                os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
                0o644 if mode is None else 0o600,
                dir_fd=folder,
            )
            try:
                with open(file, "wb") as opened:  # noqa: PTH123 - a descriptor
                    if mode is not None:  # who could not read it before cannot read it after
                        os.fchmod(file, mode)
                    opened.write(data)
                    opened.flush()
                    os.fsync(file)
                os.replace(
                    beside, name, src_dir_fd=folder, dst_dir_fd=folder
                )  # a link that is made meanwhile is replaced itself
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(beside, dir_fd=folder)
                raise
            os.fsync(folder)
        return len(data)

    @contextlib.contextmanager
    def _folder(self, names: Sequence[str], *, make: bool = False) -> Generator[int]:
        """A descriptor of the folder that these names lead to."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        with contextlib.ExitStack() as opened:
            folder = os.open(self.root, flags)
            opened.callback(os.close, folder)
            for name in names:
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, 0o755, dir_fd=folder)
                folder = os.open(name, flags, dir_fd=folder)
                opened.callback(os.close, folder)
            yield folder


def _parts(path: str, *, empty: bool = False) -> list[str]:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith(("/", "~")) or "\0" in path or "\\" in path or ".." in parts:
        raise ChangeArguments(
            f"{path!r} is no path inside the folder", hint="a relative path, without .., ~, backslashes and leading /"
        )
    if (not parts and not empty) or len(parts) > DEEPEST:
        raise ChangeArguments(f"{path!r} names {len(parts)} levels, not 1 to {DEEPEST}")
    return parts


def _entry(name: str, found: os.stat_result) -> Entry:
    if stat.S_ISREG(found.st_mode):
        return Entry(name, "file", found.st_size)
    return Entry(name, "folder" if stat.S_ISDIR(found.st_mode) else "other", 0)


def _regular(path: str, found: os.stat_result, most: int | None) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ChangeArguments(f"{path!r} is no regular file", hint="links, folders and devices are not opened")
    if most is None:  # it is replaced, not opened
        return
    if found.st_nlink > 1:
        raise ChangeArguments(f"{path!r} has other names too (hard links), perhaps outside of the folder")
    if found.st_size > most:
        raise _too_large(path, found.st_size, most)


def _too_large(path: str, bytes: int, most: int) -> ChangeArguments:
    return ChangeArguments(f"{path!r} has {bytes:,} bytes, more than {most:,}")


@contextlib.contextmanager
def _refusing(path: str) -> Generator[None]:
    """What the system says against it, as failures that name the path as it was given."""
    try:
        yield
    except Failed:
        raise
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise ChangeArguments(f"{path!r} leads through a link", hint="links are not followed") from error
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EINVAL):
            raise ChangeArguments(f"{path!r}: {why}", hint="list the folder to see what is there") from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EIO):
            raise RetryLater(f"{path!r}: {why}") from error
        raise Abandon(f"{path!r}: {why}") from error
