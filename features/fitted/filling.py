"""What stands for a value that is missing: a median, a constant, and a mark that it was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from fractions import Fraction
from math import isfinite
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from features.contract import Feature, type_text
from features.fitted.declaring import (
    ANY,
    NUMBERS,
    WHOLE,
    Training,
    TransformRefused,
    nothing_in,
    require_columns,
    require_type,
)
from features.fitted.order_statistics import at_share, ordered

if TYPE_CHECKING:
    from features.fitted.plain import Plain

_HALF = Fraction(1, 2)
_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}


@dataclass(frozen=True, slots=True)
class MedianImputation:
    """A null becomes the median of the training values: of an even number of them the lower one of the middle two.

    So it is a value that occurred, and a column keeps its type.
    """

    columns: tuple[str, ...]
    kind: ClassVar[str] = "median imputation"

    def __post_init__(self) -> None:
        require_columns(self.kind, self.columns)

    def gives(self, feature: Feature) -> tuple[Feature, ...]:
        """The same column without nulls."""
        require_type(self.kind, feature, NUMBERS)
        return (replace(feature, meaning=f"{feature.meaning}; the median of training where it is not known"),)

    def learn(self, name: str, training: Training) -> Plain:
        """The median."""
        values = ordered(training.rows[name])
        if values.is_empty():
            raise nothing_in(self.kind, name, training)
        return at_share(values, _HALF)

    def applied(self, name: str, learnt: Plain, rows: pl.DataFrame) -> tuple[pl.Expr, ...]:
        """The column, filled."""
        return (_filled(name, learnt, rows),)


@dataclass(frozen=True, slots=True)
class ConstantImputation:
    """A null becomes `value`."""

    columns: tuple[str, ...]
    value: float | str | bool | date
    kind: ClassVar[str] = "constant imputation"

    def __post_init__(self) -> None:
        require_columns(self.kind, self.columns)

    def gives(self, feature: Feature) -> tuple[Feature, ...]:
        """The same column without nulls."""
        require_type(self.kind, feature, ANY)
        if not _is_of_type(self.value, type_text(feature.dtype)):
            raise TransformRefused(
                f"{self.kind}: {self.value!r} is no value of `{feature.name}`, which is {type_text(feature.dtype)}"
            )
        return (replace(feature, meaning=f"{feature.meaning}; {self.value} where it is not known"),)

    def learn(self, name: str, training: Training) -> Plain:  # noqa: ARG002  declared, not learnt
        """Nothing: the value is declared."""
        return None

    def applied(self, name: str, learnt: Plain, rows: pl.DataFrame) -> tuple[pl.Expr, ...]:  # noqa: ARG002  as above
        """The column, filled."""
        return (_filled(name, self.value, rows),)


@dataclass(frozen=True, slots=True)
class MissingIndicator:
    """Adds `<column>_missing`: 1 where the column is null, else 0. It belongs before what fills the column."""

    columns: tuple[str, ...]
    kind: ClassVar[str] = "missing indicator"

    def __post_init__(self) -> None:
        require_columns(self.kind, self.columns)

    def gives(self, feature: Feature) -> tuple[Feature, ...]:
        """The column as it is, and the mark."""
        require_type(self.kind, feature, ANY)
        return feature, Feature(f"{feature.name}_missing", pl.Int8(), f"1 if not known: {feature.meaning}")

    def learn(self, name: str, training: Training) -> Plain:  # noqa: ARG002  there is nothing to learn
        """Nothing."""
        return None

    def applied(self, name: str, learnt: Plain, rows: pl.DataFrame) -> tuple[pl.Expr, ...]:  # noqa: ARG002  as above
        """The column as it is, and the mark."""
        return pl.col(name), pl.col(name).is_null().cast(pl.Int8).alias(f"{name}_missing")


def _filled(name: str, value: Plain, rows: pl.DataFrame) -> pl.Expr:
    return pl.col(name).fill_null(pl.lit(value, rows.schema[name]))


def _is_of_type(value: object, kind: str) -> bool:
    """Whether a constant is a value of a column, without any conversion."""
    match value:
        case bool():
            return kind == "bool"
        case int():
            return kind in WHOLE and -(2 ** (_BITS[kind] - 1)) <= value < 2 ** (_BITS[kind] - 1)
        case float():
            return kind == "float64" and isfinite(value)
        case str():
            return kind == "text"
        case date():
            return kind == "date"
    return False
