"""From a URL to the database's place."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

_SCHEME = "sqlite://"
_OPTIONS = re.compile(r"\?[A-Za-z_]+=")


def database_path(url: str) -> str | None:
    """Return the absolute path of a database without links in it, or None for ``:memory:``.

    Three slashes go before a relative path, four before an absolute one (as in SQLAlchemy). ``%3F`` and
    the like are decoded. Raises ``ValueError``.
    """
    if not url.startswith(_SCHEME):
        raise ValueError(f"url must look like sqlite:///jobs.db, got {url!r}")
    rest = url[len(_SCHEME) :]
    if not rest.startswith("/"):
        raise ValueError(
            f"url {url!r} lacks a slash: write sqlite:///relative/jobs.db or sqlite:////absolute/jobs.db"
        )
    path = unquote(rest[1:])
    if path == ":memory:":
        return None
    if _OPTIONS.search(rest):
        raise ValueError(f"url {url!r} must not carry options; a question mark in a file's name is %3F")
    if not path or path.endswith(("/", os.sep)):
        raise ValueError(f"url {url!r} names no file; it must look like sqlite:///jobs.db")
    if "\0" in path:
        raise ValueError(f"url {url!r} has a NUL character in its path")
    return os.path.realpath(path)
