"""The scorer: one raw score a row, the same bits for any number of threads, any batches, and whichever engine.

There are two engines: LightGBM's `predict`, and the kernel (`models.kernel`), which takes large nights. Before the
first score of the kernel counts, it has to give LightGBM's bits: on golden rows, where the model was told of them, and
on the first rows of the night.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import polars as pl

from models import booster
from models.booster import Floats, ModelTextRefused
from models.calibration import Calibration
from models.curve import Curve
from models.golden import bits_differing
from models.kernel.choice import KERNEL, LIGHTGBM, Kernel
from models.matrix import FeaturesDiffer, as_floats, as_matrix, check_features, check_values
from models.objectives import OBJECTIVES, Objective

_ASKED_ROWS = 1_000  # of the first night that the kernel scores, which LightGBM scores too


type _Batch = Callable[[int, int], Floats]
"""The matrix of the rows from one up to another."""
type _Read = Callable[[int, int, int], Floats]
"""The values of one feature in the rows from one up to another."""


class EnginesDiffer(Exception):
    """The kernel gives another raw score than LightGBM's `predict`."""


@dataclass(slots=True, eq=False)
class Asked:
    """Whether the kernel of one model has passed what it was asked."""

    passed: bool = False


@dataclass(frozen=True)
class Model:
    """One trained model, ready to score.

    The raw score is the canonical result; the probability is derived from it.
    """

    features: tuple[str, ...]
    categorical: tuple[str, ...]
    objective: Objective
    curve: Curve
    kernel: Kernel
    _booster: Any
    _only: str = ""
    """The one engine that may score; empty if the rows decide."""
    _by: str = ""
    """The engine that somebody else has chosen for these rows, which the kernel has to deserve all the same."""
    _proof: Callable[["Model"], None] | None = None
    _asked: Asked = field(default_factory=Asked, compare=False)

    @classmethod
    def load(cls, text: str, features: tuple[str, ...], calibration: Calibration | None = None) -> "Model":
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
        return cls(features, codes, objective, Curve(OBJECTIVES[objective], sigmoid, calibration), Kernel(text), loaded)

    def only(self, engine: str) -> "Model":
        """The same model, scored by one engine, KERNEL or LIGHTGBM of `models.kernel.choice`, whatever the rows."""
        return replace(self, _only=engine, _proof=None, _asked=Asked())

    def by(self, engine: str) -> "Model":
        """The same model, scored by an engine that an ensemble chose; the kernel is asked as ever, once for all."""
        return replace(self, _by=engine)

    def proven_by(self, proof: Callable[["Model"], None]) -> "Model":
        """The same model; its kernel, once it is chosen, has to pass `proof` first, as a model that it alone scores."""
        return replace(self, _proof=proof, _asked=Asked())

    def engine_for(self, rows: int, threads: int = 1) -> str:
        """Which engine scores so many rows: `kernel`, or `lightgbm predict` and why."""
        if self._only or self._by:
            return self._only or self._by
        refused = self.kernel.refused(rows, threads)
        return f"{LIGHTGBM}: {refused}" if refused else KERNEL

    def raw_scores(
        self,
        frame: pl.DataFrame,
        order: Sequence[str] = (),
        threads: int = 1,
        batch_rows: int = 65_536,
        of_rows: int = 0,
    ) -> Floats:
        """One raw score a row of `frame`, in its order.

        `order` are the columns beside the features (night and key), which are set aside. All others must be exactly the
        features, in their order. Null and NaN are missing. Where `frame` is a part of a night, `of_rows` says
        how many rows that has, so that all parts are scored by one engine. None of the three numbers changes a
        bit.

        Raises:
            FeaturesDiffer, NotExact, CodesRefused: see `models.matrix`.
        """
        chosen = chosen_features(frame, order, self.features, self.categorical)
        return self.raw_of_chosen(chosen, threads, batch_rows, of_rows)

    def raw_of_chosen(self, chosen: pl.DataFrame, threads: int, batch_rows: int, of_rows: int = 0) -> Floats:
        """One raw score a row of what `chosen_features` gave; the numbers are those of `raw_scores`."""
        columns = chosen.get_columns()
        return self._scores(
            rows=chosen.height,
            batch=lambda start, stop: as_matrix(chosen[start:stop]),
            read=lambda feature, start, stop: as_floats(columns[feature][start:stop]),
            threads=threads,
            batch_rows=batch_rows,
            of_rows=of_rows,
        )

    def raw_of(self, matrix: Floats, threads: int, batch_rows: int = 65_536) -> Floats:
        """One raw score a row of a matrix that `models.matrix.to_matrix` made."""
        return self._scores(
            rows=len(matrix),
            batch=lambda start, stop: matrix[start:stop],
            read=lambda feature, start, stop: np.ascontiguousarray(matrix[start:stop, feature]),
            threads=threads,
            batch_rows=batch_rows,
        )

    def _scores(self, rows: int, batch: _Batch, read: _Read, threads: int, batch_rows: int, of_rows: int = 0) -> Floats:
        if batch_rows < 1 or threads < 1:
            raise ValueError(f"batches and threads are at least 1; got {batch_rows} rows and {threads}")
        if self.engine_for(max(rows, of_rows), threads) != KERNEL or not rows:
            return self._predicted(rows, batch, threads, batch_rows)
        self._ask_kernel(min(rows, _ASKED_ROWS), batch, read)
        return self.kernel.scores(read, rows, threads, batch_rows)

    def _predicted(self, rows: int, batch: _Batch, threads: int, batch_rows: int) -> Floats:
        scores = np.empty(rows, dtype=np.float64)
        for start in range(0, rows, batch_rows):
            stop = min(start + batch_rows, rows)
            scores[start:stop] = booster.raw(self._booster, batch(start, stop), threads)
        return scores

    def _ask_kernel(self, rows: int, batch: _Batch, read: _Read) -> None:
        """Pass if the kernel has proven itself, now or before.

        Raises:
            EnginesDiffer: on these rows; or what the proof raises.
        """
        if self._asked.passed or self._only:
            return
        if self._proof:
            self._proof(self.only(KERNEL))
        wrong = bits_differing(self._predicted(rows, batch, 1, rows or 1), self.kernel.scores(read, rows, 1, rows))
        if wrong:
            raise EnginesDiffer(
                f"the kernel gives {wrong} of {rows} rows another raw score than LightGBM; nothing is scored. Remove "
                "what it keeps compiled (`*.sealed` in NUMBA_CACHE_DIR, or in models/kernel/__pycache__), run again"
            )
        self._asked.passed = True

    def probability(self, raw: Floats) -> Floats:
        """One score a raw score: its probability if the objective is binary, what is expected otherwise.

        Computed as LightGBM does, or by the calibration if there is one. Where the kernel scored it does this too,
        once it has given the same bits.
        """
        return self.curve.scores(raw, compiled=self._asked.passed)


