"""One environment for each peer, in `.bench/`, set up on first use; a peer that cannot be set up says why."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

from bench.roster import OURS, Peer

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".bench"
_PATIENCE = 600
"""Seconds that one set-up may take."""


class Unavailable(RuntimeError):  # noqa: N818 - reads as the fact that it states
    """A peer, or a part of a measure, that cannot be run here; the text says why."""


def command_of(peer: Peer) -> list[str]:
    """Return the command that runs a peer's program. Raises ``Unavailable``."""
    if peer.name == OURS:
        return [sys.executable, "-m", "bench.peers.ours"]
    if peer.node:
        node = _tool("node")
        _set_up(peer, _install_node_packages)
        return [node, str(ROOT / f"bench/peers/{peer.name}.mjs")]
    _set_up(peer, _install_python_packages)
    return [str(_python(peer)), "-m", f"bench.peers.{peer.name}"]


def versions_of(peer: Peer) -> list[str]:
    """Return what is installed for a peer, as ``name==version``."""
    if peer.name == OURS or peer.node:
        return list(peer.packages)
    freeze = [str(_python(peer)), "-m", "pip", "--disable-pip-version-check", "freeze"]
    return _run(freeze, FOLDER).split()


def _set_up(peer: Peer, install: Callable[[Peer, Path], None]) -> None:
    """Install a peer's packages, unless a stamp says that just these are there."""
    folder = FOLDER / peer.name
    stamp, wanted = folder / "installed", " ".join((str(folder), *peer.packages))
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{peer.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        print(f"bench: setting up {peer.title}", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        install(peer, folder)
        stamp.write_text(wanted)


def _install_python_packages(peer: Peer, folder: Path) -> None:
    venv.create(folder, with_pip=True)
    pip = [str(_python(peer)), "-m", "pip", "--disable-pip-version-check", "--no-input", "-q", "install"]
    _run([*pip, *peer.packages], folder)


def _install_node_packages(peer: Peer, folder: Path) -> None:
    npm = _tool("npm")
    (folder / "package.json").write_text(json.dumps({"private": True}))
    _run([npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", *peer.packages], folder)


def _run(command: list[str], folder: Path) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, check=False, capture_output=True, text=True, timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"its set-up took more than {_PATIENCE} s") from None
    except OSError as error:
        raise Unavailable(f"its set-up failed: {error}") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Unavailable(f"its set-up failed: {lines[-1]}")
    return done.stdout


def _python(peer: Peer) -> Path:
    return FOLDER / peer.name / "bin/python"


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Unavailable(f"{name} is not on PATH")
    return found
