"""Fitted transforms: what is learnt of the training rows, kept as plain data, and repeated wherever rows are scored.

A feature module declares them, in order, as `TRANSFORMS`; text that none of them has replaced becomes codes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from features.contract import type_text
from features.fitted.declaring import NothingToLearn, Training, TransformRefused
from features.fitted.filling import ConstantImputation, MedianImputation, MissingIndicator
from features.fitted.holding import QuantileBins, Winsorising
from features.fitted.labelling import Codes, RareLabels
from features.fitted.sampling import RandomSampleImputation
from features.fitted.state import KINDS, Fitted, FittedRefused, State, columns_after, require_types
from features.fitted.targets import TargetEncoding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.contract import FeatureSet
    from features.fitted.declaring import Transform

__all__ = [
    "Codes",
    "ConstantImputation",
    "Fitted",
    "FittedRefused",
    "MedianImputation",
    "MissingIndicator",
    "NothingToLearn",
    "QuantileBins",
    "RandomSampleImputation",
    "RareLabels",
    "State",
    "TargetEncoding",
    "TransformRefused",
    "Winsorising",
    "apply",
    "columns_after",
    "declared",
    "fit",
    "unseen",
]


def declared(transforms: tuple[Transform, ...], feature_set: FeatureSet) -> tuple[Transform, ...]:
    """The transforms of a feature set, in order; last come codes for the text that is left.

    Raises:
        TransformRefused: if one is for a column that is not there, or has another type, or of which it stands twice; or
            if they are no tuple of transforms.
    """
    others = [each for each in transforms if not isinstance(each, KINDS)] if isinstance(transforms, tuple) else []
    if others or not isinstance(transforms, tuple):
        found = type(others[0] if others else transforms).__name__
        raise TransformRefused(f"TRANSFORMS is a tuple of transforms of features.fitted, and here is a {found}")
    seen: set[tuple[str, str]] = set()
    for transform in transforms:
        twice = [name for name in transform.columns if (transform.kind, name) in seen]
        if twice:
            raise TransformRefused(f"{transform.kind} is declared for {', '.join(twice)} twice; keep one")
        seen |= {(transform.kind, name) for name in transform.columns}
    texts = columns_after(transforms, feature_set).texts
    every = (*transforms, Codes(texts)) if texts else transforms
    columns_after(every, feature_set)
    return every


def fit(
    frame: pl.DataFrame,
    feature_set: FeatureSet,
    transforms: Sequence[Transform] = (),
    *,
    key: Sequence[str] = (),
    labels: pl.Series | None = None,
    matures_days: int = 0,
) -> Fitted:
    """Learn of training rows, one per (as_of, *key), in any order; each transform sees what those before it made.

    Args:
        frame: `as_of`, the key and the features, as they were built.
        feature_set: what the features are.
        transforms: as the feature module declares them.
        key: the columns of the key.
        labels: one integer a row, in the order of the rows.
        matures_days: after how many days the labels of a night count as known: horizon and label delay.

    Raises:
        TransformRefused: see `declared`.
        NothingToLearn: if a column that is to be learnt of has no value.
    """
    training = Training(frame, tuple(key), labels, matures_days)
    states: list[State] = []
    for transform in declared(tuple(transforms), feature_set):
        if states:
            training = replace(training, rows=_applied(training.rows, states[-1]))
        types = tuple(type_text(training.rows.schema[name]) for name in transform.columns)
        learnt = tuple(transform.learn(name, training) for name in transform.columns)
        states.append(State(transform, types, learnt))
    return Fitted(tuple(states))


def apply(frame: pl.DataFrame, fitted: Fitted) -> pl.DataFrame:
    """The frame as the model sees it: rows in their order, columns as `Fitted.columns` says.

    A row becomes what it is by itself and by the state: other rows of the frame do not matter.

    Raises:
        FittedRefused: if a column that a transform is for is not in the frame, or of another type.
    """
    for state in fitted.states:
        require_types(state, frame.schema)
        frame = _applied(frame, state)
    return frame


def unseen(frame: pl.DataFrame, fitted: Fitted) -> Mapping[str, int]:
    """How many rows of each text feature hold a label that training did not see; a null is none.

    Raises:
        FittedRefused: if such a column is not in the frame, or is no text.
    """
    wrong = [name for name in fitted.labels if frame.schema.get(name) != pl.String]
    if wrong:
        raise FittedRefused(f"the model expects text in {', '.join(wrong)}; build the frame with its feature set")
    return {
        name: frame.filter(pl.col(name).is_not_null(), ~pl.col(name).is_in(list(known))).height
        for name, known in fitted.labels.items()
    }


def _applied(frame: pl.DataFrame, state: State) -> pl.DataFrame:
    """All columns of one transform at once: none of them sees another."""
    columns = (state.transform.applied(name, learnt, frame) for name, learnt in state.by_column.items())
    return frame.with_columns(column for group in columns for column in group)
