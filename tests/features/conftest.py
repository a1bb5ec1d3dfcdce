"""Small visible tables, and nights in New York."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from features.clock import Cutoff, begins

if TYPE_CHECKING:
    from collections.abc import Callable

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
