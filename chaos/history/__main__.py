"""``python -m chaos.history FOLDER``: check again what a run left behind."""

from __future__ import annotations

import sys
from pathlib import Path

from chaos.history import check, read_history

if __name__ == "__main__":
    report = check(read_history(Path(sys.argv[1])))
    sys.stdout.write(f"{report}\n")
    sys.exit(not report.ok)
