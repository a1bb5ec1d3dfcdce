"""Cutting ordered rows into partitions, and making them fit to be kept."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.store.digest import rows_digest
from jobs.store.partitions import NotFinite, by_bucket, by_days, finite

DAY = date(2013, 8, 1)


def rows_of(days: list[tuple[int, int]]) -> pl.DataFrame:
    """A row for each event day and visible day, numbered, in their order."""
    ordered = sorted(days)
    return pl.DataFrame(
        {
            "event_day": [DAY + timedelta(days=event) for event, _ in ordered],
            "visible_day": [DAY + timedelta(days=visible) for _, visible in ordered],
            "id": range(len(ordered)),
        },
        schema={"event_day": pl.Date, "visible_day": pl.Date, "id": pl.Int64},
    )


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40),
    st.lists(st.integers(0, 40), max_size=8),
)
@settings(max_examples=150, deadline=None)
def test_partitions_do_not_depend_on_where_batches_end(days: list[tuple[int, int]], cuts: list[int]) -> None:
    """Batches of any size, empty ones too; every row is in the one partition of its days, in order."""
    rows = rows_of(days)
    ends = [0, *sorted(min(cut, rows.height) for cut in cuts), rows.height]
    batches = [rows[begin:end] for begin, end in itertools.pairwise(ends)]

    found = list(by_days(batches))

    assert [(event, visible) for event, visible, _ in found] == sorted(
        set(rows.select("event_day", "visible_day").rows())
    )
    assert pl.concat([part for *_, part in found] or [rows.clear()]).equals(rows)
    assert [rows_digest(part) for *_, part in found] == [rows_digest(part) for *_, part in by_days([rows])]


def test_no_rows_are_no_partitions() -> None:
    assert list(by_days([])) == []
    assert list(by_days([rows_of([]), rows_of([])])) == []


def test_a_bucket_is_the_first_digit_of_the_sha256_of_the_key_as_text() -> None:
    frame = pl.DataFrame({"carrier": ["UA", "ü", 'A"', ""], "flight": [1, -2, 3, 4], "_bucket": [1.5, 2.5, 3.5, 4.5]})

    found = list(by_bucket(frame, ("carrier", "flight")))

    for bucket, rows in found:
        assert rows.columns == frame.columns
        for carrier, flight, _ in rows.iter_rows():
            text = json.dumps([carrier, str(flight)], separators=(",", ":"), ensure_ascii=False)
            assert bucket == int(hashlib.sha256(text.encode()).hexdigest()[0], 16)
    assert pl.concat([rows for _, rows in found]).sort("_bucket").equals(frame)


def test_rows_keep_their_order_within_a_bucket() -> None:
    frame = pl.DataFrame({"id": list(range(400, 0, -1))})
    found = list(by_bucket(frame, ("id",)))

    assert [bucket for bucket, _ in found] == list(range(16))
    assert all(rows["id"].is_sorted(descending=True) for _, rows in found)
    assert sum(rows.height for _, rows in found) == 400


def test_no_rows_are_in_no_bucket() -> None:
    assert list(by_bucket(pl.DataFrame(schema={"id": pl.Int64}), ("id",))) == []


def test_negative_zero_becomes_zero_and_nothing_else_changes() -> None:
    """Else equal values would have two digests."""
    frame = pl.DataFrame({"x": [-0.0, 0.0, None, -5e-324, 1.5], "n": [1, 2, 3, 4, 5]})
    found = finite(frame, "q.sql")

    assert [math.copysign(1, value) for value in found["x"] if value is not None] == [1, 1, -1, 1]
    assert found["x"].to_list() == [0.0, 0.0, None, -5e-324, 1.5]
    assert found.schema == frame.schema
    assert rows_digest(found[:1]) == rows_digest(found.with_columns(x=pl.lit(0.0))[:1])


def test_what_is_not_finite_is_refused_with_counts_and_without_rows() -> None:
    frame = pl.DataFrame({"x": [math.nan, math.inf, 1.0], "y": [1.0, None, -math.inf], "z": [None, None, 4.0]})

    with pytest.raises(NotFinite, match=r"q\.sql: NaN or infinite: `x` in 2 rows, `y` in 1 rows; turn them into NULL"):
        finite(frame, "q.sql")


def test_a_frame_without_floats_or_rows_passes() -> None:
    for frame in (pl.DataFrame({"n": [1]}), pl.DataFrame(schema={"x": pl.Float64}), pl.DataFrame({"x": [None]})):
        assert finite(frame, "q.sql").equals(frame)
