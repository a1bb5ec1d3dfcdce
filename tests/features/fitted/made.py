"""Frames for transforms: one row per (night, number), the columns as given."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl

from features.contract import Feature, FeatureSet
from features.fitted import apply, fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.fitted import Fitted
    from features.fitted.declaring import Transform

FIRST = date(2013, 3, 1)
KEY = ("number",)


def made(nights: Sequence[int] | None = None, numbers: Sequence[int] | None = None, **columns: object) -> pl.DataFrame:
    """A frame of some columns; nights are counted from the first of March, by default all rows are of that one."""
    height = len(next(iter(columns.values())))  # type: ignore[arg-type]
    return pl.DataFrame(
        {
            "as_of": [FIRST + timedelta(days=night) for night in nights or [0] * height],
            "number": list(numbers or range(height)),
            **columns,
        }
    )


def set_of(frame: pl.DataFrame) -> FeatureSet:
    """The columns beside night and number as a feature set."""
    columns = frame.drop("as_of", *KEY).schema.items()
    return FeatureSet("made", 1, tuple(Feature(name, dtype, name) for name, dtype in columns))


def fitted_on(frame: pl.DataFrame, *transforms: Transform, labels: Sequence[object] = (), days: int = 2) -> Fitted:
    """What transforms learn of a frame."""
    series = pl.Series("label", labels) if labels else None
    return fit(frame, set_of(frame), transforms, key=KEY, labels=series, matures_days=days)


def applied(frame: pl.DataFrame, *transforms: Transform, to: pl.DataFrame | None = None) -> pl.DataFrame:
    """A frame, or another, as transforms change it that learnt of the frame."""
    return apply(frame if to is None else to, fitted_on(frame, *transforms)).drop("as_of", *KEY)
