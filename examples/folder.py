"""Files below one folder, and nothing else of the machine.

Jobs come from whoever may enqueue, so a path in a job is treated as an attack: first it is worked out where
it leads, then that place is opened name by name without following links, so that nothing can be swapped in
between.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Unusable(ValueError):  # noqa: N818 - reads as the fact that it states
    """What a job names, or what is in it, cannot be worked on.

    The text says why, and names no path of the machine.
    """


@dataclass(frozen=True)
class Source:
    """Bytes to read, and how many there are."""

    stream: BinaryIO
    size: int

    def part(self, read: int) -> float:
        """Return which part of it so many bytes are, 0.0 to 1.0 (a file may grow while it is read)."""
        return min(1.0, read / max(1, self.size))


@dataclass(frozen=True)
class Entry:
    """Something in a folder: a regular file of ``size`` bytes, unless ``skipped`` says what else it is."""

    place: Path
    size: int = 0
    skipped: str | None = None


def in_memory(text: str) -> Source:
    """Return a text as if it were the content of a file."""
    content = text.encode()
    return Source(io.BytesIO(content), len(content))


class Folder:
    """The folder whose files jobs may name. A ``place`` is a path in it without ``..`` and links."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        if not self._root.is_dir():
            msg = f"the files folder must be a folder that exists, got {str(root)!r}"
            raise ValueError(msg)

    def locate(self, path: str) -> Path:
        """Return the place that ``path`` leads to; links that stay inside are followed.

        Raises ``Unusable`` for ``..`` and for whatever leads out, whether or not something is there.
        """
        if "\0" in path:
            raise Unusable("path must not contain a NUL character")
        if ".." in Path(path).parts:
            raise Unusable("path must not contain '..'")
        try:
            found = (self._root / path).resolve()
        except (OSError, RuntimeError):  # links in a circle, a name that is too long
            raise Unusable("path leads nowhere") from None
        if not found.is_relative_to(self._root):
            raise Unusable("path must stay inside the files folder")
        if _leads_in_a_circle(found):  # Python 3.13 resolves these without an error
            raise Unusable("path leads nowhere")
        return found.relative_to(self._root)

    def open(self, place: Path) -> Source:
        """Open the file at a place. Raises ``Unusable`` for anything but a regular file."""
        descriptor = self._descend(place)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise Unusable(f"path must name a file, not a {_kind(found.st_mode)}")
        return Source(os.fdopen(descriptor, "rb"), found.st_size)

    def entries(self, place: Path) -> Iterator[Entry]:
        """Yield what is below the folder at a place, in no order; subfolders themselves are no entries.

        Links are not followed. Raises ``Unusable`` when the place is no folder.
        """
        waiting = [place]
        while waiting:
            folder = waiting.pop()
            try:
                for name, found in self._scan(folder):
                    if stat.S_ISDIR(found.st_mode):
                        waiting.append(folder / name)
                    elif stat.S_ISREG(found.st_mode):
                        yield Entry(folder / name, found.st_size)
                    else:
                        yield Entry(folder / name, skipped=_kind(found.st_mode))
            except Unusable as error:
                if folder == place:
                    raise
                yield Entry(folder, skipped=str(error))

    def _scan(self, folder: Path) -> Iterator[tuple[str, os.stat_result]]:
        descriptor = self._descend(folder)
        try:
            if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise Unusable("path must name a folder")
            with os.scandir(descriptor) as found:
                for entry in found:
                    yield entry.name, entry.stat(follow_symlinks=False)
        except OSError as error:
            raise _unusable(error) from None
        finally:
            os.close(descriptor)

    def _descend(self, place: Path) -> int:
        """Return a descriptor of what is at a place."""
        descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in place.parts:
                _refuse_device(os.lstat(name, dir_fd=descriptor).st_mode)
                inner = os.open(name, _FLAGS, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
        except OSError as error:
            os.close(descriptor)
            raise _unusable(error) from None
        except Unusable:
            os.close(descriptor)
            raise
        return descriptor


def _refuse_device(mode: int) -> None:
    """Raise ``Unusable`` for what must not even be opened: that may set a device going or wait for ever."""
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise Unusable(f"path must name a file, not a {_kind(mode)}")


def _leads_in_a_circle(path: Path) -> bool:
    try:
        path.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def _unusable(error: OSError) -> Unusable:
    return Unusable(f"path cannot be opened: {os.strerror(error.errno or 0)}")


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "symbolic link"
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return "device"
    return "pipe or socket"
