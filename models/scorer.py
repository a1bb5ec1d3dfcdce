"""The scorer: one raw score a row, the same bits for any number of threads and any batches."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from models import booster
from models.booster import Floats, ModelTextRefused
from models.matrix import FeaturesDiffer, check_features, to_matrix

_OVERFLOW = 709.782712893384  # math.exp raises beyond, where C's exp gives infinity


@dataclass(frozen=True)
class Model:
    """One trained model, ready to score.

    The raw score is the canonical result; the probability is derived from it.
    """

    features: tuple[str, ...]
    categorical: tuple[str, ...]
    objective: str
    sigmoid: float
    """Slope of the logistic curve; 0 where the score is the raw score itself."""
    _booster: Any

    @classmethod
    def load(cls, text: str, features: tuple[str, ...]) -> "Model":
        """Load a model from the canonical text that `train` gave, for the features that it was trained with.

        A damaged text may abort or hang the process, or score silently otherwise: the caller compares the SHA-256 of
        the text with the recorded one *before* this is called.

        Raises:
            FeaturesDiffer: the model was trained with other features, or in another order.
            ModelTextRefused: the text is not one of ours.
        """
        header = _header(text)
        check_features(features, tuple(header["feature_names"].split(" ")))
        objective, sigmoid = _objective(header["objective"])
        loaded = booster.load(text)
        codes = tuple(features[index] for index in loaded.categorical())
        return cls(features, codes, objective, sigmoid, loaded)

    def raw_scores(
        self, frame: pl.DataFrame, order: Sequence[str] = (), threads: int = 1, batch_rows: int = 65_536
    ) -> Floats:
        """One raw score a row of `frame`, in its order.

        `order` are the columns beside the features (night and key), which are set aside. All others must be exactly the
        features, in their order. Null and NaN are missing. Neither `threads` nor `batch_rows` changes a bit.

        Raises:
            FeaturesDiffer, NotExact, CodesRefused: see `models.matrix`.
        """
        absent = [name for name in order if name not in frame.columns]
        if absent:
            raise FeaturesDiffer(f"the frame has no `{absent[0]}`, by which it should be ordered")
        check_features([name for name in frame.columns if name not in order], self.features)
        return self.raw_of(to_matrix(frame, self.features, self.categorical), threads, batch_rows)

    def raw_of(self, matrix: Floats, threads: int, batch_rows: int = 65_536) -> Floats:
        """One raw score a row of a matrix that `models.matrix.to_matrix` made."""
        if batch_rows < 1:
            raise ValueError(f"a batch has at least 1 row; got {batch_rows}")
        scores = np.empty(len(matrix), dtype=np.float64)
        for start in range(0, len(matrix), batch_rows):
            batch = matrix[start : start + batch_rows]
            scores[start : start + batch_rows] = booster.raw(self._booster, batch, threads)
        return scores

    def probability(self, raw: Floats) -> Floats:
        """One score a raw score: its probability if the objective is binary, itself otherwise.

        Computed as LightGBM does, with the exponential of the C library, element by element: numpy's own differs in the
        last bit on some rows.
        """
        if not self.sigmoid:
            return raw.copy()
        return np.array([_logistic(self.sigmoid * one) for one in raw.tolist()], dtype=np.float64)


def _logistic(x: float) -> float:
    return 0.0 if -x > _OVERFLOW else 1.0 / (1.0 + math.exp(-x))


def _header(text: str) -> dict[str, str]:
    """Read the `name=value` lines before the first tree."""
    lines = text.partition("\n\n")[0].splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    absent = [name for name in ("version", "objective", "feature_names") if name not in found]
    if lines[:1] != ["tree"] or absent:
        raise ModelTextRefused(f"this is not the text of a model: no {', '.join(absent) or 'first line `tree`'}")
    return found


def _objective(line: str) -> tuple[str, float]:
    """Name and slope from `binary sigmoid:1` or `regression`."""
    name, _, rest = line.partition(" ")
    if name == "regression" and not rest:
        return name, 0.0
    if name == "binary" and rest.startswith("sigmoid:"):
        return name, float(rest.removeprefix("sigmoid:"))
    raise ModelTextRefused(f"objective `{line}` is neither binary nor regression")
