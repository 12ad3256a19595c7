"""The file in which SQLite keeps the jobs, and what it lies on."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote

from jdobb_service.cli.checks.finding import Finding, failure, ok, warning

MOUNTS = Path("/proc/self/mountinfo")
_SHARED = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "lustre", "nfs", "nfs4", "smb3", "vboxsf"}
)  # fmt: skip
_MOVE = "move the file to a local disk, or keep the jobs in Redis (--backend-url redis://…)"


def file_findings(url: str) -> Iterator[Finding]:
    """Look at the file that a URL names, once the store has been opened."""
    path = Path(unquote(url.removeprefix("sqlite:///"))).absolute()
    mode = _journal_mode(path)
    if mode == "wal":
        yield ok("journal", "journal_mode is wal")
    else:
        remedy = "let the service or a worker open it: that makes it wal; where it cannot be, " + _MOVE
        yield warning("journal", f"journal_mode is {mode}: readers and writers wait for each other", remedy)
    yield filesystem_finding(filesystem_of(path.parent))


def filesystem_finding(kind: str | None) -> Finding:
    """Return what it means that the file lies on a filesystem of this kind."""
    if kind is None:
        return ok("filesystem", "of an unknown kind")
    if kind in _SHARED:
        detail = f"{kind} is shared over a network, where SQLite's locks and its wal do not hold"
        return failure("filesystem", detail, _MOVE)
    return ok("filesystem", kind)


def filesystem_of(folder: Path) -> str | None:
    """Return the kind of filesystem that a folder is on; None where the system does not tell."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in lines:
        mount, _, kind = line.partition(" - ")
        if mount.split()[2] == wanted:
            return kind.split()[0]
    return None


def _journal_mode(path: Path) -> str:
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])
