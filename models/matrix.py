"""From a frame to what LightGBM reads: one row a row, one float64 a feature, in the declared order.

Null and NaN both become NaN, which is "missing". Booleans and integers are exact or refused. A label is never missing.
"""

import re
from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
import polars as pl

from models.booster import Floats
from models.objectives import NOT_NEGATIVE, POSITIVE

_EXACT = 2**53  # the last of the integers that float64 holds without a gap
_EXACT_LABEL = 2**24  # the same for float32, in which LightGBM keeps labels
_CODE_END = 2**31 - 1  # a category code is below
_NAME = re.compile(r"[A-Za-z0-9_]+")  # what LightGBM neither rewrites nor refuses


class FeaturesDiffer(ValueError):
    """A frame does not have exactly the features, in their order and as numbers."""


class NotExact(ValueError):
    """A number that float64 does not hold exactly, or an infinity."""


class CodesRefused(ValueError):
    """A categorical feature holds what is not a code from 0 to 2^31 - 2."""


class LabelsRefused(ValueError):
    """Labels are missing, all the same, or not what the objective learns."""


def check_features(found: Sequence[str], features: Sequence[str]) -> None:
    """Refuse any features but these, in this order.

    Raises:
        FeaturesDiffer: names what is missing, what is extra, or the first that stands elsewhere.
    """
    if tuple(found) == tuple(features):
        return
    missing = [name for name in features if name not in found]
    extra = [name for name in found if name not in features]
    moved = [name for name, other in zip(features, found, strict=False) if name != other]
    if missing or extra:
        said = _listed("missing", missing) + _listed("extra", extra)
    else:
        said = [f"another order from `{moved[0]}` on" if moved else "a feature named twice"]
    raise FeaturesDiffer(
        f"the features differ: {'; '.join(said)}. Score with the feature set that the model was trained with, "
        "or train again."
    )


def check_names(features: Sequence[str], categorical: Sequence[str], baseline: str = "") -> None:
    """Refuse names that LightGBM would rewrite, and a categorical feature or a baseline that is not among the features.

    The baseline may be left empty.
    """
    odd = [name for name in features if not _NAME.fullmatch(name)]
    unknown = [name for name in categorical if name not in features]
    said = [
        *_listed("not letters, digits and underscores", odd),
        *_listed("categorical but no feature", unknown),
        *_listed("the baseline but no feature", [baseline] if baseline and baseline not in features else []),
    ]
    if said or not features:
        raise FeaturesDiffer(f"features that cannot be trained: {'; '.join(said) or 'there is none'}")


def check_values(frame: pl.DataFrame, categorical: Iterable[str]) -> None:
    """Refuse columns that LightGBM would not read as they are.

    Raises:
        FeaturesDiffer: a feature is not a number.
        NotExact: an integer beyond 2^53, a decimal, or an infinity.
        CodesRefused: a categorical feature is not an integer from 0 to 2^31 - 2.
    """
    _check_types(frame)
    _check_codes(frame.select(categorical))
    _check_exact(frame)


def to_matrix(frame: pl.DataFrame, features: Sequence[str], categorical: Iterable[str]) -> Floats:
    """Rows of `frame`, in its order; only `features` are read, by name; errors as those of `check_values`."""
    chosen = frame.select(features)
    check_values(chosen, categorical)
    return as_matrix(chosen)


def as_matrix(chosen: pl.DataFrame) -> Floats:
    """The rows of a frame that passed `check_values`."""
    floats = chosen.select(pl.all().cast(pl.Float64).fill_null(float("nan")))
    return np.ascontiguousarray(floats.to_numpy(), dtype=np.float64)


def as_floats(column: pl.Series) -> Floats:
    """The values of a column that passed `check_values`."""
    floats = column.cast(pl.Float64)
    found = floats.fill_null(float("nan")) if floats.null_count() else floats
    return found.to_numpy()


def to_label(values: pl.Series, *, binary: bool) -> Floats:
    """One number a row: 0 or 1 if `binary`, else any finite one (LightGBM keeps the nearest float32 of a float).

    Raises:
        LabelsRefused: a label is null, infinite, no number, or neither 0 nor 1 where it should be.
        NotExact: an integer beyond 2^24.
    """
    if values.null_count():
        raise LabelsRefused(f"`{values.name}` is null in {values.null_count()} rows; train on matured nights only")
    if not (values.dtype.is_integer() or values.dtype.is_float() or values.dtype == pl.Boolean):
        raise LabelsRefused(f"`{values.name}` is {values.dtype}; a label is a number")
    label = np.ascontiguousarray(values.cast(pl.Float64).to_numpy())
    if binary and not np.isin(label, (0.0, 1.0)).all():
        raise LabelsRefused(f"`{values.name}` holds other values than 0 and 1")
    if not np.isfinite(label).all():
        raise LabelsRefused(f"`{values.name}` holds values that are not finite")
    if values.dtype.is_integer() and (np.abs(label) > _EXACT_LABEL).any():
        raise NotExact(f"`{values.name}` has integers beyond 2^24, which LightGBM would round")
    return label


def check_learnable(label: Floats, objective: str) -> None:
    """Refuse labels whose logarithm an objective would have to take.

    Raises:
        LabelsRefused: a label is below 0, or is 0 where that may not be.
    """
    lowest = label.min() if len(label) else 0.0
    if (objective in NOT_NEGATIVE and lowest < 0) or (objective in POSITIVE and lowest <= 0):
        least = "positive" if objective in POSITIVE else "0 or more"
        raise LabelsRefused(f"for `{objective}` every label is {least}; some are not")


def _check_types(frame: pl.DataFrame) -> None:
    for name, dtype in frame.schema.items():
        if dtype.is_decimal():
            raise NotExact(f"`{name}` is {dtype}; scale it to an integer")
        if not (dtype.is_integer() or dtype.is_float() or dtype == pl.Boolean):
            raise FeaturesDiffer(f"`{name}` is {dtype}; a feature is a number (apply the fitted state first)")


def _check_codes(frame: pl.DataFrame) -> None:
    for column in frame:
        if not column.dtype.is_integer():
            raise CodesRefused(f"`{column.name}` is categorical but {column.dtype}; codes are integers")
        lowest, highest = _range(column)
        if lowest < 0 or highest >= _CODE_END:
            raise CodesRefused(f"`{column.name}` has codes that are negative or beyond int32")


def _check_exact(frame: pl.DataFrame) -> None:
    for column in frame:
        if column.dtype.is_integer() and max(map(abs, _range(column))) > _EXACT:
            raise NotExact(f"`{column.name}` has integers beyond 2^53, which float64 does not hold exactly")
        if column.dtype.is_float() and column.is_infinite().any():
            raise NotExact(f"`{column.name}` has infinities; a share over nothing is null")


def _range(column: pl.Series) -> tuple[int, int]:
    """The lowest and the highest of a column of integers; 0 and 0 if it is all null."""
    return cast("int", column.min() or 0), cast("int", column.max() or 0)


def _listed(what: str, names: Sequence[str]) -> list[str]:
    return [f"{what} {', '.join(f'`{name}`' for name in names)}"] if names else []
