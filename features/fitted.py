"""What a transform learns at training and scoring repeats: for now, the codes of the text features.

Plain data: it is kept beside the model as JSON and comes back equal.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.contract import FeatureSet


class FittedRefused(Exception):
    """The text is no fitted state, or the frame has no such text column."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The labels of each text feature, in the order of the features; a label's code is its place among the labels.

    Labels are ordered by their UTF-8 bytes.
    """

    labels: tuple[tuple[str, tuple[str, ...]], ...]

    def to_json(self) -> str:
        """Canonical JSON: equal states give equal text."""
        return json.dumps({"labels": [[name, list(known)] for name, known in self.labels]}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Fitted:
        """The state that `to_json` wrote.

        Raises:
            FittedRefused: if the text is anything else.
        """
        try:
            return cls(tuple((str(name), tuple(map(str, known))) for name, known in json.loads(text)["labels"]))
        except (ValueError, KeyError, TypeError) as error:
            raise FittedRefused("this is not a fitted state as `to_json` writes it; train again") from error


def fit(frame: pl.DataFrame, feature_set: FeatureSet) -> Fitted:
    """Learn the labels of each text feature from a training frame; a null is no label."""
    return Fitted(tuple((name, _labels(frame[name])) for name in feature_set.texts))


def apply(frame: pl.DataFrame, fitted: Fitted) -> pl.DataFrame:
    """The frame, rows and columns in their order, with codes (Int32) for text; a label unseen at training is null.

    Raises:
        FittedRefused: if a text column of the fitted state is not in the frame, or is not text.
    """
    _require_text(frame, fitted)
    return frame.with_columns(_code(name, known) for name, known in fitted.labels)


def unseen(frame: pl.DataFrame, fitted: Fitted) -> Mapping[str, int]:
    """How many rows of each text feature hold a label that training did not see; a null is none."""
    _require_text(frame, fitted)
    return {
        name: frame.filter(pl.col(name).is_not_null(), ~pl.col(name).is_in(list(known))).height
        for name, known in fitted.labels
    }


def _labels(column: pl.Series) -> tuple[str, ...]:
    return tuple(sorted(column.drop_nulls().unique(maintain_order=True).to_list(), key=str.encode))


def _code(name: str, known: tuple[str, ...]) -> pl.Expr:
    codes = list(range(len(known)))
    return pl.col(name).replace_strict(list(known), codes, default=None, return_dtype=pl.Int32)


def _require_text(frame: pl.DataFrame, fitted: Fitted) -> None:
    wrong = [name for name, _ in fitted.labels if frame.schema.get(name) != pl.String]
    if wrong:
        raise FittedRefused(f"the model expects text in {', '.join(wrong)}; build the frame with its feature set")