def chosen_features(
    frame: pl.DataFrame, order: Sequence[str], features: Sequence[str], categorical: Sequence[str]
) -> pl.DataFrame:
    """The features of a frame that has exactly these beside `order`, in their order, each as LightGBM reads it."""
    absent = [name for name in order if name not in frame.columns]
    if absent:
        raise FeaturesDiffer(f"the frame has no `{absent[0]}`, by which it should be ordered")
    check_features([name for name in frame.columns if name not in order], features)
    chosen = frame.select(features)
    check_values(chosen, categorical)
    return chosen


def _header(text: str) -> dict[str, str]:
    """Read the `name=value` lines before the first tree."""
    lines = text.partition("\n\n")[0].splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    absent = [name for name in ("version", "objective", "feature_names") if name not in found]
    if lines[:1] != ["tree"] or absent:
        raise ModelTextRefused(f"this is not the text of a model: no {', '.join(absent) or 'first line `tree`'}")
    return found


def _objective(line: str) -> tuple[Objective, float]:
    """Name and slope from `binary sigmoid:1` or `regression`; the slope is 0 where there is none."""
    name, _, rest = line.partition(" ")
    if name == "binary" and rest.startswith("sigmoid:"):
        return "binary", float(rest.removeprefix("sigmoid:"))
    if name in OBJECTIVES and name != "binary" and not rest:
        return cast("Objective", name), 0.0
    raise ModelTextRefused(f"objective `{line}` is none of {', '.join(OBJECTIVES)}")
