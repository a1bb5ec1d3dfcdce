"""Small visible tables, and nights in New York."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import duckdb
import polars as pl
import pytest

from features.clock import Cutoff, begins
from jobs.definition import load_job
from jobs.warehouse.bounds import bounds_of
from jobs.warehouse.duckdb_file import open_duckdb_file
from jobs.warehouse.sample import load_sample

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from polars._typing import SchemaDict

NEW_YORK = "America/New_York"


def _cell(text: str, dtype: object) -> object:
    if text == "-":
        return None
    if dtype == pl.Date:
        return date.fromisoformat(text)
    if dtype == pl.Datetime:
        return datetime.fromisoformat(text + "+00:00")
    if dtype == pl.String:
        return text
    return int(text)


@pytest.fixture(scope="session")
def table() -> Callable[..., pl.DataFrame]:
    """Rows from text: a line of names, then cells between bars; `-` is null, other types than Int64 by name."""

    def parse(text: str, **dtypes: pl.DataType) -> pl.DataFrame:
        lines = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
        schema: SchemaDict = {name: _dtype(name, dtypes) for name in lines[0]}
        rows = [[_cell(cell, dtype) for cell, dtype in zip(line, schema.values(), strict=True)] for line in lines[1:]]
        return pl.DataFrame(rows, schema=schema, orient="row")

    return parse


def _dtype(name: str, dtypes: dict[str, pl.DataType]) -> pl.DataType:
    if name in dtypes:
        return dtypes[name]
    if name.endswith(("_day", "as_of", "_date")):
        return pl.Date()
    return pl.Datetime("us", "UTC") if name.endswith("_at") else pl.Int64()


@pytest.fixture(scope="session")
def night() -> Callable[..., list[Cutoff]]:
    """The nights from a day on."""

    def nights(first: str, count: int = 1) -> list[Cutoff]:
        days = [date.fromisoformat(first) + timedelta(days=n) for n in range(count)]
        return [Cutoff(day, begins(day, NEW_YORK)) for day in days]

    return nights


# What a real warehouse does and the sample does not: outcomes that become known days late, corrections that come some
# minutes or days later, and corrections of corrections. `flight` and the day decide, so that it is the same every time.
INJECTED = """
    UPDATE flight_outcomes SET recorded_at = recorded_at + to_hours(flight % 7 * 20)
    WHERE (flight + day(flight_date)) % 17 = 0;

    INSERT INTO flight_outcomes BY NAME
    SELECT * REPLACE (
        coalesce(arr_delay_min, 0) + 30 AS arr_delay_min,
        false AS cancelled,
        recorded_at + to_minutes(flight % 5 * 1000 + 1) AS recorded_at
    ) FROM flight_outcomes WHERE (flight + day(flight_date)) % 13 = 0;

    INSERT INTO flight_outcomes BY NAME
    SELECT * REPLACE (
        NULL AS arr_delay_min,
        flight % 2 = 0 AS cancelled,
        recorded_at + to_minutes(flight % 3 * 2000 + 7000) AS recorded_at
    ) FROM flight_outcomes WHERE (flight + day(flight_date)) % 91 = 0;
"""


@pytest.fixture(scope="session")
def real_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The flights of 2013, with late outcomes and corrections injected."""
    path = tmp_path_factory.mktemp("real") / "warehouse.duckdb"
    load_sample(path)
    with duckdb.connect(str(path)) as con:
        con.execute(INJECTED)
    return path


@pytest.fixture(scope="session")
def real_tables(real_warehouse: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, pl.LazyFrame]:
    """What the versioned SQL gives of it for training as of 21 March, nights from 5 March; a clock change is within."""
    job = load_job("flight_delay")
    as_of, first, spill = date(2013, 3, 21), date(2013, 3, 5), tmp_path_factory.mktemp("spill")
    tables = {}
    with open_duckdb_file(real_warehouse, job.calendar, job.horizon_days, spill) as warehouse:
        for query in job.queries():
            bounds = bounds_of(query, as_of, first, job.horizon_days)
            assert bounds
            assert warehouse.check_keys(query, bounds)
            tables[query.table] = pl.concat(warehouse.rows(query, bounds)).lazy()
    return tables
