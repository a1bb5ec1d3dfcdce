"""The whole night of the benchmark, small: both sides give the same scores, and the page keeps what others wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.at_scale.tree import HERE
from bench.measured import Cost, measure, medians, ratio
from bench.page import table, write_section
from bench.whole_night import LEAN, SECOND, compare, exponent, prepare, same_scores
from features.purity import findings

if TYPE_CHECKING:
    from pathlib import Path


def test_the_lean_script_gives_the_same_bits_as_the_second_night(tmp_path: Path) -> None:
    """So it computes the same: as-of bounds, newest versions, windows, model. 9,000 flights, 92,000 outcomes."""
    site = prepare(tmp_path, 9_000, 31, trees=20)

    costs, phases = compare(site, 1, (SECOND, LEAN))

    assert same_scores(site).startswith("Of 9,")
    assert "0 are missing in one of `second` and `lean`; 0 raw scores are not the same bits" in same_scores(site)
    assert all(cost.seconds > 0 and cost.cpu_s > 0 and cost.peak_mb > 50 for of in costs.values() for cost in of)
    assert phases[SECOND][0]["features"] > 0
    assert prepare(tmp_path, 9_000, 31, trees=20) == site  # and nothing is made again


def test_the_features_of_the_job_are_pure() -> None:
    source = HERE / "features" / "flights_ahead.py"

    assert findings(source.read_text(encoding="utf-8"), source.name) == ()


def test_a_section_of_the_page_is_replaced_and_the_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    write_section("one", "One", "first", page)
    write_section("two", "Two", "second \\1", page)
    before = page.read_text()
    write_section("one", "One", "third", page)

    assert page.read_text() == before.replace("first", "third")
    assert page.read_text().startswith("# Benchmarks")


def test_the_cost_of_a_row_that_does_not_grow_has_exponent_one() -> None:
    assert exponent([(1, 2.0), (10, 20.0), (100, 200.0)]) == pytest.approx(1.0)
    assert exponent([(1, 2.0), (10, 200.0)]) == pytest.approx(2.0)


def test_a_ratio_is_of_the_two_that_ran_in_the_same_round() -> None:
    slow, fast = [Cost(2, 2, 9), Cost(40, 2, 8)], [Cost(1, 1, 1), Cost(10, 1, 1)]

    assert ratio(slow, fast) == (3.0, 2.0, 4.0)
    assert medians(slow) == Cost(21, 2, 9)


def test_a_process_that_fails_ends_the_measurement_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"ended with 3:\nout of order"):
        measure(("sh", "-c", "echo out of order; exit 3"), {}, tmp_path)


def test_a_table_lines_its_columns_up() -> None:
    assert (
        table(("a", "b"), [("long", "1"), ("x", "22")]) == "| a    |  b |\n| ---- | -: |\n| long |  1 |\n| x    | 22 |"
    )
