"""The command ``jdobb``.

This module alone runs on every Python and with whatever is installed, so that the command can say what it
lacks; everything else stands in modules that it imports when they can run.
"""

from __future__ import annotations

import sys

_USAGE = 2
_INTERRUPTED = 130
_EXTRA = frozenset({"httpx", "httpx_sse", "pydantic_settings", "rich", "typer"})


def main() -> None:
    """Run the command with the arguments of this process, and exit with its code."""
    if sys.version_info < (3, 11):  # noqa: UP036 - the library supports 3.10, and `[all]` installs there
        found = ".".join(map(str, sys.version_info[:3]))
        _exit(f"jdobb needs Python 3.11 or newer, this is {found} (the library itself runs on 3.10)")
    try:
        from jdobb_service.cli.application import run
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        _exit(f"jdobb needs the package {error.name}: pip install 'jdobb-async-queue[cli]'")
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    run()


def _exit(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.exit(_USAGE)
