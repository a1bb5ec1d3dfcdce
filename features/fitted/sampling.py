"""What stands for a missing value: one of the training values, drawn for the row by its key."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, ClassVar, cast

import polars as pl

from features.contract import type_text
from features.fitted.declaring import (
    ANY,
    Training,
    TransformRefused,
    nothing_in,
    require_columns,
    require_type,
)
from features.fitted.drawing import drawn
from features.fitted.order_statistics import one, ordered

if TYPE_CHECKING:
    from features.contract import Feature
    from features.fitted.plain import Plain


@dataclass(frozen=True, slots=True)
class RandomSampleImputation:
    """A null becomes a training value, each as likely as it is frequent, drawn by (seed, key, column) of the row alone.

    So an entity gets the same value alone or in a crowd, and on every night: what is not known of it does not change
    from one night to the next. `each_night` draws anew on every night (the as-of then belongs to the key). Of more than
    `most_values` different values as many order statistics are kept, evenly spaced by rank, each as likely.
    """

    columns: tuple[str, ...]
    seed: int
    each_night: bool = False
    most_values: int = 1_000
    kind: ClassVar[str] = "random-sample imputation"

    def __post_init__(self) -> None:
        require_columns(self.kind, self.columns)
        for name, value in (("seed", self.seed), ("most_values", self.most_values)):
            if isinstance(value, bool) or not isinstance(value, int) or (name == "most_values" and value < 1):
                raise TransformRefused(f"{self.kind}: `{name}` is a whole number, not {value!r}")

    def gives(self, feature: Feature) -> tuple[Feature, ...]:
        """The same column without nulls."""
        require_type(self.kind, feature, ANY)
        return (replace(feature, meaning=f"{feature.meaning}; drawn from training where it is not known"),)

    def learn(self, name: str, training: Training) -> Plain:
        """The key, then the values in their order, and how many of the drawn numbers give each."""
        key = ("as_of", *training.key) if self.each_night else training.key
        for part in key:
            if type_text(training.rows.schema[part]) == "float64":
                raise TransformRefused(f"{self.kind} draws by the key, and its column `{part}` is float64")
        values = ordered(training.rows[name])
        if values.is_empty():
            raise nothing_in(self.kind, name, training)
        counted = Counter(values.to_list())
        if len(counted) > self.most_values:
            places = [(2 * part + 1) * len(values) // (2 * self.most_values) for part in range(self.most_values)]
            counted = Counter(one(values, place) for place in places)
        return key, tuple(counted.keys()), tuple(counted.values())

    def applied(self, name: str, learnt: Plain, rows: pl.DataFrame) -> tuple[pl.Series, ...]:
        """The column, filled."""
        key, values, counts = cast("tuple[tuple[str, ...], tuple[Plain, ...], tuple[int, ...]]", learnt)
        column = rows[name]
        missing = column.is_null().arg_true()
        if missing.is_empty():
            return (column,)
        of_rows = rows.select(key)[missing]
        ends = pl.Series(list(accumulate(counts)), dtype=pl.UInt64)
        place = drawn(of_rows, key, self.seed, name) % ends[-1]
        which = ends.search_sorted(place, side="right")  # exact: ascending, without equals
        chosen = pl.Series(list(values), dtype=column.dtype).gather(which)  # exact: by what was drawn
        return (column.scatter(missing, chosen),)
