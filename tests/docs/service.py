"""A service for the pages' shell lines: really started, with the examples, in a folder of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.docs.blocks import ROOT
from tests.support.waiting import WITHIN

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Service:
    """Where it is: its address, and the folder that stands for the root of the repository."""

    url: str
    folder: Path

    def run(self, lines: str) -> str:
        """Run a page's shell lines, with this service's port in them, and return what they print.

        The first line that fails ends it, also a ``curl`` whose answer is an HTTP error.
        """
        if shutil.which("curl") is None:
            msg = "these pages use curl: install it to test them"
            raise RuntimeError(msg)
        port = self.url.rpartition(":")[2]
        done = subprocess.run(
            ["sh", "-eu", "-c", re.sub(r"(localhost|127\.0\.0\.1):8000", rf"\1:{port}", lines)],
            check=False, capture_output=True, text=True, timeout=5 * WITHIN, cwd=self.folder,
            env=self._environment(),
        )  # fmt: skip
        assert done.returncode == 0, f"{lines}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("JDOBB_")},
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "CURL_HOME": str(self.folder),
        }


@contextmanager
def serving(folder: Path, **variables: str) -> Iterator[Service]:
    """Run the service in an empty folder until the block ends, and require that it ends well.

    Of the ``JDOBB_`` variables it is given these only.
    """
    shutil.copytree(ROOT / "examples", folder / "examples")
    folder.joinpath(".curlrc").write_text("silent\nshow-error\nfail-with-body\nmax-time 120\n")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("JDOBB_")}
    environment = inherited | variables
    command = [BIN / "jdobb", "serve", "examples.handlers:router", "--port", "0", "--shutdown-grace", "5"]
    with (
        folder.joinpath("log").open("w") as log,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        ) as server,
    ):
        try:
            assert server.stdout is not None
            where = re.search(r"http://\S+:\d+", server.stdout.readline())
            assert where is not None, folder.joinpath("log").read_text()
            yield Service(where[0], folder)
        finally:
            server.terminate()
            server.wait(timeout=WITHIN)
    assert server.returncode == 0, folder.joinpath("log").read_text()
