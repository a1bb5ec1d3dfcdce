"""Target encoding out of fold by time: what happened to rows of the same label, as far as that had happened.

A row of night d sees the labels of nights that had matured before d began, in training as in scoring: what is kept are
sums by night, and which of them count is said by the row's own as-of. So there is one way to apply it: a training row
sees no label of its own night or a later one, and a night after the training cutoff sees all training rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, ClassVar, cast

import polars as pl

from features.contract import Feature, type_text
from features.exact import in_order, ratio, total
from features.fitted.declaring import (
    ANY,
    NothingToLearn,
    Training,
    TransformRefused,
    require_columns,
    require_type,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from polars._typing import PolarsDataType

    from features.fitted.plain import Plain

_EXACT = 2**53  # the last of the integers that float64 holds without a gap

type _Sums = tuple[tuple[date, ...], tuple[int, ...], tuple[int, ...]]
"""Nights in their order, rows, and sums of labels."""


@dataclass(frozen=True, slots=True)
class TargetEncoding:
    """The mean of the matured labels of rows with the same label, drawn towards the mean of all by `weight` rows.

    (sum of the label's + weight * mean of all) / (rows of the label + weight), as one division of integers. A null or
    unseen label has the mean of all; before any night has matured there is none, and the value is null. It is added as
    `<column><suffix>`; with no suffix it replaces the column. `fold_days` nights are summed as one, which keeps the
    state small: a row then sees whole folds.
    """

    columns: tuple[str, ...]
    weight: int = 100
    suffix: str = "_target"
    fold_days: int = 1
    kind: ClassVar[str] = "target encoding"

    def __post_init__(self) -> None:
        require_columns(self.kind, self.columns)
        for name, value in (("weight", self.weight), ("fold_days", self.fold_days)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise TransformRefused(f"{self.kind}: `{name}` is a whole number from 1, not {value!r}")

    def gives(self, feature: Feature) -> tuple[Feature, ...]:
        """The mean beside the column, or instead of it."""
        require_type(self.kind, feature, ANY - {"float64"})
        meaning = f"mean outcome so far, over at least {self.weight} rows: {feature.meaning}"
        encoded = Feature(feature.name + self.suffix, pl.Float64(), meaning)
        return (feature, encoded) if self.suffix else (encoded,)

    def learn(self, name: str, training: Training) -> Plain:
        """How many days a night takes to mature, the sums of all rows, and of each label: rows and sums by night."""
        labels = _whole_labels(self.kind, training)
        rows = training.rows.select(night="as_of", value=pl.col(name)).with_columns(labels.alias("sum"))
        nights = in_order(rows.select("night").unique(maintain_order=True), key=("night",))["night"].to_list()
        folded = rows.with_columns(
            pl.col("night").replace_strict(nights, _fold_ends(nights, self.fold_days), return_dtype=pl.Date)
        )
        of_all, of_each = _by_night(folded, ()), _by_night(folded.drop_nulls("value"), ("value",))
        self._require_exact(rows)
        each = tuple((part["value"][0], _sums(part)) for part in of_each.partition_by("value", maintain_order=True))
        return training.matures_days, _sums(of_all), each

    def _require_exact(self, rows: pl.DataFrame) -> None:
        most = rows.select(total(pl.col("sum").abs())).item() + rows.height
        if (rows.height + self.weight) * most > _EXACT:
            raise NothingToLearn(
                f"{self.kind}: {rows.height} labels add up to {most}, too much for exact sums; "
                "bring labels to a coarser unit"
            )

    def applied(self, name: str, learnt: Plain, rows: pl.DataFrame) -> tuple[pl.Expr | pl.Series, ...]:
        """The means as of the night of each row."""
        days, of_all, of_each = cast("tuple[int, _Sums, tuple[tuple[Plain, _Sums], ...]]", learnt)
        asked = rows.select("as_of", value=name)
        pairs = in_order(asked.unique(maintain_order=True), key=("as_of", "value"))
        every = _running([(None, of_all)], days, pl.Boolean()).drop("value").rename({"rows": "all_rows", "sum": "all"})
        each = _running(of_each, days, rows.schema[name])
        seen = pairs.join_asof(every, on="as_of")  # exact: by as-of, unique on the right
        seen = seen.join_asof(each, on="as_of", by="value", check_sortedness=False)  # exact: unique by value and as-of
        count, summed = pl.col("rows").fill_null(0), pl.col("sum").fill_null(0)
        mean = ratio(
            summed * pl.col("all_rows") + self.weight * pl.col("all"), (count + self.weight) * pl.col("all_rows")
        )
        found = seen.select("as_of", "value", encoded=mean)
        looked_up = asked.join(found, on=["as_of", "value"], how="left", nulls_equal=True, maintain_order="left")
        encoded = looked_up["encoded"].alias(name + self.suffix)
        return (pl.col(name), encoded) if self.suffix else (encoded,)

    def known(self, learnt: Plain) -> tuple[str, ...]:
        """The labels that training saw."""
        _, _, of_each = cast("tuple[int, _Sums, tuple[tuple[str, _Sums], ...]]", learnt)
        return tuple(value for value, _ in of_each)


def matures_days(learnt: Plain) -> int:
    """How many days after its as-of a night's labels count, by what a target encoding learnt."""
    days, *_ = cast("tuple[int, ...]", learnt)
    return days


def _whole_labels(kind: str, training: Training) -> pl.Series:
    """The labels as Int64.

    Raises:
        TransformRefused: if there are none, or other than integers: floats have sums that depend on their order.
    """
    labels = training.labels
    if labels is None:
        raise TransformRefused(f"{kind} learns of labels, and there are none")
    if not (labels.dtype.is_integer() or labels.dtype == pl.Boolean):
        raise TransformRefused(
            f"{kind} adds labels up, which must be whole: `{labels.name}` is {type_text(labels.dtype)}; "
            "scale it to integers in `labels`, such as minutes or cents"
        )
    return labels.cast(pl.Int64)


def _fold_ends(nights: list[date], fold_days: int) -> list[date]:
    """For each night the last of its fold; folds are counted from the first night on."""
    first, last = nights[0], nights[-1]
    ends = [first + timedelta(days=((night - first).days // fold_days + 1) * fold_days - 1) for night in nights]
    return [min(end, last) for end in ends]


def _by_night(rows: pl.DataFrame, by: tuple[str, ...]) -> pl.DataFrame:
    """One row per night, and value, in their order: how many rows, and the sum of their labels."""
    found = rows.group_by(*by, "night", maintain_order=True).agg(rows=pl.len().cast(pl.Int64), sum=total("sum"))
    return in_order(found, key=(*by, "night"))


def _sums(part: pl.DataFrame) -> _Sums:
    return tuple(part["night"].to_list()), tuple(part["rows"].to_list()), tuple(part["sum"].to_list())


def _running(of_each: Sequence[tuple[Plain, _Sums]], days: int, dtype: PolarsDataType) -> pl.DataFrame:
    """One row per value and as-of from which on more of its rows have matured: `rows` and `sum` up to there."""
    frame = pl.DataFrame(
        {
            "value": [value for value, (nights, _, _) in of_each for _ in nights],
            "as_of": [night for _, (nights, _, _) in of_each for night in nights],
            "rows": [count for _, (_, rows, _) in of_each for count in rows],
            "sum": [summed for _, (_, _, sums) in of_each for summed in sums],
        },
        schema={"value": dtype, "as_of": pl.Date(), "rows": pl.Int64(), "sum": pl.Int64()},
    )
    visible = pl.col("as_of").dt.offset_by(f"{days}d")
    so_far = pl.col("rows", "sum").cum_sum().over("value")  # exact: integers, by night within each value, as kept
    return in_order(frame.with_columns(visible, so_far), key=("as_of", "value"))
