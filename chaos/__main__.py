"""``scripts/chaos``: run, check, report."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from chaos.client import Unanswered
from chaos.conductor import Conductor, Outcome
from chaos.faults import FAMILIES, FAULTS, chosen
from chaos.options import BACKENDS, Options
from chaos.report import Verdict

_DESCRIPTION = """\
Start real processes on loopback (the service, workers, producers, watchers), let faults strike them at seeded
moments, drain the queue, and check the invariants over all that everybody wrote down.
"""
_EPILOG = """\
exit codes: 0 all invariants held; 1 one was violated, the histories of the first such jobs are printed, and
the folder with everything is kept; 2 wrong usage; 3 none was violated, but the run proves nothing, for it
never met what it is about (a refused stale completion, a second start with a cause, a rescued lease, an
enqueue whose answer was lost, a reconnect).

examples:
  scripts/chaos --backend sqlite
  scripts/chaos --backend redis --durability normal --faults kill,stop,network --seconds 60 --jobs 10000
  scripts/chaos --backend sqlite --faults power-cut,kill-amid-commit --seed 7 --report report.json
"""


def main() -> int:
    """Run once with the arguments of the command line, and return the exit code."""
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.list:
        _list()
        return 0
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    try:
        options = Options(
            backend=arguments.backend,
            faults=tuple(chosen(arguments.faults.split(","), arguments.backend, arguments.durability)),
            folder=folder,
            seconds=arguments.seconds,
            jobs=arguments.jobs,
            seed=arguments.seed,
            durability=arguments.durability,
            lease=arguments.lease,
            workers=arguments.workers,
            least_faults=arguments.least_faults,
            most_gap=arguments.gap,
        )
    except ValueError as error:
        folder.rmdir()
        parser.error(str(error))
    try:
        outcome = asyncio.run(_run(options))
    except (Unanswered, RuntimeError, OSError) as error:
        print(
            f"chaos: the run could not be finished ({type(error).__name__}: {error}); see {folder}",
            file=sys.stderr,
        )
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print(f"chaos: broken off; see {folder}", file=sys.stderr)
        return 130
    verdict = Verdict.of(options, outcome, shlex.join(["scripts/chaos", *sys.argv[1:]]))
    print(verdict)
    if arguments.report is not None:
        verdict.write(arguments.report)
    if verdict.exit_code == 1 or arguments.keep:
        print(f"everything is in {folder}")
    else:
        shutil.rmtree(folder)
    return verdict.exit_code


async def _run(options: Options) -> Outcome:
    """Conduct a run; a signal breaks it off in order, so that nobody is left behind."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - asyncio runs this in one
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await Conductor(options).run()


class _Parser(argparse.ArgumentParser):
    """A parser whose refusals are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end."""
        self.exit(2, f"chaos: {message} (see --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="scripts/chaos",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--backend", choices=BACKENDS, default="sqlite", help="where jobs are stored  [default: sqlite]")
    add(
        "--durability", choices=("full", "normal"), default="full",
        help="what acknowledged writes survive: SQLite's synchronous FULL or NORMAL, Redis's appendfsync "
        "always or everysec  [default: full]",
    )  # fmt: skip
    add(
        "--faults", default="all", metavar="NAME,…",
        help=f"faults and families of faults ({', '.join(FAMILIES)}); --list shows them  [default: all]",
    )  # fmt: skip
    add(
        "--seconds",
        type=float,
        default=30.0,
        metavar="N",
        help="how long faults strike, at least  [default: 30]",
    )
    add(
        "--jobs",
        type=int,
        default=2000,
        metavar="N",
        help="how many jobs are enqueued, at least  [default: 2000]",
    )
    add(
        "--least-faults",
        type=int,
        default=0,
        metavar="N",
        help="how many faults strike, at least  [default: each once]",
    )
    add(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="of all choices of faults, moments, jobs  [default: 0]",
    )
    add(
        "--gap", type=float, default=1.0, metavar="SECONDS",
        help="the longest pause between two faults  [default: 1]",
    )  # fmt: skip
    add("--lease", type=float, default=3.0, metavar="SECONDS", help="how long claims last  [default: 3]")
    add("--workers", type=int, default=3, metavar="N", help="how many worker processes  [default: 3]")
    add("--report", type=Path, metavar="FILE", help="write the report as JSON")
    add("--keep", action="store_true", help="keep the folder with histories, logs and store in any case")
    add("--list", action="store_true", help="list the faults and end")
    return parser


def _list() -> None:
    for fault in FAULTS.values():
        backends = ", ".join(sorted(fault.backends))
        print(f"{fault.name:18} {fault.family:8} {fault.what}\n{'':27} undone: {fault.undone}  [{backends}]")


if __name__ == "__main__":
    sys.exit(main())
