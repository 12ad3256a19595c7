"""The command ``jq``, as far as the examples use it, for machines without one: the real jq by its binding.

jq_command.py [-c] [-e] [-n] [-r] [-R] [-s] [--arg NAME TEXT]... [--argjson NAME JSON]... FILTER [FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import jq

NO_OUTPUT, USAGE, FAILED = 4, 2, 5


def main() -> int:
    options = parsed()
    text = sys.stdin.read() if options.file is None and not options.n else ""
    if options.file is not None:
        text = options.file.read_text()
    named = dict(options.arg) | {name: json.loads(value) for name, value in options.argjson}
    program = jq.compile(options.filter, args=named)
    try:
        outputs = given(program, options, text).all()
    except ValueError as error:
        sys.stderr.write(f"jq: error: {error}\n")
        return FAILED
    for output in outputs:
        line = output if options.r and isinstance(output, str) else shown(output, compact=options.c)
        sys.stdout.write(f"{line}\n")
    if not options.e:
        return 0
    return NO_OUTPUT if not outputs else int(outputs[-1] in (None, False))


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="jq")
    for flag in "cenrRs":
        parser.add_argument(f"-{flag}", action="store_true")
    parser.add_argument("--arg", nargs=2, action="append", default=[])
    parser.add_argument("--argjson", nargs=2, action="append", default=[])
    parser.add_argument("filter")
    parser.add_argument("file", nargs="?", type=Path)
    return parser.parse_args()


def given(program: Any, options: argparse.Namespace, text: str) -> Any:
    """Return the program together with its input."""
    if options.n:
        return program.input_value(None)
    if options.R and options.s:
        return program.input_value(text)
    if options.R:
        msg = "-R needs -s here"
        raise ValueError(msg)
    return program.input_text(text, slurp=options.s)


def shown(value: Any, *, compact: bool) -> str:
    if compact:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return json.dumps(value, ensure_ascii=False, indent=2)


if __name__ == "__main__":
    sys.exit(main())
