"""SHA-256 of every file of a folder, in small steps."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from examples.folder import Entry, Folder, Unusable

CHUNK = 1 << 20
MAX_ANSWER = 900_000
"""Bytes of JSON; results may have 1 MiB."""
_PER_FILE = 120
"""Bytes of JSON that a file's hash, size and keys take beside its path."""


class FileHashes:
    """Hashes what is below a place in a folder; symbolic links and devices are skipped and named."""

    def __init__(self, folder: Folder, path: str) -> None:
        self._folder, self._path = folder, path
        self._hashed: list[dict[str, Any]] = []
        self._skipped: list[dict[str, str]] = []
        self._done = 0

    def steps(self) -> Iterator[tuple[float, str]]:
        """Work on, a chunk at a time; yield how far it is (0.0 to 1.0) and what that means."""
        place = self._folder.locate(self._path)
        entries: list[Entry] = []
        for entry in self._entries(place):
            entries.append(entry)
            yield 0.0, f"files found: {len(entries):,}"
        total = sum(entry.size for entry in entries)
        for number, entry in enumerate(sorted(entries, key=lambda entry: entry.place.parts), 1):
            for _ in self._hash(entry, _shown(entry.place.relative_to(place))):
                yield min(1.0, self._done / max(1, total)), f"file {number:,} of {len(entries):,}"

    def results(self) -> dict[str, Any]:
        """Return what was found."""
        return {"files": self._hashed, "bytes": self._done, "skipped": self._skipped}

    def _entries(self, place: Path) -> Iterator[Entry]:
        answer = 0
        for entry in self._folder.entries(place):
            answer += _PER_FILE + len(json.dumps(_shown(entry.place.relative_to(place))))
            if answer > MAX_ANSWER:
                raise Unusable("the folder has more files than one answer can hold; name a smaller one")
            yield entry

    def _hash(self, entry: Entry, name: str) -> Iterator[None]:
        if entry.skipped is not None:
            self._skipped.append({"path": name, "reason": entry.skipped})
            return
        digest, size = hashlib.sha256(), 0
        try:
            with self._folder.open(entry.place).stream as stream:
                while chunk := stream.read(CHUNK):
                    digest.update(chunk)
                    size += len(chunk)
                    self._done += len(chunk)
                    yield
        except Unusable as error:  # it went, or became something else, since it was found
            self._skipped.append({"path": name, "reason": str(error)})
        else:
            self._hashed.append({"path": name, "size": size, "sha256": digest.hexdigest()})


def _shown(place: Path) -> str:
    """Return a path as text; bytes in it that are not UTF-8 are written as escapes."""
    return os.fsencode(place).decode(errors="backslashreplace")
