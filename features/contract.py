"""What a feature frame is: its columns, their order and types, declared once; a frame has exactly them or none."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import dataframely as dy
import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from polars._typing import PolarsDataType, SchemaDict

_KINDS: tuple[tuple[PolarsDataType, str, type[dy.Column]], ...] = (
    (pl.Int8(), "int8", dy.Int8),
    (pl.Int16(), "int16", dy.Int16),
    (pl.Int32(), "int32", dy.Int32),
    (pl.Int64(), "int64", dy.Int64),
    (pl.Float64(), "float64", dy.Float64),
    (pl.Boolean(), "bool", dy.Bool),
    (pl.String(), "text", dy.String),
    (pl.Date(), "date", dy.Date),
)


class ColumnsDiffer(Exception):
    """A frame does not have exactly the declared columns."""


class RowsDiffer(Exception):
    """A frame has the declared columns, but rows that it may not have: a key twice or null, or a NaN."""


class FeatureSetRefused(Exception):
    """A feature set is declared with a name twice, or with a type that no feature has."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One column that a model sees: its name (with unit and window), its type, and what it means."""

    name: str
    dtype: PolarsDataType
    meaning: str


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """The frozen, ordered columns of one job. A change of them is a new version."""

    name: str
    version: int
    features: tuple[Feature, ...]

    def __post_init__(self) -> None:
        names = self.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise FeatureSetRefused(f"the feature set {self.name} declares {', '.join(twice)} twice; keep one")
        for feature in self.features:
            type_text(feature.dtype)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features, in order."""
        return tuple(feature.name for feature in self.features)

    @property
    def schema(self) -> SchemaDict:
        """Name to type, in order."""
        return {feature.name: feature.dtype for feature in self.features}

    @property
    def texts(self) -> tuple[str, ...]:
        """The names of the features that are text until they are replaced by codes, in order."""
        return tuple(feature.name for feature in self.features if feature.dtype == pl.String)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (64 lower-case hex digits) of name, version, and the ordered names and types; not of meanings."""
        columns = [[feature.name, type_text(feature.dtype)] for feature in self.features]
        facts = {"features": columns, "name": self.name, "version": self.version}
        canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def conform(self, frame: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
        """The frame itself, one row per (as_of, *key), if it has exactly the columns `as_of, *key, *features`.

        Raises:
            ColumnsDiffer: naming the columns that are missing, extra, retyped, or in another order.
            RowsDiffer: counting the rows whose key is null or not unique, or where a number is NaN or infinite.
        """
        of_key = {name: frame.schema.get(name, pl.Null()) for name in key}
        columns: SchemaDict = {"as_of": pl.Date(), **of_key, **self.schema}
        differences = "; ".join(_differences(frame, columns))
        if differences:
            raise ColumnsDiffer(
                f"not the columns of {self.name} version {self.version}: {differences}. "
                "Score with the feature set that the model was trained with, or train again."
            )
        _refuse_rows(self, frame, ("as_of", *key))
        return frame


def type_text(dtype: PolarsDataType) -> str:
    """Our own word for a type, which no release of Polars can rename.

    Raises:
        FeatureSetRefused: for a type that no column of a feature frame has.
    """
    return _kind(dtype)[0]


def type_named(text: str) -> PolarsDataType:
    """The type that has this word.

    Raises:
        FeatureSetRefused: if none has.
    """
    for dtype, known, _ in _KINDS:
        if known == text:
            return dtype
    raise FeatureSetRefused(f"{text!r} is no type of a feature frame; its types are {_known_texts()}")


def _kind(dtype: PolarsDataType) -> tuple[str, type[dy.Column]]:
    for known, text, column in _KINDS:
        if dtype == known:
            return text, column
    raise FeatureSetRefused(f"a column of type {dtype} is not in a feature frame; its types are {_known_texts()}")


def _known_texts() -> str:
    return ", ".join(text for _, text, _ in _KINDS)


def _differences(frame: pl.DataFrame, columns: SchemaDict) -> Iterator[str]:
    """What is not as declared, a phrase each; the order is only looked at where the columns are the same."""
    found = frame.schema
    missing = [name for name in columns if name not in found]
    extra = [name for name in found if name not in columns]
    retyped = [
        f"{name} ({found[name]}, not {dtype})"
        for name, dtype in columns.items()
        if name in found and found[name] != dtype
    ]
    moved = [] if missing or extra else [a for a, b in zip(found, columns, strict=True) if a != b]
    for what, names in (("missing", missing), ("extra", extra), ("retyped", retyped), ("reordered", moved)):
        if names:
            yield f"{what} {', '.join(names)}"


def _refuse_rows(feature_set: FeatureSet, frame: pl.DataFrame, key: Sequence[str]) -> None:
    failures = row_contract(tuple(frame.schema.items()), tuple(key)).filter(frame).failure.counts()
    if failures:
        counts = ", ".join(f"{rule} in {count} row(s)" for rule, count in sorted(failures.items()))
        raise RowsDiffer(f"rows that {feature_set.name} version {feature_set.version} does not allow: {counts}")


@cache
def row_contract(schema: tuple[tuple[str, PolarsDataType], ...], key: tuple[str, ...]) -> type[dy.Schema]:
    """The contract of the rows: the key is unique and without nulls, a feature may be null but not NaN or infinite."""
    columns = {
        name: _kind(dtype)[1](primary_key=True) if name in key else _kind(dtype)[1](nullable=True)
        for name, dtype in schema
    }
    return type("FeatureFrame", (dy.Schema,), columns)
