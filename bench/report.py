"""A run as Markdown, for people, and as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from bench.aims import AIMS
from bench.results import Results, Spread, ratio
from bench.roster import OURS, Peer


class Measure(Protocol):
    """What each module of ``bench.measures`` has."""

    NAME: str
    TITLE: str
    MAIN: str
    BASE: str | None
    """Whom the rows of each case are compared with; None: ours are compared with each."""


def machine() -> dict[str, str]:
    """Return what the figures were taken on."""
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    memory = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0")
    return {
        "processor": f"{os.cpu_count()} of {cpu}",
        "memory": f"{int(memory) / 2**20:.0f} GiB",
        "system": platform.platform(),
        "Python": platform.python_version(),
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def markdown(
    results: Results, measures: Sequence[Measure], peers: Sequence[Peer], facts: dict[str, Any]
) -> str:
    """Return the whole report."""
    parts = ["# Benchmark\n", _facts(facts), "## Aims\n", aims_table(results), "## Who\n", _who(peers)]
    for measure in measures:
        parts += [f"## {measure.TITLE}\n", measure_table(results, measure)]
    return "\n".join(parts)


def aims_table(results: Results) -> str:
    """Return each aim, the ratio of this run, and whether it was met."""
    rows = []
    for aim in AIMS:
        found = aim.measured(results)
        wanted = f"{'≤' if aim.at_most else '≥'} {aim.wanted:g}"
        verdict = aim.missing if found is None else "met" if aim.is_met(found) else "**not met**"
        rows.append([aim.what, aim.against, wanted, "-" if found is None else _spread(found), verdict])
    return table(["what", "against", "aim", "measured", ""], rows)


def aims_json(results: Results) -> list[dict[str, Any]]:
    """Return the same for machines."""
    found = [(aim, aim.measured(results)) for aim in AIMS]
    return [
        {
            "what": aim.what,
            "against": aim.against,
            "wanted": aim.wanted,
            "at_most": aim.at_most,
            "measured": None if spread is None else vars(spread),
            "met": None if spread is None else aim.is_met(spread),
        }
        for aim, spread in found
    ]


def measure_table(results: Results, measure: Measure) -> str:
    """Return a row for each case and who, with a ratio of the main quantity where both were measured."""
    found = results.rows(measure.NAME)
    quantities = list(dict.fromkeys(quantity for _, _, samples in found for quantity in samples))
    cases = list(dict.fromkeys(case for _, case, _ in found))
    failed = [(who, case, why) for (name, who, case), why in results.troubles.items() if name == measure.NAME]
    cases += [case for case in dict.fromkeys(case for _, case, _ in failed) if case not in cases]
    rows = []
    for case in cases:
        base = results.samples(measure.NAME, measure.BASE or OURS, case, measure.MAIN)
        for who, at, samples in found:
            if at == case:
                cells = [_spread(Spread.of(samples[q])) if q in samples else "-" for q in quantities]
                main = samples.get(measure.MAIN, [])
                beside = ratio(main, base) if measure.BASE else ratio(base, main)
                beside = None if who == (measure.BASE or OURS) else beside
                rows.append([case, who, *cells, "" if beside is None else _spread(beside)])
        rows += [[case, who, f"not measured: {why}"] for who, at, why in failed if at == case]
    compared = f"by {measure.BASE}" if measure.BASE else "ours by theirs"
    return table(["case", "who", *quantities, f"{compared}, {measure.MAIN}"], rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; short rows are filled up."""
    lines = [_row(head), _row(["---"] * len(head))]
    lines += [_row([*row, *[""] * (len(head) - len(row))]) for row in rows]
    return "\n".join(lines) + "\n"


def number(value: float) -> str:
    """Return a number with three digits that count."""
    if abs(value) >= 100:  # noqa: PLR2004 - from here on all digits before the point count
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _spread(spread: Spread) -> str:
    if spread.least == spread.most:
        return number(spread.median)
    return f"{number(spread.median)} [{number(spread.least)} to {number(spread.most)}]"


def _who(peers: Sequence[Peer]) -> str:
    return table(
        ["who", "what", "settings", "guarantees"],
        [[peer.name, peer.title, peer.settings, peer.guarantees] for peer in peers],
    )


def _facts(facts: dict[str, Any]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in facts.items()) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
