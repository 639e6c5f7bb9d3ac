"""The table of protocols: ``protocols.sql`` built once into ``protocols.db``, then only read.

It has nothing to do with the journal: another file, opened read-only, by Python's own ``sqlite3``.
"""

import os
import sqlite3
import tempfile
import threading
import zlib
from contextlib import closing
from functools import cache
from pathlib import Path

from msgspec import Struct

_SOURCE = Path(__file__).with_name("protocols.sql")


class Protocol(Struct, frozen=True):
    """What the desk does about one kind of emergency.

    Attributes:
        code: how people on the desk call it.
        priority: 1 (life at risk now) to 4 (can wait).
        unit: the kind of unit that goes; None: advice is all that is needed.
        advice_en, advice_de: what the caller is told, in English and in German.
    """

    code: str
    service: str
    keyword: str
    title: str
    priority: int
    unit: str | None
    advice_en: str
    advice_de: str


def find(service: str, keyword: str) -> Protocol | None:
    """The protocol of that service and keyword; None where there is none."""
    with closing(_connect()) as db:
        row = db.execute(
            "SELECT code, service, keyword, title, priority, unit, advice_en, advice_de FROM protocols"
            " WHERE service = ? AND keyword = ?",
            (service, keyword.strip().lower()),
        ).fetchone()
    return Protocol(*row) if row else None


def keywords(service: str) -> list[str]:
    """What can be asked for, the most urgent first."""
    with closing(_connect()) as db:
        rows = db.execute("SELECT keyword FROM protocols WHERE service = ? ORDER BY priority, code", (service,))
        return [keyword for (keyword,) in rows]


def _connect() -> sqlite3.Connection:
    # Connected to for each look-up: tools run in threads, and a connection belongs to the thread that opened it.
    return sqlite3.connect(f"{_file().as_uri()}?mode=ro&immutable=1", uri=True)


@cache
def _file() -> Path:
    """The built table, beside its source, or in the folder for temporary files where that cannot be written."""
    source = _SOURCE.read_bytes()
    version = zlib.crc32(source) & 0x7FFFFFFF  # as `PRAGMA user_version`: a changed source makes the file stale
    beside = _SOURCE.with_suffix(".db")
    if _version(beside) == version:
        return beside
    try:
        return _build(source, version, beside)
    except (OSError, sqlite3.OperationalError):
        return _build(source, version, Path(tempfile.mkdtemp(prefix="incident-desk-")) / "protocols.db")


def _version(file: Path) -> int:
    if not file.exists():
        return -1
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro&immutable=1", uri=True)) as db:
            return int(db.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.DatabaseError:
        return -1


def _build(source: bytes, version: int, file: Path) -> Path:
    """Build aside, then move into place: a process killed half-way leaves no half table, two at once no mixed one."""
    aside = file.with_name(f"{file.name}.{os.getpid()}-{threading.get_ident()}")
    aside.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(aside)) as db:
            db.executescript(f"BEGIN;\n{source.decode()}\nPRAGMA user_version = {version};\nCOMMIT;")
        aside.replace(file)
    finally:
        aside.unlink(missing_ok=True)
    return file
