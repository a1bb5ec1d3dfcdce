"""Copies of a warehouse's tables: in other orders, with another future, and nothing else changed."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import duckdb
import pytest

from jobs.definition import load_job
from jobs.proofs.poison import Edge, poison_events, poison_knowledge
from jobs.proofs.sources import Source, copy_sources, sources_of, unchanged
from jobs.warehouse.extraction import WarehouseUnavailable

if TYPE_CHECKING:
    from pathlib import Path

CUTOFF = datetime(2013, 9, 1, 4, tzinfo=UTC)
END = datetime(2013, 9, 2, 4, tzinfo=UTC)
MEASURED = Source(
    path=("lab", "measured"),
    columns=(
        "id",
        "place",
        "happened_at",
        "known_at",
        "tiny",
        "whole",
        "part",
        "money",
        "said",
        "good",
        "on_day",
        "kind",
    ),
    key=("id", "place"),
    event_time=("happened_at",),
    known_time=("known_at",),
    population=False,
    bounded=True,
    appended=True,
)
_TABLE = """
CREATE SCHEMA lab;
CREATE TYPE kinds AS ENUM ('a', 'b');
CREATE TABLE lab.measured_rows (id INTEGER, place VARCHAR, happened_at TIMESTAMPTZ, known_at {known}, tiny TINYINT,
    whole BIGINT, part DOUBLE, money DECIMAL(6, 2), said VARCHAR, good BOOLEAN, on_day DATE, kind kinds,
    unread INTEGER);
INSERT INTO lab.measured_rows
    SELECT n, 'p' || (n % 3), TIMESTAMPTZ '2013-08-25 00:00:00+00' + INTERVAL 1 HOUR * n,
        CAST(TIMESTAMPTZ '2013-08-25 00:00:00+00' + INTERVAL 1 HOUR * (n + n % 30) AS {known}),
        n % 100, n, n / 7, n / 10, 'x' || n, n % 2 = 0,
        DATE '2013-08-25' + CAST(n // 24 AS INTEGER), 'a', n
    FROM range(300) AS t(n);
CREATE VIEW lab.measured AS FROM lab.measured_rows;
"""


@pytest.fixture(params=["TIMESTAMPTZ", "TIMESTAMP"])
def warehouse(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """300 hourly rows of every type around the cutoff, read through a view; some become known a day later."""
    path = tmp_path / "ware'house.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute(_TABLE.format(known=request.param))
    return path


def rows(path: Path, where: str = "true") -> list[tuple]:
    with duckdb.connect(str(path)) as con:
        con.execute("SET TimeZone = 'UTC'")
        return con.execute(f"SELECT {', '.join(MEASURED.columns)} FROM lab.measured WHERE {where}").fetchall()


PAST = f"happened_at < TIMESTAMPTZ '{CUTOFF}' AND CAST(known_at AS TIMESTAMPTZ) < TIMESTAMPTZ '{CUTOFF}'"


def poisoned(warehouse: Path, poison: object, *, unseen: bool = False) -> Path:
    copy = warehouse.with_name("copy.duckdb")
    copy_sources(warehouse, copy, [MEASURED], None, partial(poison, Edge(CUTOFF, END, 1_000_000, unseen)))  # type: ignore[operator]
    return copy


@pytest.mark.parametrize("poison", [poison_events, poison_knowledge])
def test_the_past_stays_and_everything_else_is_extreme(warehouse: Path, poison: object) -> None:
    """Every column that is neither key nor clock, of every type that can be extreme; the ENUM is left alone."""
    copy = poisoned(warehouse, poison)
    by_clock = "happened_at" if poison is poison_events else "known_at"
    changed = rows(copy, f"CAST({by_clock} AS TIMESTAMPTZ) >= TIMESTAMPTZ '{CUTOFF}'")

    assert sorted(rows(copy, PAST)) == sorted(rows(warehouse, PAST))
    assert len(changed) > 100
    assert {row[4:7] + row[7:9] for row in changed} == {(100, 1_000_000, 1e6, changed[0][7], "POISON")}
    assert float(changed[0][7]) == 9999.0
    originals = {row[0]: row for row in rows(warehouse)}
    assert all(row[9] != originals[row[0]][9] for row in changed if row[0] in originals)


def test_what_happens_later_claims_to_have_been_known_before(warehouse: Path) -> None:
    """So that only the bound on event time keeps it out; versions of a row stay apart."""
    later = rows(poisoned(warehouse, poison_events), f"happened_at >= TIMESTAMPTZ '{CUTOFF}'")

    assert {row[3].replace(tzinfo=UTC) < CUTOFF for row in later} == {True}
    assert len({(row[0], row[1], row[3]) for row in later}) == len(later)
    assert {row[2] for row in later} >= {CUTOFF}, "the very edge is among them"


def test_all_that_was_known_is_corrected_in_the_instant_of_the_cutoff(warehouse: Path) -> None:
    """Once each, under its key; and once each under a key that nothing had."""
    known = rows(warehouse, f"CAST(known_at AS TIMESTAMPTZ) < TIMESTAMPTZ '{CUTOFF}'")
    at_edge = rows(poisoned(warehouse, poison_knowledge), f"CAST(known_at AS TIMESTAMPTZ) = TIMESTAMPTZ '{CUTOFF}'")
    keys = {row[:2] for row in rows(warehouse)}

    assert sum(row[:2] in keys for row in at_edge) == len(known)
    assert sum(row[:2] not in keys for row in at_edge) == len(known)


def test_rows_that_are_overwritten_are_corrected_only_where_nobody_looks(warehouse: Path) -> None:
    """Two rows of one key would break the contract of a later look; before the cutoff nobody may see them."""
    overwritten = Source(**{name: getattr(MEASURED, name) for name in MEASURED.__slots__} | {"appended": False})
    keys = {row[:2] for row in rows(warehouse)}
    for unseen in (False, True):
        copy = warehouse.with_name("copy.duckdb")
        copy_sources(warehouse, copy, [overwritten], None, partial(poison_knowledge, Edge(CUTOFF, END, 10, unseen)))
        at_edge = rows(copy, f"CAST(known_at AS TIMESTAMPTZ) = TIMESTAMPTZ '{CUTOFF}'")
        assert any(row[:2] in keys for row in at_edge) is unseen


def test_another_order_is_another_order_of_the_same_rows(warehouse: Path) -> None:
    copy = warehouse.with_name("copy.duckdb")
    copy_sources(warehouse, copy, [MEASURED], "hash(source, 1)", unchanged)

    assert rows(copy) != rows(warehouse)
    assert sorted(rows(copy)) == sorted(rows(warehouse))


def test_a_warehouse_that_somebody_writes_to_is_unavailable(warehouse: Path) -> None:
    with pytest.raises(WarehouseUnavailable, match="cannot be copied"):
        copy_sources(warehouse.with_name("none.duckdb"), warehouse.with_name("c.duckdb"), [MEASURED], None, unchanged)


def test_the_job_s_sources_say_what_is_scored_bounded_and_corrected() -> None:
    found = {source.path[-1]: source for source in sources_of(load_job("flight_delay").queries())}

    assert list(found) == ["scheduled_flights", "flight_outcomes", "weather", "planes", "airports"]
    assert [name for name, source in found.items() if source.population] == ["scheduled_flights"]
    assert [name for name, source in found.items() if source.bounded] == ["flight_outcomes", "weather"]
    assert [name for name, source in found.items() if source.appended] == ["flight_outcomes"]
    assert found["flight_outcomes"].values == ("tailnum", "dep_delay_min", "arr_delay_min", "air_time_min", "cancelled")
