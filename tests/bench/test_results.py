"""What the benchmark makes of samples: medians, percentiles, ratios, verdicts, tables."""

from __future__ import annotations

import pytest

from bench import report
from bench.aims import AIMS, Aim, at_best, figure, same_case
from bench.results import Results, Spread, percentile, ratio


class Measure:
    NAME, TITLE, MAIN, BASE = "drain", "Draining", "jobs/s", None


def drained(**rates: list[float]) -> Results:
    """Return results with these rates of no-op jobs; a name is ``who_slots``."""
    results = Results()
    for name, samples in rates.items():
        who, slots = name.split("_")
        for sample in samples:
            results.add(
                "drain", who, f"no-op, {slots} slots", {"jobs/s": sample, "client µs/job": 1e6 / sample}
            )
    return results


@pytest.mark.parametrize(
    ("samples", "spread"),
    [([3.0], Spread(3, 3, 3)), ([1.0, 9.0, 2.0], Spread(2, 1, 9)), ([1.0, 2.0], Spread(1.5, 1, 2))],
)
def test_a_spread_is_the_median_with_its_range(samples, spread):
    assert Spread.of(samples) == spread


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.01, 1), (0.5, 50), (0.501, 51), (0.99, 99), (1.0, 100)]
)
def test_a_percentile_is_the_nearest_rank(share, expected):
    assert percentile(list(range(100, 0, -1)), share) == expected


def test_a_ratio_is_taken_round_by_round():
    # In the second round the machine was half as fast for both.
    assert ratio([80.0, 40.0, 90.0], [10.0, 5.0, 10.0]) == Spread(8, 8, 9)


def test_there_is_no_ratio_to_what_was_not_measured():
    assert ratio([1.0], []) is None
    assert ratio([1.0], [0.0]) is None


def test_each_is_compared_at_the_slots_with_which_it_is_fastest():
    results = drained(ours_10=[500.0], ours_50=[900.0], saq_10=[100.0], saq_50=[90.0])
    assert at_best("saq", "jobs/s")(results) == Spread(9, 9, 9)
    cost = at_best("saq", "client µs/job")(results)
    assert cost is not None
    assert cost.median == pytest.approx(1 / 9)
    assert same_case("drain", "saq", "no-op, 50 slots", "jobs/s")(results) == Spread(10, 10, 10)
    assert at_best("arq", "jobs/s")(results) is None


def test_an_aim_is_met_at_its_bound_and_on_its_side():
    least = Aim("rate", "SAQ", 2, figure("drain", "x", "jobs/s"))
    most = Aim("cost", "SAQ", 2, figure("drain", "x", "jobs/s"), at_most=True)
    assert [least.is_met(Spread.of([value])) for value in (1.9, 2, 2.1)] == [False, True, True]
    assert [most.is_met(Spread.of([value])) for value in (1.9, 2, 2.1)] == [True, True, False]


def test_the_table_of_aims_tells_met_from_not_met_and_from_not_measured():
    lines = report.aims_table(drained(ours_10=[250.0], saq_10=[100.0])).splitlines()
    assert "| Redis drain, 10 slots each | SAQ | ≥ 3 | 2.5 | **not met** |" in lines
    assert "| Redis drain, each at its best slots | BullMQ | ≥ 1.2 | - | not measured |" in lines
    assert "| Redis drain, 10 slots each | SAQ | ≥ 3 | 3.1 | met |" in report.aims_table(
        drained(ours_10=[310.0], saq_10=[100.0])
    )
    assert len(lines) == len(AIMS) + 2


def test_the_table_of_a_measure_has_ours_by_theirs_and_says_in_words_who_failed():
    results = drained(ours_10=[200.0, 220.0], saq_10=[100.0, 100.0])
    results.fail("drain", "bullmq", "set-up", "node is not on PATH")
    assert report.measure_table(results, Measure).splitlines() == [
        "| case | who | jobs/s | client µs/job | ours by theirs, jobs/s |",
        "| --- | --- | --- | --- | --- |",
        "| no-op, 10 slots | ours | 210 [200 to 220] | 4,773 [4,545 to 5,000] |  |",
        "| no-op, 10 slots | saq | 100 | 10,000 | 2.1 [2 to 2.2] |",
        "| set-up | bullmq | not measured: node is not on PATH |  |  |",
    ]


def test_a_measure_with_a_base_compares_each_row_with_it():
    measure = type("Based", (Measure,), {"BASE": "nothing"})
    rows = report.measure_table(drained(ours_10=[50.0], nothing_10=[100.0]), measure).splitlines()
    assert rows[0].endswith("| by nothing, jobs/s |")
    assert [row.split(" | ")[-1] for row in rows[2:]] == ["0.5 |", " |"]


def test_a_cell_cannot_break_its_row():
    assert report.table(["a"], [["x | y"]]).splitlines()[-1] == "| x \\| y |"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.04567, "0.0457"), (1.0, "1"), (99.94, "99.9"), (100.4, "100"), (12345.6, "12,346")],
)
def test_numbers_have_three_digits_that_count(value, shown):
    assert report.number(value) == shown
