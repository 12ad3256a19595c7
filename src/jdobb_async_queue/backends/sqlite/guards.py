"""What SQLite cannot stand, noticed in time: old libraries, network folders, replaced files."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from jdobb_async_queue.errors import BackendError, StorageLost

OLDEST_SQLITE = (3, 24, 0)
_NETWORK = {
    "9p", "afs", "beegfs", "cifs", "fuse.gcsfuse", "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "gfs2", "lustre",
    "ncpfs", "nfs", "nfs4", "smb", "smb2", "smb3", "smbfs", "vboxsf",
}  # fmt: skip
_MOUNTS = Path("/proc/self/mounts")


def check_library(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """Raise ``BackendError`` when the SQLite library lacks what the statements use."""
    if version < OLDEST_SQLITE:
        needed, found = (".".join(map(str, parts)) for parts in (OLDEST_SQLITE, version))
        raise BackendError(f"the sqlite backend needs SQLite {needed} or newer, this Python has {found}")
    with_json = sqlite3.connect(":memory:")
    try:
        with_json.execute("SELECT value FROM json_each('[]')").fetchall()
    except sqlite3.Error as error:
        raise BackendError("the sqlite backend needs an SQLite built with JSON functions") from error
    finally:
        with_json.close()


def mounts() -> str:
    """Return the table of mounted file systems, empty where there is none to read."""
    try:
        return _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def refuse_network_filesystem(path: str, mounted: str) -> None:
    """Raise ``BackendError`` when ``path`` lies in a network folder: locks and shared memory fail there."""
    best, kind = "", ""
    for line in mounted.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:  # noqa: PLR2004 - device, place, type
            continue
        place = fields[1].encode("utf-8", "surrogateescape").decode("unicode_escape")
        inside = place in {"/", path} or path.startswith(place + "/")
        if inside and len(place) >= len(best):
            best, kind = place, fields[2]
    if kind in _NETWORK:
        raise BackendError(
            f"{path} lies on a network file system ({kind} at {best}), where SQLite's locks do not work; "
            "use a local disk, or allow_network_filesystem=True if you accept the risk"
        )


class Inodes:
    """Which files stood at these paths in the beginning.

    A file that was deleted or replaced takes every later commit with it, and SQLite does not notice.
    """

    def __init__(self, *paths: str) -> None:
        self._paths = paths
        self._found = [_identity(path) for path in paths]

    def check(self) -> None:
        """Raise ``StorageLost`` unless the same files are there."""
        for path, found in zip(self._paths, self._found, strict=True):
            if _identity(path) != found:
                raise StorageLost(f"{path} was deleted or replaced while it was open")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path costs more than the call, and this runs with every commit
    except OSError:
        return None
    return status.st_dev, status.st_ino
