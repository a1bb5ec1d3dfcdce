"""Training: the same rows and parameters give the same text, byte for byte, inside one environment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from models import booster
from models.booster import Floats
from models.evaluation import Constants, Metrics, Sample, measure
from models.matrix import FeaturesDiffer, LabelsRefused, as_floats, check_features, check_names, to_label, to_matrix
from models.parameters import Parameters
from models.scorer import Model


class NotSorted(ValueError):
    """Training rows are not strictly in the order of night and key; another order would give another model."""


class TooFewNights(ValueError):
    """There are no nights left to train on before the nights to validate on."""


def held_out_from(nights: Sequence[date], validation_nights: int) -> date:
    """The first of the last nights, on which a model of earlier ones is measured; `nights` are ascending.

    Raises:
        TooFewNights: if there is none before it.
    """
    if len(nights) <= validation_nights:
        raise TooFewNights(
            f"{len(nights)} nights are too few: the last {validation_nights} are for validation "
            "(`validation_nights`). Train as of a later date, or validate on fewer."
        )
    return nights[-validation_nights]


@dataclass(frozen=True)
class TrainingSet:
    """One row a (night, key), strictly ascending in `order`: the night's column first, then the key's.

    Its columns are exactly `order`, `features` and `label`; the features stand in their declared order.

    Raises:
        FeaturesDiffer: columns are missing, extra or elsewhere.
        NotSorted: rows are out of order, double, or without a night or key.
    """

    frame: pl.DataFrame
    order: tuple[str, ...]
    features: tuple[str, ...]
    label: str

    def __post_init__(self) -> None:
        beside = (*self.order, self.label)
        absent = [name for name in beside if name not in self.frame.columns]
        if absent or not self.order:
            raise FeaturesDiffer(f"a training set has {', '.join(beside)} beside its features; missing: {absent}")
        check_features([name for name in self.frame.columns if name not in beside], self.features)
        check_sorted(self.frame, self.order)


@dataclass(frozen=True)
class Learning:
    """All nights to learn from; and, to measure what their kind is worth, the last of them and earlier ones.

    `early` has nights whose labels had matured before the first night of `late` began. What transforms learn for these
    two they learn of `early` alone.
    """

    whole: TrainingSet
    early: TrainingSet | None = None
    late: TrainingSet | None = None


@dataclass(frozen=True)
class TrainedModel:
    """One training result: the canonical text, what it was trained on, and how well its kind did on unseen nights."""

    text: str
    features: tuple[str, ...]
    parameters: Parameters
    rows: int
    nights: int
    metrics: Metrics | None
    """Of the validation model, see `Metrics`; null where there are no nights to validate on."""


def train(learning: Learning, parameters: Parameters, threads: int) -> TrainedModel:
    """Validate on the last nights with a model of the earlier ones, then train on all nights with the same parameters.

    The number of threads changes nothing but the time it takes.

    Raises:
        FeaturesDiffer, NotExact, CodesRefused, LabelsRefused: see `models.matrix`.
    """
    rows = _rows(learning.whole, parameters)
    return TrainedModel(
        metrics=_measured(learning, parameters, threads),
        text=booster.fit(rows.matrix, rows.label, rows.features, parameters, threads),
        features=rows.features,
        parameters=parameters,
        rows=len(rows.label),
        nights=rows.night.n_unique(),
    )


def train_again(training: TrainingSet, parameters: Parameters, threads: int) -> str:
    """Only the text that `train` gives, to be compared with a kept one; errors as there."""
    rows = _rows(training, parameters)
    return booster.fit(rows.matrix, rows.label, rows.features, parameters, threads)


@dataclass(frozen=True)
class _Rows:
    """What LightGBM learns from, and the night of each row."""

    features: tuple[str, ...]
    night: pl.Series
    matrix: Floats
    label: Floats


def _rows(training: TrainingSet, parameters: Parameters) -> _Rows:
    check_names(training.features, parameters.categorical, parameters.baseline)
    return _Rows(
        features=training.features,
        night=training.frame[training.order[0]],
        matrix=to_matrix(training.frame, training.features, parameters.categorical),
        label=to_label(training.frame[training.label], binary=parameters.objective == "binary"),
    )


def _measured(learning: Learning, parameters: Parameters, threads: int) -> Metrics | None:
    """How good a model of the earlier nights is on the last ones, if there are such."""
    if learning.early is None or learning.late is None:
        return None
    return _validate(learning.early, learning.late, parameters, threads)


def _validate(earlier: TrainingSet, last: TrainingSet, parameters: Parameters, threads: int) -> Metrics:
    """Measure a model of the earlier nights on the last ones; it is thrown away."""
    early, late = _rows(earlier, parameters), _rows(last, parameters)
    if early.label.min() == early.label.max():
        raise LabelsRefused(f"all {len(early.label)} labels before {late.night[0]} are the same: nothing can be learnt")
    text = booster.fit(early.matrix, early.label, early.features, parameters, threads)
    model = Model.load(text, early.features)
    raw = model.raw_of(late.matrix, threads)
    return Metrics(
        first_night=str(late.night[0]),
        last_night=str(late.night[-1]),
        nights=late.night.n_unique(),
        trained_rows=len(early.label),
        trained_nights=early.night.n_unique(),
        quality=measure(
            Sample(
                raw,
                model.probability(raw),
                late.label,
                binary=parameters.objective == "binary",
                baseline=naive(last.frame, parameters.baseline),
            ),
            Constants.of(early.label),
        ),
    )


def naive(frame: pl.DataFrame, baseline: str) -> tuple[str, Floats] | None:
    """The naive score of rows as the model sees them: its name and values, NaN for null; null if none is declared."""
    return (baseline, as_floats(frame.get_column(baseline))) if baseline else None


def check_sorted(frame: pl.DataFrame, order: Sequence[str]) -> None:
    """Refuse rows that are not strictly ascending in `order`, text by its UTF-8 bytes.

    Raises:
        NotSorted: names the first row out of place, by its number.
    """
    nulls = [name for name in order if frame[name].null_count()]
    if nulls:
        raise NotSorted(f"`{nulls[0]}` is null in some rows; training rows are ordered by {', '.join(order)}")
    in_place = frame.select(_follows(order)).to_series()
    wrong = (~in_place).arg_true()
    if len(wrong):
        raise NotSorted(
            f"row {wrong[0] + 1} of {frame.height} does not come after the one before it in ({', '.join(order)}): "
            "sort the training set, and check that its key is unique"
        )


def _follows(order: Sequence[str]) -> pl.Expr:
    """True where a row comes strictly after the one before it, and for the first row."""
    after = pl.lit(value=False)
    for name in reversed(order):
        before = pl.col(name).shift(1)
        after = (pl.col(name) > before) | ((pl.col(name) == before) & after)
    return after.fill_null(value=True).alias("follows")
