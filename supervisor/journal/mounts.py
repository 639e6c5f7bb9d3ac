"""What a journal must not lie on: a file system over a network.

SQLite's write-ahead log needs memory that all its users share, and locks and flushes that mean what they say
(https://www.sqlite.org/wal.html: "WAL does not work over a network filesystem"). On such a file system two machines can own one
journal at once, and what was acknowledged can be lost. So it is refused before anything is touched.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from msgspec import Struct

from ...protocols.errors import JournalError

NETWORK = frozenset({
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "9p", "afs", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "ocfs2", "gfs2",
    "coda", "orangefs", "pvfs2", "davfs", "davfs2", "acfs", "panfs", "fhgfs", "vboxsf",
})  # fmt: skip
"""Types of file systems that are shared with other machines (or, vboxsf and 9p, with a host that keeps no locks for them)."""

_NETWORK_FUSE = frozenset({
    "sshfs", "glusterfs", "ceph", "ceph-fuse", "s3fs", "rclone", "gcsfuse", "goofys", "davfs2", "curlftpfs", "smbnetfs", "juicefs",
    "mfs", "moosefs", "lizardfs", "seaweedfs", "blobfuse", "blobfuse2", "mount-s3", "hadoop", "cvmfs2", "nfs", "xtreemfs", "objectivefs",
})  # fmt: skip
"""Programs behind ``fuse.NAME`` that reach over a network. Others (an encrypted or a merged folder) are local."""

MOUNTINFO = "/proc/self/mountinfo"
"""Where Linux says what is mounted."""

_ESCAPED = re.compile(r"\\([0-7]{3})")


class Mount(Struct, frozen=True):
    """A mounted file system: where, of which type, and what is mounted."""

    point: str
    type: str
    source: str


def mount_of(path: str, mountinfo: str) -> Mount | None:
    """The mount on which a path lies; None where the table names none.

    Args:
        path: absolute, without symlinks.
        mountinfo: text of ``/proc/self/mountinfo`` (proc(5)); of two mounts on one point the later one covers the other.
    """
    best: Mount | None = None
    for line in mountinfo.splitlines():
        left, separator, right = line.partition(" - ")
        fields, behind = left.split(" "), right.split(" ")
        if not separator or len(fields) < 5 or len(behind) < 2:
            continue
        point = _unescaped(fields[4])
        below = point if point.endswith("/") else point + "/"
        if (path == point or path.startswith(below)) and (best is None or len(point) >= len(best.point)):
            best = Mount(point, behind[0], _unescaped(behind[1]))
    return best


def is_network(mount: Mount) -> bool:
    """Whether a file system is shared with other machines."""
    kind, _, program = mount.type.partition(".")
    if kind in ("fuse", "fuseblk"):
        return program in _NETWORK_FUSE or (not program and (":" in mount.source or mount.source.startswith("//")))
    return mount.type in NETWORK


def refuse_network(db: Path, mountinfo: str | None = None) -> None:
    """Raises JournalError where a journal's folder lies on a network file system. ``mountinfo``: for tests; the system's own
    by default, and where there is none (no Linux), nothing is refused here: ``connect`` reads back whether WAL works."""
    if mountinfo is None:
        try:
            with Path(MOUNTINFO).open(encoding="utf-8", errors="surrogateescape") as file:
                mountinfo = file.read()
        except OSError:
            return
    mount = mount_of(os.path.realpath(db.parent), mountinfo)
    if mount is not None and is_network(mount):
        raise JournalError(
            f"{db} lies on a network file system ({mount.type}, {mount.source} on {mount.point}): its locks and flushes do not keep "
            "what a journal promises",
            hint="put the journal on a local disk; 'understudy journal backup' can write a copy to the network",
        )


def _unescaped(text: str) -> str:
    """The kernel writes white space and backslashes in octal."""
    return _ESCAPED.sub(lambda match: chr(int(match.group(1), 8)), text)
