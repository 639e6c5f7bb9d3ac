"""A journal on a network file system is refused, with the reason, before anything is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from understudy.protocols.errors import JournalError
from understudy.supervisor.journal import mounts
from understudy.supervisor.journal.mounts import Mount, is_network, mount_of, refuse_network
from understudy.supervisor.journal.sqlite import SqliteJournal

MOUNTINFO = r"""
21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:20 / /proc rw,nosuid - proc proc rw
30 21 0:30 / /home rw,relatime shared:2 master:1 - nfs4 server:/export/home rw,vers=4.2
31 30 8:2 / /home/ada rw - xfs /dev/sdb1 rw
32 21 0:31 / /mnt/my\040share rw - cifs //files/my\040share rw
33 21 0:32 / /mnt/far rw - fuse.sshfs ada@far:/ rw
34 21 0:33 / /mnt/vault rw - fuse.gocryptfs /home/x rw
35 21 0:34 / /mnt/plain rw - fuse far:/stuff rw
36 21 0:35 / /work rw - nfs old:/work rw
37 36 0:36 / /work rw - btrfs /dev/sdc rw
38 21 0:37 / /mnt/ceph rw - ceph 10.0.0.1:/ rw
a line that makes no sense
"""


@pytest.mark.parametrize(
    ("path", "type", "network"),
    [
        ("/", "ext4", False),
        ("/var/lib", "ext4", False),
        ("/home", "nfs4", True),
        ("/home/bob/desk", "nfs4", True),
        ("/home/ada", "xfs", False),
        ("/home/ada/desk", "xfs", False),
        ("/home/adam", "nfs4", True),
        ("/homes", "ext4", False),
        ("/mnt/my share/x", "cifs", True),
        ("/mnt/far/x", "fuse.sshfs", True),
        ("/mnt/vault/x", "fuse.gocryptfs", False),
        ("/mnt/plain", "fuse", True),
        ("/work/desk", "btrfs", False),
        ("/mnt/ceph", "ceph", True),
    ],
)
def test_the_innermost_and_last_mount_counts(path: str, type: str, network: bool) -> None:
    mount = mount_of(path, MOUNTINFO)
    assert mount is not None
    assert (mount.type, is_network(mount)) == (type, network)


@pytest.mark.parametrize(
    "type", ["nfs", "smb3", "9p", "glusterfs", "fuse.glusterfs", "lustre", "afs", "fuse.s3fs", "beegfs"]
)
def test_file_systems_over_a_network_are_known(type: str) -> None:
    assert is_network(Mount("/", type, "x"))


@pytest.mark.parametrize(
    "type", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", "fuse.mergerfs", "f2fs"]
)
def test_local_ones_are_not(type: str) -> None:
    assert not is_network(Mount("/", type, "/dev/sda1"))


def test_a_table_that_names_nothing_refuses_nothing() -> None:
    assert mount_of("/x", "") is None
    refuse_network(Path("/x/desk.db"), "")


def test_the_reason_names_the_file_system_and_where_it_is_from(tmp_path: Path) -> None:
    table = f"30 21 0:30 / {tmp_path} rw - nfs4 server:/export rw\n"
    with pytest.raises(JournalError, match="nfs4, server:/export") as refused:
        refuse_network(tmp_path / "desk.db", table)
    assert "local disk" in refused.value.hint
    refuse_network(tmp_path / "desk.db", table.replace("nfs4", "ext4"))


def test_an_open_is_refused_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = tmp_path / "link"
    (tmp_path / "there").mkdir()
    link.symlink_to(tmp_path / "there")
    monkeypatch.setattr(mounts, "MOUNTINFO", str(tmp_path / "mountinfo"))
    (tmp_path / "mountinfo").write_text(f"30 21 0:30 / {tmp_path / 'there'} rw - cifs //files/x rw\n")
    with pytest.raises(JournalError, match="network file system"):
        SqliteJournal(link / "desk.db").open()
    assert list((tmp_path / "there").iterdir()) == []
    (tmp_path / "mountinfo").write_text(f"30 21 0:30 / {tmp_path / 'there'} rw - ext4 /dev/sda1 rw\n")
    journal = SqliteJournal(link / "desk.db")
    journal.open()
    journal.close()
