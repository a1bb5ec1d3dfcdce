"""Numbers held within quantiles of training, or told by the quantiles that they lie between."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar, cast

import polars as pl

from features.contract import Feature
from features.fitted.declaring import (
    NUMBERS,
    Training,
    TransformRefused,
    nothing_in,
    require_columns,
    require_type,
    share,
)
from features.fitted.order_statistics import at_share, ordered

if TYPE_CHECKING:
    from features.fitted.plain import Plain

_LEAST_BINS, _MOST_BINS = 2, 1_000


@dataclass(frozen=True, slots=True)
class Winsorising:
    """A value under the `low` quantile of the training values becomes that quantile, one above `high` that.

    Shares are decimal text. A quantile is the least value that at least this share of the values does not exceed: one
    that occurred, never one between two. A null stays null.
    """

    columns: tuple[str, ...]
    low: str = "0.01"
    high: str = "0.99"
    kind: ClassVar[str] = "winsorising"

    def __post_init__(self) -> None:
        require_columns(self.kind, self.columns)
        if share(self.kind, "low", self.low) >= share(self.kind, "high", self.high):
            raise TransformRefused(f"{self.kind}: `low` is below `high`, not {self.low} and {self.high}")

    def gives(self, feature: Feature) -> tuple[Feature, ...]:
        """The same column, held."""
        require_type(self.kind, feature, NUMBERS)
        return (replace(feature, meaning=f"{feature.meaning}; held within the quantiles {self.low} and {self.high}"),)

    def learn(self, name: str, training: Training) -> Plain:
        """The two quantiles."""
        values = ordered(training.rows[name])
        if values.is_empty():
            raise nothing_in(self.kind, name, training)
        return at_share(values, Fraction(self.low)), at_share(values, Fraction(self.high))

    def applied(self, name: str, learnt: Plain, rows: pl.DataFrame) -> tuple[pl.Expr, ...]:
        """The column, held."""
        low, high = (pl.lit(bound, rows.schema[name]) for bound in cast("tuple[float, float]", learnt))
        value = pl.col(name)
        return (pl.when(value < low).then(low).when(value > high).then(high).otherwise(value).alias(name),)


@dataclass(frozen=True, slots=True)
class QuantileBins:
    """A number becomes how many borders it exceeds (Int32): at most `bins` - 1, which cut training into equal parts.

    Borders are quantiles as `Winsorising` has them; where several fall on one value they are one, and there are fewer
    bins. With a `suffix` the bin is added as `<column><suffix>`, and the column stays. A null stays null.
    """

    columns: tuple[str, ...]
    bins: int = 10
    suffix: str = ""
    kind: ClassVar[str] = "quantile bins"

    def __post_init__(self) -> None:
        require_columns(self.kind, self.columns)
        if isinstance(self.bins, bool) or not isinstance(self.bins, int) or not _LEAST_BINS <= self.bins <= _MOST_BINS:
            raise TransformRefused(
                f"{self.kind}: `bins` is a whole number from {_LEAST_BINS} to {_MOST_BINS}, not {self.bins!r}"
            )

    def gives(self, feature: Feature) -> tuple[Feature, ...]:
        """The bin instead of the column, or beside it."""
        require_type(self.kind, feature, NUMBERS)
        bins = Feature(feature.name + self.suffix, pl.Int32(), f"which of {self.bins} quantile bins: {feature.meaning}")
        return (feature, bins) if self.suffix else (bins,)

    def learn(self, name: str, training: Training) -> Plain:
        """The borders, ascending."""
        values = ordered(training.rows[name])
        if values.is_empty():
            raise nothing_in(self.kind, name, training)
        borders = [at_share(values, Fraction(part, self.bins)) for part in range(1, self.bins)]
        return tuple(dict.fromkeys(borders))

    def applied(self, name: str, learnt: Plain, rows: pl.DataFrame) -> tuple[pl.Expr, ...]:
        """The bin instead of the column, or beside it."""
        value, dtype = pl.col(name), rows.schema[name]
        exceeded = pl.when(value.is_not_null()).then(pl.lit(0, pl.Int32))
        found: pl.Expr = exceeded
        for border in cast("tuple[float, ...]", learnt):
            found = found + (value > pl.lit(border, dtype)).cast(pl.Int32)
        binned = found.alias(name + self.suffix)
        return (value, binned) if self.suffix else (binned,)
