"""Bring a virtual environment up to date with a requirement file; started by `scripts/setup-venv`.

Any number of these may run at once: a kernel lock, which ends with its process, lets them in one by one.
A stamp tells what was installed. It is absent while pip runs, so an interrupted set-up starts afresh.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUPERSET = "dev"  # dev.txt holds all of service.txt at the same versions


def main(requirements: str, folder: str) -> None:
    """Install `requirements/<requirements>.txt` and this project into `folder`, unless they are there."""
    environment = ROOT / folder
    with exclusive(ROOT / f"{folder}.lock"):
        inputs = checksum_of_inputs()
        if read_stamp(environment) not in {f"{requirements} {inputs}", f"{SUPERSET} {inputs}"}:
            install(requirements, environment)
            write_stamp(environment, f"{requirements} {inputs}")


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up to finish")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def checksum_of_inputs() -> str:
    digest = hashlib.sha256()
    for path in [ROOT / "pyproject.toml", *sorted(ROOT.glob("requirements/*.txt"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def stamp_file(environment: Path) -> Path:
    return environment / "installed"


def write_stamp(environment: Path, content: str) -> None:
    stamp_file(environment).write_text(f"{ROOT}\n{content}")


def read_stamp(environment: Path) -> str | None:
    """Return what a usable environment was made for; one that has moved or lost its Python is not usable."""
    stamp = stamp_file(environment)
    if not stamp.is_file() or not runs(environment / "bin/python"):
        return None
    place, _, content = stamp.read_text().rpartition("\n")
    return content if place == str(ROOT) else None


def runs(python: Path) -> bool:
    try:
        return subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def install(requirements: str, environment: Path) -> None:
    say(f"setting up {environment.name} (about half a minute)")
    if read_stamp(environment) is None:
        shutil.rmtree(environment, ignore_errors=True)
        venv.create(environment, with_pip=True)
    stamp_file(environment).unlink(missing_ok=True)
    pip_install(environment, "--require-hashes", "--requirement", f"requirements/{requirements}.txt")
    pip_install(environment, "--no-deps", "--no-build-isolation", "--editable", ".")


def pip_install(environment: Path, *arguments: str) -> None:
    pip = [environment / "bin/python", "-m", "pip", "--disable-pip-version-check", "--no-input", "-qq"]
    outcome = subprocess.run([*pip, "install", *arguments], check=False, cwd=ROOT)
    if outcome.returncode:
        sys.exit(f"setup-venv: pip failed in {environment.name}, see above")


def say(text: str) -> None:
    print(f"setup-venv: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
